"""Base models, GPUs and recipes: TOML data and its loaders."""
