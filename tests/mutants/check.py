"""Breaks the modules that make the product's claims, one small change at a time, and asks whether a test notices.

    make mutants                                              all of them
    python tests/mutants/check.py 'brightrun.datasets.split*' those whose name fits a pattern of mutmut's

It works in a copy of the tree, never in the tree itself. A change that no test notices is a survivor. The exit status
is 1 where one is not listed in survivors.toml, where a listed one did not survive, or where more than 5 % survived.
`[tool.mutmut]` in pyproject.toml says which modules are changed and which tests are run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.mutants.survivors import change, complaints, read_list

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = ("src", "tests", "examples", "pyproject.toml")
MUTMUT = Path(sys.executable).with_name("mutmut")
NOTICED = {"killed", "timeout", "segfault"}
"""By a test that fails, by one that never ends, or by a process that dies."""
NOT_RUN = {"not checked", "check was interrupted by user"}


def main(patterns: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="brightrun-mutants-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        subprocess.run([MUTMUT, "run", *patterns], cwd=tree, check=True)
        results = read_results(tree, patterns)
        survivors = sorted(name for name, status in results.items() if status not in NOTICED)
        survived = [change(name, mutmut(tree, "show", name)) for name in survivors]
    counts = Counter(results.values())
    print(", ".join(f"{count} {status}" for status, count in counts.most_common()))
    said = complaints(survived, read_list(), mutants=len(results), whole=not patterns)
    print("\n\n".join([*said, f"{len(survived)} of {len(results)} mutants survived."]))
    return 1 if said else 0


def copy_tree(folder: Path) -> None:
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)


def read_results(tree: Path, patterns: Sequence[str]) -> dict[str, str]:
    """The status of every mutant that was run, by its name. Exits where mutmut stopped before the end."""
    lines = [line.strip().rpartition(": ") for line in mutmut(tree, "results", "--all", "true").splitlines()]
    results = {name: status for name, colon, status in lines if colon}
    if patterns:
        return {name: status for name, status in results.items() if status not in NOT_RUN}
    if missing := [name for name, status in results.items() if status in NOT_RUN]:
        sys.exit(f"mutmut stopped before the end: {len(missing)} mutants were not run.")
    return results


def mutmut(tree: Path, *arguments: str) -> str:
    return subprocess.run([MUTMUT, *arguments], cwd=tree, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
