"""What this machine can do, asked without the training stack: an NVIDIA GPU of the catalogue, or the processor."""

from __future__ import annotations

import shutil
import subprocess

from brightrun.catalogue.gpus import Gpu, load_gpus
from brightrun.planning.device import DeviceGuess, guess_gpu, probe_cpu


def this_device() -> DeviceGuess:
    """The device a run here would use."""
    gpu = _own_gpu()
    return probe_cpu() if gpu is None else guess_gpu(gpu)


def _own_gpu() -> Gpu | None:
    if shutil.which("nvidia-smi") is None:
        return None
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    name = asked.stdout.strip().splitlines()[0] if asked.returncode == 0 and asked.stdout.strip() else ""
    return next((gpu for gpu in load_gpus().values() if gpu.runpod_id == name), None)
