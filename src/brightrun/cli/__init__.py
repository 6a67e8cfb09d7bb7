"""What a person types: one file per noun. It reads settings, calls the rooms below and tells what came of it."""
