"""Bright Run Train: a dataset of conversations in, a proven LoRA adapter out."""

__version__ = "0.1.0"
