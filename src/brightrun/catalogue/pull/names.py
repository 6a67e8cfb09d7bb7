"""What a pulled model is called here: the name of its folder. Knows the catalogue's names."""

from __future__ import annotations

import re

from brightrun.catalogue.models import load_models
from brightrun.errors import ModelError

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]*")


def local_name(text: str) -> str:
    """A name for a model from elsewhere: plain lower-case signs, and none that the catalogue uses."""
    plain = "".join(sign if (sign.isascii() and sign.isalnum()) or sign in "._-" else "-" for sign in text.lower())
    name = plain.strip("-._") or "model"
    return f"{name}-local" if name in load_models() else name


def checked_name(name: str) -> str:
    """The name unchanged, if it can name a folder.

    Raises:
        ModelError: it holds other signs than small letters, digits, dot, dash and underscore.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise ModelError(
            f"A model cannot be named '{name}'.", hint="Use small letters, digits, dot, dash and underscore."
        )
    return name
