"""Makes a small, real run for tests: the sample dataset, the tiny model, a spec on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from brightrun.catalogue.folders import read_model_record
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.prepare import prepare_dataset
from brightrun.templating.model_folder import load_chat_model

SMALL: dict[str, Any] = {
    "num_epochs": 1,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "learning_rate": 1e-2,
    "lora_dropout": 0.1,
    "evaluations": 3,
    "checkpoints": 4,
    "sample_answers": 2,
    "sample_tokens": 8,
    "general_questions": 32,
    "memorization_answers": 2,
    "validation_fraction": 0.25,
}


def make_run(root: Path, model: Path, dataset: Path, **settings: Any) -> RunFolder:
    """A run's folder, ready for `python -m brightrun.worker run`."""
    hyperparameters = Hyperparameters.model_validate({**SMALL, "max_seq_length": 4096, **settings})
    root.mkdir(parents=True)
    prepared = prepare_dataset(
        dataset,
        root / "data",
        chat=load_chat_model(model),
        options=ReadOptions(),
        validation_fraction=hyperparameters.validation_fraction,
        seed=hyperparameters.seed,
    )
    spec = JobSpec(
        job_id="test-job",
        recipe="balanced",
        hyperparameters=hyperparameters,
        model=ModelRef(name="tiny-llama", revision=read_model_record(model).version, path=str(model)),
        dataset=DatasetRef(
            source_name=dataset.name,
            source_sha256=prepared.source_sha256,
            train_path="data/train.jsonl",
            train_sha256=prepared.train_sha256,
            validation_path="data/validation.jsonl",
            validation_sha256=prepared.validation_sha256,
            split_sha256=prepared.split_sha256,
        ),
    )
    folder = RunFolder(root)
    spec.save(folder.spec)
    return folder


def start_worker(folder: RunFolder, **environment: str) -> subprocess.Popen[bytes]:
    """A worker process of its own, as the studio would start it."""
    return subprocess.Popen(
        [sys.executable, "-m", "brightrun.worker", "run", str(folder.root)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def run_worker(folder: RunFolder, **environment: str) -> int:
    """Run a worker to its end; returns its exit status."""
    process = start_worker(folder, **environment)
    _, said = process.communicate(timeout=300)
    sys.stderr.write(said.decode())
    return process.returncode
