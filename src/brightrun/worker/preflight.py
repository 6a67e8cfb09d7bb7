"""Everything that can be known to fail is found here, before the model is loaded and before money is spent on steps."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path

from brightrun.catalogue.folders import verify_model_folder
from brightrun.catalogue.models import BaseModelEntry
from brightrun.contract.event_data import MessageData
from brightrun.contract.job_spec import JobSpec, file_sha256
from brightrun.errors import DatasetError, NotEnoughMemory
from brightrun.files import require_free_space
from brightrun.runs.flops import MicroBatchSize
from brightrun.runs.memory import estimate_memory
from brightrun.runs.weights_on_disk import CHECKPOINT_BYTES
from brightrun.worker.device import device_kind

_PACKAGES = (
    "brightrun",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "bitsandbytes",
    "tokenizers",
    "safetensors",
)


def check_data(spec: JobSpec, folder: Path) -> None:
    """The prepared files are the ones the spec was made from.

    Raises:
        DatasetError: a file is absent or its bytes are others.
    """
    pairs = (
        (spec.dataset.train_path, spec.dataset.train_sha256),
        (spec.dataset.validation_path, spec.dataset.validation_sha256),
    )
    for name, expected in pairs:
        path = folder / name
        if not path.is_file():
            raise DatasetError(
                f"The prepared dataset {name} is missing from the run's folder.", hint="Start the run again."
            )
        if (found := file_sha256(path)) != expected:
            raise DatasetError(
                f"{name} is not the file this run was planned with.",
                hint="Its bytes changed since; start a new run in a new folder.",
                details={"expected_sha256": expected, "found_sha256": found},
            )


def check_model(spec: JobSpec) -> None:
    """The base model's files are whole.

    Raises:
        ModelError: a file is absent or has another size.
    """
    verify_model_folder(Path(spec.model.path))


def check_machine(
    spec: JobSpec,
    folder: Path,
    *,
    entry: BaseModelEntry,
    adapter_parameters: int,
    micro_batches: Sequence[MicroBatchSize],
) -> MessageData:
    """Room on disk and in memory; returns the facts for the event log.

    Two checkpoints are kept and one may be in the making. Memory is what the plan counts (`runs/memory.py`), at the
    low end of its range and without the program itself, which runs already.

    Raises:
        NotEnoughDisk, NotEnoughMemory
    """
    import psutil
    import torch

    require_free_space(folder, 4 * CHECKPOINT_BYTES * adapter_parameters + 200_000_000, "This run")
    kind = device_kind()
    cuda = kind == "cuda"
    estimate = estimate_memory(
        entry, spec.hyperparameters, adapter_parameters=adapter_parameters, micro_batches=set(micro_batches), kind=kind
    )
    needed = estimate.low_bytes - estimate.bytes_of("program")
    available = torch.cuda.mem_get_info()[0] if cuda else psutil.virtual_memory().available
    if available < needed:
        raise NotEnoughMemory(
            f"This run needs at least {needed / 1e9:.1f} GB of memory; {available / 1e9:.1f} GB are free.",
            details={"needed_bytes": int(needed), "available_bytes": int(available)},
        )
    device = torch.cuda.get_device_name(0) if cuda else f"CPU ({torch.get_num_threads()} threads)"
    return MessageData(
        device=device,
        memory_available_bytes=int(available),
        python=platform.python_version(),
        packages=package_versions(),
        quantization=spec.hyperparameters.resolve(kind).quantization,
    )


def package_versions() -> dict[str, str]:
    """Versions of what decides a run's numbers."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
