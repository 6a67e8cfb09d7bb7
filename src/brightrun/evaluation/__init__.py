"""Before and after, compared honestly; the report and model card that say so."""
