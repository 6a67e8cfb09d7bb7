"""One defect of real files per module, with explanation and mend. Knows conversations, no file formats."""
