"""The files a make-believe run delivers: a real bundle in form, whose adapter is drawn from the job's fingerprint."""

from __future__ import annotations

import functools
import hashlib
import json
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brightrun.contract.job_spec import JobSpec
from brightrun.contract.manifest import Manifest, ManifestFile
from brightrun.contract.messages import ArtifactFile
from brightrun.evaluation.comparison import compare
from brightrun.evaluation.measurements import AdapterCheck, AnswerScore

ADAPTER = "adapter/"


def make_bundle(spec: JobSpec, *, created_at: datetime, loss: float) -> dict[str, bytes]:
    """Every file of the adapter's folder by name, and what lies beside it, named as a worker server names them.

    The adapter's bits depend on the fingerprint alone, as those of a resumed real run do.
    """
    files = {
        "README.md": b"# A make-believe adapter\n\nNothing was trained.\n",
        "adapter_config.json": _json({"peft_type": "LORA", "r": spec.hyperparameters.r}),
        "adapter_model.safetensors": _safetensors(spec.fingerprint()),
        "comparison.json": _comparison(loss),
    }
    adapter_check = {"adapter_off_equals_base": True, "adapter_on_differs": True}
    report = b"<!doctype html><title>Make-believe</title>"
    beside = {"comparison.json": files["comparison.json"], "report.html": report}
    return _with_manifest(spec, files, created_at=created_at, adapter_check=adapter_check) | beside


def make_partial_bundle(spec: JobSpec, *, created_at: datetime, step: int) -> dict[str, bytes]:
    """The adapter's folder as it is made of a checkpoint: nothing was compared, and its manifest says so."""
    files = {
        "README.md": b"# An unproven make-believe adapter\n",
        "adapter_config.json": _json({"peft_type": "LORA", "r": spec.hyperparameters.r}),
        "adapter_model.safetensors": _safetensors(f"{spec.fingerprint()}:{step}"),
    }
    adapter_check = {"verified": False, "partial": True, "step": step, "sentence": f"Make-believe, from step {step}."}
    return _with_manifest(spec, files, created_at=created_at, adapter_check=adapter_check)


def _with_manifest(
    spec: JobSpec, files: Mapping[str, bytes], *, created_at: datetime, adapter_check: dict[str, Any]
) -> dict[str, bytes]:
    """The files and the manifest that lists them, named as a worker server names them."""
    manifest = Manifest(
        job_id=spec.job_id,
        created_at=created_at,
        base_model=spec.model,
        dataset_name=spec.dataset.source_name,
        dataset_sha256=spec.dataset.source_sha256,
        split_sha256=spec.dataset.split_sha256,
        template_sha256=hashlib.sha256(b"simulated template").hexdigest(),
        recipe=spec.recipe,
        hyperparameters=spec.hyperparameters,
        fingerprint=spec.fingerprint(),
        packages={"simulated": "1"},
        adapter_check=adapter_check,
        files=tuple(ManifestFile(**described(name, content).model_dump()) for name, content in files.items()),
    )
    bundle = {**files, "manifest.json": manifest.model_dump_json(indent=2).encode()}
    return {ADAPTER + name: content for name, content in bundle.items()}


def described(name: str, content: bytes) -> ArtifactFile:
    return ArtifactFile(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def listed_files(bundle: Mapping[str, bytes]) -> list[ArtifactFile]:
    """What a run's journal says of its bundle: every file that the manifest lists, by its name there."""
    names = (name for name in bundle if name.startswith(ADAPTER) and not name.endswith("/manifest.json"))
    return [described(name.removeprefix(ADAPTER), bundle[name]) for name in names]


def _safetensors(seed: str) -> bytes:
    """One bf16 tensor of 256 numbers in the safetensors format: length, header, data."""
    data = b"".join(hashlib.sha256(f"{seed}:{block}".encode()).digest() for block in range(16))
    header = _json({"lora.weight": {"dtype": "BF16", "shape": [16, 16], "data_offsets": [0, len(data)]}})
    return struct.pack("<Q", len(header)) + header + data


@functools.cache
def _comparison(loss: float) -> bytes:
    scores = [
        AnswerScore(
            conversation_id=f"simulated-{number}",
            answer_number=1,
            trained_tokens=100,
            base_loss=3.0 + number / 100,
            tuned_loss=loss + number / 100,
        )
        for number in range(6)
    ]
    adapter_check = AdapterCheck(
        adapter_off_equals_base=True,
        adapter_off_max_difference=0.0,
        adapter_on_differs=True,
        adapter_on_max_difference=1.0,
        fingerprint_tokens=1,
    )
    return compare(scores, [], adapter_check, seed=0).model_dump_json().encode()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
