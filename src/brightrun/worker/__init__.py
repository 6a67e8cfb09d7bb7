"""The GPU island: data in, adapter out, for one job. The only room that reaches torch; sees no database."""
