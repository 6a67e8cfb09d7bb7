"""The peak that a run reports is its own, not that of the program which started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.worker
torch = pytest.importorskip("torch")

ASK = "import torch; from brightrun.worker.memory import peak_memory_bytes as p; print(p(torch.device('cpu')))"


def test_a_large_parent_does_not_count() -> None:
    hoard = bytearray(800_000_000)
    hoard[::4096] = b"x" * len(hoard[::4096])
    child = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert 50_000_000 < int(child.stdout) < 700_000_000 < len(hoard)


def test_what_was_given_back_still_counts() -> None:
    hoarding = f"import torch; x = torch.ones(100_000_000); del x; {ASK}"
    child = subprocess.run([sys.executable, "-c", hoarding], capture_output=True, text=True, check=True)
    assert int(child.stdout) > 400_000_000
