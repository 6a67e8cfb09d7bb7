"""The life of a job: one file for each thing that can happen to it. Knows machines and files only by their base."""
