"""Makes an adapter bundle of an unfinished run's last checkpoint. It loads no model, so nothing is proven by it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from brightrun.contract.job_spec import JobSpec
from brightrun.contract.manifest import Manifest
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import JobStatus
from brightrun.datasets.prepared import read_prepared
from brightrun.errors import InputError
from brightrun.files import whole_folder, write_text
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.checkpoint import Checkpoint, latest_checkpoint
from brightrun.worker.event_log_reader import EventLogReader
from brightrun.worker.preflight import package_versions
from brightrun.worker.run_lock import only_one


class NothingToExport(InputError):
    """The run was not far enough for a checkpoint, or its checkpoints are damaged."""

    code = "nothing_to_export"
    default_hint = "Go on with the run until its first checkpoint."


class NotChecked(BaseModel):
    """What stands in a manifest's `proof` where the adapter was not compared with its base."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verified: Literal[False] = False
    partial: Literal[True] = True
    step: int
    total_steps: int | None
    sentence: str


def export_checkpoint(folder: RunFolder) -> Manifest | None:
    """Write `adapter/` from the last whole checkpoint; None where the run is complete and has delivered its own.

    Raises:
        NothingToExport
        RunFolderError: the job is being run.
        ContractError, ModelError, ResumeMismatch
    """
    with only_one(folder):
        last = EventLogReader(folder.event_log).last()
        if last is not None and last.status is JobStatus.COMPLETED:
            return None
        return write_partial(folder, total_steps=None if last is None else last.total_steps)[1]


def write_partial(folder: RunFolder, *, total_steps: int | None) -> tuple[int, Manifest]:
    """As `export_checkpoint`, for the process that runs the job itself: the checkpoint's step, and the manifest."""
    spec = JobSpec.load(folder.spec)
    checkpoint, _ = latest_checkpoint(folder.checkpoints, fingerprint=spec.fingerprint())
    if checkpoint is None:
        raise NothingToExport("The run has no whole checkpoint.")
    return checkpoint.step, _write(folder, spec, checkpoint, _not_checked(checkpoint, total_steps))


def _not_checked(checkpoint: Checkpoint, total_steps: int | None) -> NotChecked:
    place = f"step {checkpoint.step}" + (f" of {total_steps}" if total_steps else "")
    sentence = f"Made from the checkpoint at {place} of a run that did not end; not compared with the base model."
    return NotChecked(step=checkpoint.step, total_steps=total_steps, sentence=sentence)


def _write(folder: RunFolder, spec: JobSpec, checkpoint: Checkpoint, adapter_check: NotChecked) -> Manifest:
    from brightrun.runs.prompts import sampling_of
    from brightrun.worker.answer import choose_prompts
    from brightrun.worker.bundle import check_golden_prompts, write_adapter_weights, write_companions, write_manifest

    model_folder = Path(spec.model.path)
    chat = load_chat_model(model_folder)
    conversations = list(read_prepared(folder.root / spec.dataset.validation_path))
    prompts = [prompt.asked for prompt in choose_prompts(conversations, sampling_of(spec.hyperparameters).answers)]
    with whole_folder(folder.adapter) as bundle:
        write_adapter_weights(checkpoint.folder, bundle, spec)
        write_companions(bundle, model_folder=model_folder, chat=chat, prompts=prompts)
        check_golden_prompts(bundle)
        write_text(bundle / "README.md", _readme(spec, adapter_check))
        # The manifest's `proof` is any JSON; only the writer's signature names the proof of a finished run.
        return write_manifest(bundle, spec, chat=chat, packages=package_versions(), adapter_check=adapter_check)


def _readme(spec: JobSpec, adapter_check: NotChecked) -> str:
    base = spec.model.hub_id or spec.model.name
    front = [f"base_model: {json.dumps(base)}", "base_model_relation: adapter"] if spec.model.hub_id else []
    front += [
        "library_name: peft",
        "license: other",
        'license_name: "base-model-terms"',
        "tags:",
        "  - lora",
        "  - peft",
    ]
    return (
        "---\n" + "\n".join(front) + "\n---\n\n"
        f"# A partial adapter for {base}\n\n{adapter_check.sentence}\n\n"
        "No validation answer was scored with it and nothing shows that it is better than the base. Load it with PEFT "
        "over that base, or check it with `python self_test.py PATH_OF_THE_BASE_MODEL`.\n"
    )
