"""Everything that can be known to fail is found here, before the model is loaded and before money is spent on steps."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from brightrun.catalogue.folders import verify_model_folder
from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.contract.job_spec import JobSpec, file_sha256
from brightrun.errors import DatasetError, NotEnoughMemory
from brightrun.files import require_free_space

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


def check_model(spec: JobSpec) -> int:
    """The base model's files are whole; returns the bytes its weights have in bf16, however they are stored.

    Raises:
        ModelError: a file is absent or has another size.
    """
    folder = Path(spec.model.path)
    verify_model_folder(folder)
    return 2 * entry_of_folder(folder).parameters


def check_machine(spec: JobSpec, folder: Path, *, weights_bytes: int, adapter_parameters: int) -> dict[str, Any]:
    """Room on disk and in memory; returns the facts for the journal.

    A checkpoint holds the adapter and two moments in fp32 (12 bytes a parameter); two are kept and one may be in the
    making. On a CPU the base is held in fp32.

    Raises:
        NotEnoughDisk, NotEnoughMemory
    """
    import psutil
    import torch

    require_free_space(folder, 4 * 12 * adapter_parameters + 200_000_000, "This run")
    cuda = torch.cuda.is_available()
    nf4 = uses_nf4(spec, cuda=cuda)
    full_width = weights_bytes if cuda else 2 * weights_bytes
    needed = (weights_bytes * 4.127 / 16 if nf4 else full_width) + 16 * adapter_parameters
    available = torch.cuda.mem_get_info()[0] if cuda else psutil.virtual_memory().available
    if available < needed:
        raise NotEnoughMemory(
            f"The base model and adapter need at least {needed / 1e9:.1f} GB; {available / 1e9:.1f} GB are free.",
            details={"needed_bytes": int(needed), "available_bytes": int(available)},
        )
    device = torch.cuda.get_device_name(0) if cuda else f"CPU ({torch.get_num_threads()} threads)"
    return {
        "device": device,
        "memory_available_bytes": int(available),
        "python": platform.python_version(),
        "packages": package_versions(),
        "quantization": "nf4" if nf4 else "none",
    }


def uses_nf4(spec: JobSpec, *, cuda: bool) -> bool:
    """Whether the base is held in 4 bits on this machine."""
    quantization = spec.hyperparameters.quantization
    return quantization == "nf4" or (quantization == "auto" and cuda)


def package_versions() -> dict[str, str]:
    """Versions of what decides a run's numbers."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
