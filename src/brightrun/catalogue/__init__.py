"""Base models, GPUs and recipes: TOML data and its loaders. Knows no other room but errors."""
