"""Which build of torch `make` installs: the CPU's on Linux without an NVIDIA GPU, and never without a word."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

INDEX = "http://cpu.test/whl"
PLAIN = "-m pip install --quiet --constraint constraints.txt torch"
OF_AN_INDEX = "-m pip install --quiet --constraint constraints.txt --no-deps --index-url {} torch"
has_gpu = shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


class Machine:
    """A machine with programs of our own: `make` runs on it, and what its Python was asked is written down."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._asked = folder, folder / "asked"
        (folder / "venv" / "bin").mkdir(parents=True)
        (folder / "programs").mkdir()
        self.python()

    def python(self, *, index_answers: bool = False, installs_from_index: bool = True) -> None:
        self.program(
            "../venv/bin/python",
            f'case "$*" in -c*) exit {0 if index_answers else 1};; esac; echo "$@" >> {self._asked}; '
            f'case "$*" in *--index-url*) exit {0 if installs_from_index else 1};; esac',
        )

    def program(self, name: str, script: str) -> None:
        path = self._folder / "programs" / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        path.chmod(0o755)

    def make(self, *settings: str) -> tuple[str, list[str]]:
        """What was said, and what pip was asked to do."""
        path = f"{self._folder / 'programs'}:{os.environ['PATH']}"
        target = f"{self._folder}/venv/torch.installed"
        done = subprocess.run(
            ["make", "--silent", f"VENV={self._folder}/venv", f"TORCH_CPU_INDEX={INDEX}", *settings, target],
            cwd=REPOSITORY, env={"PATH": path}, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert Path(target).exists()
        return done.stdout, self._asked.read_text(encoding="ascii").splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.program("uname", "echo Linux")
    return machine


@pytest.mark.skipif(has_gpu, reason="this machine has a GPU")
def test_without_a_gpu_the_cpu_build_is_installed_and_said(machine: Machine) -> None:
    machine.python(index_answers=True)
    said, asked = machine.make()
    assert asked == [OF_AN_INDEX.format(INDEX)]
    assert "no NVIDIA GPU" in said
    assert "CPU build" in said


@pytest.mark.skipif(has_gpu, reason="this machine has a GPU")
def test_where_the_index_does_not_answer_the_usual_one_is_taken_and_its_size_said(machine: Machine) -> None:
    said, asked = machine.make()
    assert asked == [PLAIN]
    assert "several GB" in said


@pytest.mark.skipif(has_gpu, reason="this machine has a GPU")
def test_where_the_index_lacks_our_version_the_usual_one_is_taken(machine: Machine) -> None:
    machine.python(index_answers=True, installs_from_index=False)
    said, asked = machine.make()
    assert asked == [OF_AN_INDEX.format(INDEX), PLAIN]
    assert "several GB" in said


def test_with_a_gpu_the_usual_build_is_installed(machine: Machine) -> None:
    machine.python(index_answers=True)
    machine.program("nvidia-smi", "true")
    assert machine.make() == ("", [PLAIN])


def test_on_macos_the_usual_build_is_the_right_one(machine: Machine) -> None:
    machine.python(index_answers=True)
    machine.program("uname", "echo Darwin")
    assert machine.make() == ("", [PLAIN])


def test_an_index_of_ones_own_is_taken_without_asking(machine: Machine) -> None:
    said, asked = machine.make("TORCH_INDEX=http://mine.test/cu130")
    assert asked == [OF_AN_INDEX.format("http://mine.test/cu130")]
    assert "TORCH_INDEX" in said
    (machine._folder / "venv" / "torch.installed").unlink()
    machine.python(index_answers=True)
    assert machine.make("TORCH_INDEX=default")[1][1:] == [PLAIN]


def test_pytorchs_index_is_named_in_one_line_of_the_repository() -> None:
    host = "download." + "pytorch" + ".org"
    listed = subprocess.run(
        ["git", "grep", "--untracked", "-n", host], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if not listed.stdout and not (REPOSITORY / ".git").exists():
        pytest.skip("this is no checkout")
    assert [line.partition(":")[0] for line in listed.stdout.splitlines()] == ["Makefile"]
