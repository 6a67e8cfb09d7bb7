"""Formats of conversation files, one per module, and their detection by content."""
