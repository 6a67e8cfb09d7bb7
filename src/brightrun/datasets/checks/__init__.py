"""One defect of real files per module, with explanation and fix. Knows conversations, no file formats."""
