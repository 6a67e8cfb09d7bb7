"""Conversations in, audited and split examples out. Knows files; of a model it knows only `ChatModel`."""
