"""What a run consists of: its examples, steps, prompts and memory. Planning and worker both ask here, so they agree."""
