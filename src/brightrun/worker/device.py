"""What this machine trains on. Imports torch only where it is asked for the kind."""

from __future__ import annotations

import os
import subprocess

from brightrun.contract.hyperparameters import DeviceKind

_QUESTION = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]


def device_kind() -> DeviceKind:
    """What a run on this machine computes on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def describe_device() -> tuple[str, int | None]:
    """Name of the first accelerator and its memory in bytes, or the CPU and None."""
    try:
        asked = subprocess.run(_QUESTION, capture_output=True, text=True, timeout=20, check=True)
        name, mebibytes = asked.stdout.splitlines()[0].rsplit(",", 1)
        return name.strip(), int(mebibytes) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return f"CPU ({os.cpu_count()} cores)", None
