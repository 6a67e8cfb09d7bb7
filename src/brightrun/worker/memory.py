"""How much memory a run has taken at most."""

from __future__ import annotations

import re
import resource
import sys
from functools import cache
from pathlib import Path

import torch

_SELF = Path("/proc/self")
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ .*?(?P<file>/\S+)?$")
_LIBRARY = re.compile(r"\.so(\.|$)")


def peak_memory_bytes(device: torch.device) -> int:
    """Peak of the allocator on CUDA; on a CPU the peak resident size, without the libraries' mapped files.

    How much of those is resident depends on what the machine had read before (95 MB more were seen after a fresh
    installation), and it is given back whenever memory is short. Weights that are mapped from their file count: a step
    reads them all. Linux hands a parent's peak down to a program it starts in ru_maxrss, so there the kernel's own
    count is read; where there is no /proc the libraries are in the figure.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = _SELF / "status"
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
        return _in_bytes(line) - _libraries_bytes()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@cache
def _libraries_bytes() -> int:
    """Resident pages of shared libraries, as they are when a peak is asked for the first time."""
    found, is_library = 0, False
    for line in (_SELF / "smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        if (mapping := _MAPPING.match(line)) is not None:
            is_library = _LIBRARY.search(mapping["file"] or "") is not None
        elif is_library and line.startswith("Rss:"):
            found += _in_bytes(line)
        elif is_library and line.startswith("Anonymous:"):
            found -= _in_bytes(line)  # what a program wrote into its copy stays its own
    return found


def _in_bytes(line: str) -> int:
    return int(line.split()[1]) * 1024
