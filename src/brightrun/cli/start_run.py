"""From a file, a base model and a recipe to a run's folder: audit first, then the plan, then the frozen spec."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brightrun.catalogue.folders import read_model_record
from brightrun.catalogue.models import BaseModelEntry
from brightrun.chat.batches import SequenceSize
from brightrun.chat.chat_model import ChatModel
from brightrun.chat.model_folder import load_chat_model
from brightrun.chat.separate import separate_examples
from brightrun.cli.models import pulled_model
from brightrun.cli.show import byte_progress
from brightrun.cli.this_device import this_device
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef, canonical_sha256, file_sha256
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.audit import AuditReport
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.prepare import PreparedDataset, prepare_dataset
from brightrun.datasets.prepared import read_prepared
from brightrun.errors import DatasetError, RunFolderError
from brightrun.files import write_model
from brightrun.planning.plan import TrainingPlan, plan_training
from brightrun.planning.settle import settle_hyperparameters

PLAN_NAME = "plan.json"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for with `brightrun train`."""

    file: Path
    model: str
    recipe: str
    overrides: Mapping[str, str]
    client_profile: str = "keep"
    repair_json: bool = False


@dataclass(frozen=True, slots=True)
class ReadyRun:
    """A run's folder whose spec is written; `resumed` where an earlier command had begun it."""

    folder: RunFolder
    spec: JobSpec
    plan: TrainingPlan
    audit: AuditReport
    resumed: bool


def ready_run(wish: Wish, out: Path) -> ReadyRun:
    """Make the run's folder, or find it as the same command left it.

    Raises:
        RunFolderError: the folder holds another run, or something that is no run.
        DatasetError, ModelError, RecipeError
    """
    folder = RunFolder(out)
    model_folder, entry = pulled_model(wish.model)
    if folder.spec.exists():
        return _found_again(wish, folder, entry)
    if out.exists() and any(path.name != "data" and not path.name.startswith(".") for path in out.iterdir()):
        raise RunFolderError(f"{out} is not empty and holds no run.")
    chat = load_chat_model(model_folder)
    prepared = _prepare(wish, folder, chat, entry)
    if prepared.audit.refused:
        raise DatasetError(f"{wish.file.name} was refused by the audit.")
    hyperparameters = _settle(wish, prepared.audit.longest_tokens, entry)
    plan = _plan(folder, chat, hyperparameters, entry)
    write_model(folder.root / PLAN_NAME, plan)
    spec = JobSpec(
        job_id=str(uuid.uuid4()),
        recipe=wish.recipe,
        hyperparameters=hyperparameters,
        model=_model_ref(model_folder),
        dataset=_dataset_ref(prepared),
    )
    write_model(folder.spec, spec)
    return ReadyRun(folder, spec, plan, prepared.audit, resumed=False)


def _prepare(wish: Wish, folder: RunFolder, chat: ChatModel, entry: BaseModelEntry) -> PreparedDataset:
    draft = _settle(wish, 0, entry)
    asked = wish.overrides.get("max_seq_length")
    options: dict[str, Any] = {
        "max_seq_length": draft.max_seq_length if asked else entry.context_length,
        "over_length": draft.over_length,
        "client_profile": wish.client_profile,
        "repair_json": wish.repair_json,
    }
    folder.root.mkdir(parents=True, exist_ok=True)
    with byte_progress(f"Auditing {wish.file.name}") as progress:
        return prepare_dataset(
            wish.file, folder.data, chat=chat, options=ReadOptions.model_validate(options),
            held_out_fraction=draft.held_out_fraction, seed=draft.seed, progress=progress,
        )  # fmt: skip


def _settle(wish: Wish, longest_tokens: int, entry: BaseModelEntry) -> Hyperparameters:
    return settle_hyperparameters(
        wish.recipe, wish.overrides, longest_tokens=longest_tokens, context_length=entry.context_length
    )


def _plan(folder: RunFolder, chat: ChatModel, hyperparameters: Hyperparameters, entry: BaseModelEntry) -> TrainingPlan:
    sizes = _sizes(folder.data / "train.jsonl", chat, separate=hyperparameters.sequences == "answer")
    held_out = _sizes(folder.data / "held_out.jsonl", chat, separate=False)
    return plan_training(sizes, hyperparameters, entry, device=this_device(), held_out=held_out)


def _sizes(path: Path, chat: ChatModel, *, separate: bool) -> list[SequenceSize]:
    sizes = []
    for conversation in read_prepared(path):
        whole = tuple(conversation.chat_messages())
        for messages in separate_examples(whole) if separate else [whole]:
            encoded = chat.encode_conversation(messages)
            sizes.append(SequenceSize(len(encoded.input_ids), encoded.learnt_tokens, len(encoded.answer_spans)))
    return sizes


def _model_ref(folder: Path) -> ModelRef:
    record = read_model_record(folder)
    content = canonical_sha256([[file.name, file.sha256] for file in record.files])
    return ModelRef(
        name=record.name,
        hub_id=record.hub_id,
        revision=record.revision or f"sha256:{content}",
        path=str(folder),
    )


def _dataset_ref(prepared: PreparedDataset) -> DatasetRef:
    return DatasetRef(
        source_name=prepared.source_name,
        source_sha256=prepared.source_sha256,
        train_path="data/train.jsonl",
        train_sha256=prepared.train_sha256,
        held_out_path="data/held_out.jsonl",
        held_out_sha256=prepared.held_out_sha256,
        split_sha256=prepared.split_sha256,
    )


def _found_again(wish: Wish, folder: RunFolder, entry: BaseModelEntry) -> ReadyRun:
    """The run an earlier command began, if it is the one asked for now."""
    spec = JobSpec.load(folder.spec)
    audit = AuditReport.model_validate_json((folder.data / "audit.json").read_bytes())
    differences = []
    if file_sha256(wish.file) != spec.dataset.source_sha256:
        differences.append(f"the dataset ({spec.dataset.source_name} there)")
    if entry.name != spec.model.name:
        differences.append(f"the base model ({spec.model.name} there)")
    there = spec.hyperparameters.model_dump()
    now = _settle(wish, audit.longest_tokens, entry).model_dump()
    differences += [f"{name} ({there[name]} there, {now[name]} asked)" for name in now if now[name] != there[name]]
    if differences:
        raise RunFolderError(
            f"{folder.root} holds another run; it differs in {', '.join(differences)}.",
            hint="Choose another folder with --out, or repeat the first command to go on with that run.",
        )
    plan = TrainingPlan.model_validate_json((folder.root / PLAN_NAME).read_bytes())
    return ReadyRun(folder, spec, plan, audit, resumed=True)
