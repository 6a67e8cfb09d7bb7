"""Reads the TOML tables that lie beside this file."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_table(file_name: str) -> dict[str, Any]:
    """The parsed TOML file of that name in this room."""
    return tomllib.loads(files(__package__).joinpath(file_name).read_text(encoding="utf-8"))


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a hint for a name that is not known: near names where there are any, else all of them."""
    names = list(known)
    near = get_close_matches(name.lower(), [known_name.lower() for known_name in names], n=3, cutoff=0.5)
    if not near:
        return f"Known names: {', '.join(names)}."
    spelled = [known_name for close in near for known_name in names if known_name.lower() == close]
    return f"Did you mean {' or '.join(dict.fromkeys(spelled))}?"
