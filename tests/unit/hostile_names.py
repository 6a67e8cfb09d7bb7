"""Names that want to be more than names: markup, options, quotes, lines, what a terminal obeys, other scripts."""

from __future__ import annotations

import random
from pathlib import Path

from brightrun.plain_text import cut

NAMES = (
    "36 chat [final]",
    "[/b] tag",
    "[/x]0",
    "[link=x]arc [bold red",
    "-dash",
    "--help",
    'it\'s "quoted" and `run` $(run) 100%25',
    "two\nlines\nerror: [red]no[/]",
    ":smile: :[/]: \\[b] {name} %s",
    "\x1b[2J\x1b[31m\x1b]0;title\x07\x9b1A\r\x08\t.",
    "\u202egnp\u2066.\u2069\u200f\u2028\u200b.",
    "שלום עולם, مرحبا, می\u200cخواهم",
    "日本語 हिन्दी ночь 👩\u200d🔬 e\u0301",
    "<script>alert(1)</script>\"'&amp;",
    "x" * 250,
    "日" * 250,
)
_FRAGMENTS = (
    *(name[:12] for name in NAMES),
    "[",
    "]",
    "[/]",
    "[b]",
    "'",
    '"',
    "\n",
    " ",
    "-",
    "\\",
    "\x1b",
    "\u202e",
    "ß",
)


def fuzzed(seed: int, count: int) -> tuple[str, ...]:
    """Names made of pieces of the above; the same for the same seed."""
    chance = random.Random(seed)
    return tuple("".join(chance.choices(_FRAGMENTS, k=chance.randint(2, 9))) for _ in range(count))


def path_named(name: str, ending: str = "") -> Path:
    """A path that reads like the name; where that holds a slash there is a folder."""
    parts = [cut(part, 240) for part in f"{name}{ending}".split("/") if part not in {"", ".", ".."}]
    path = Path(*parts) if parts else Path("x")
    return path.with_name(path.name.removesuffix(ending) + ending) if ending else path
