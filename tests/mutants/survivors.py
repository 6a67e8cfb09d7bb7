"""Mutants that no test notices: as mutmut reports them, and as survivors.toml lists them. Runs nothing."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("survivors.toml")
MOST = 0.05
"""The largest share of mutants that may survive."""


@dataclass(frozen=True, order=True)
class Change:
    """What a mutant changes. Its number is left out: a line added above would give it another.

    Attributes:
        function: Such as `datasets.split._Division.correct_total`.
        was: The lines that are changed, without outer white space.
        becomes: What they are in the mutant; empty where they are only taken out.
    """

    function: str
    was: str
    becomes: str

    def __str__(self) -> str:
        return f'[[survivor]]\nfunction = "{self.function}"\nwas = {_toml(self.was)}\nbecomes = {_toml(self.becomes)}'


@dataclass(frozen=True)
class Listed:
    """One entry of the list."""

    change: Change
    reason: str


def read_list(path: Path = LIST) -> list[Listed]:
    """The entries of survivors.toml. Raises KeyError where one lacks a field."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Listed(Change(entry["function"], entry["was"], entry["becomes"]), entry["reason"])
        for entry in document.get("survivor", [])
    ]


def function_name(mutant: str) -> str:
    """`brightrun.datasets.split.xǁSplitǁsha256__mutmut_3` is of `datasets.split.Split.sha256`."""
    module, _, mangled = mutant.partition("__mutmut_")[0].rpartition(".")
    name = ".".join(part for part in mangled.removeprefix("x").split("ǁ") if part)
    if "ǁ" not in mangled:
        name = name.removeprefix("_")
    return f"{module.removeprefix('brightrun.')}.{name}"


def change(mutant: str, diff: str) -> Change:
    """The change of a mutant, of the unified diff that `mutmut show` prints."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    was, becomes = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign)).strip() for sign in ("-", "+")
    )
    return Change(function_name(mutant), was, becomes)


def complaints(survived: Iterable[Change], listed: Iterable[Listed], *, mutants: int, whole: bool = True) -> list[str]:
    """What is wrong, in words; nothing where every survivor is listed and they are few enough.

    Args:
        survived: Of the mutants that were run.
        listed: The whole list.
        mutants: How many were run.
        whole: Whether all were run. Of a part, neither the share nor what the list has too much can be judged.
    """
    found, known = Counter(survived), Counter(entry.change for entry in listed)
    said = [f"Survived and is not listed:\n\n{one}" for one in sorted((found - known).elements())]
    if whole:
        gone = sorted((known - found).elements())
        said += [f"Listed, but a test notices it now; take it out:\n\n{one}" for one in gone]
        if found.total() > MOST * mutants:
            said.append(f"{found.total()} of {mutants} mutants survived, more than {MOST:.0%}.")
    return said


def _toml(text: str) -> str:
    if "'" not in text and "\n" not in text:
        return f"'{text}'"
    return "'''\n" + text + "'''"
