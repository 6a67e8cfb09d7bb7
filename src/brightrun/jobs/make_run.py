"""From a file, a base model and a recipe to a run's folder: audit first, then the plan, then the frozen spec."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from brightrun.catalogue.folders import read_model_record
from brightrun.catalogue.models import BaseModelEntry
from brightrun.catalogue.shapes import entry_of_folder
from brightrun.chat.batches import SequenceSize
from brightrun.chat.chat_model import ChatModel
from brightrun.chat.model_folder import load_chat_model
from brightrun.chat.separate import separate_examples
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.audit import AuditReport
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.prepare import PreparedDataset, prepare_dataset
from brightrun.datasets.prepared import read_prepared
from brightrun.errors import NotEnoughMemory
from brightrun.files import write_model
from brightrun.planning.device import DeviceGuess
from brightrun.planning.plan import TrainingPlan, plan_training
from brightrun.planning.settle import Override, settle_hyperparameters

PLAN_NAME = "plan.json"


@dataclass(frozen=True, slots=True)
class RunWish:
    """What a run is to be made of. `overrides` are single settings of the recipe, as text or typed."""

    file: Path
    model_folder: Path
    recipe: str
    overrides: Mapping[str, Override]
    client_profile: str = "keep"
    repair_json: bool = False

    def entry(self) -> BaseModelEntry:
        return entry_of_folder(self.model_folder)

    def settle(self, longest_tokens: int) -> Hyperparameters:
        """The recipe with the overrides, for data whose longest sequence has that many tokens."""
        return settle_hyperparameters(
            self.recipe, self.overrides, longest_tokens=longest_tokens, context_length=self.entry().context_length
        )


@dataclass(frozen=True, slots=True)
class MadeRun:
    """A run's folder with everything a worker needs."""

    folder: RunFolder
    spec: JobSpec
    plan: TrainingPlan
    audit: AuditReport


def make_run(
    wish: RunWish,
    folder: RunFolder,
    *,
    device: Callable[[], DeviceGuess],
    job_id: str | None = None,
    source_name: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MadeRun:
    """Prepare the data, settle the hyperparameters, plan, and write `job.json` last: without it there is no run.

    Raises:
        DatasetError, ModelError, RecipeError: what was wished for cannot be made.
        NotEnoughMemory: the plan does not fit the device; `details["plan"]` is the plan.
        NotEnoughDisk
    """
    chat = load_chat_model(wish.model_folder)
    prepared = _prepare(wish, folder, chat, progress)
    hyperparameters = wish.settle(prepared.audit.longest_tokens)
    separate = hyperparameters.sequences == "answer"
    plan = plan_training(
        _sizes(prepared.train_path, chat, separate=separate),
        hyperparameters,
        wish.entry(),
        device=device(),
        held_out=_sizes(prepared.held_out_path, chat, separate=False),
    )
    if plan.fits is False:
        raise NotEnoughMemory(
            f"This run needs {plan.memory_in_words()}.", details={"plan": plan.model_dump(mode="json")}
        )
    write_model(folder.root / PLAN_NAME, plan)
    spec = JobSpec(
        job_id=job_id or str(uuid.uuid4()),
        recipe=wish.recipe,
        hyperparameters=hyperparameters,
        model=_model_ref(wish.model_folder),
        dataset=_dataset_ref(prepared, source_name or prepared.source_name),
    )
    write_model(folder.spec, spec)
    return MadeRun(folder, spec, plan, prepared.audit)


def _prepare(
    wish: RunWish, folder: RunFolder, chat: ChatModel, progress: Callable[[int, int], None] | None
) -> PreparedDataset:
    draft = wish.settle(0)
    limit = draft.max_seq_length if wish.overrides.get("max_seq_length") else wish.entry().context_length
    options = ReadOptions.model_validate(
        {
            "max_seq_length": limit,
            "over_length": draft.over_length,
            "client_profile": wish.client_profile,
            "repair_json": wish.repair_json,
        }
    )
    folder.root.mkdir(parents=True, exist_ok=True)
    return prepare_dataset(
        wish.file,
        folder.data,
        chat=chat,
        options=options,
        held_out_fraction=draft.held_out_fraction,
        seed=draft.seed,
        progress=progress,
    )


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
    return ModelRef(name=record.name, hub_id=record.hub_id, revision=record.version, path=str(folder))


def _dataset_ref(prepared: PreparedDataset, source_name: str) -> DatasetRef:
    return DatasetRef(
        source_name=source_name,
        source_sha256=prepared.source_sha256,
        train_path="data/train.jsonl",
        train_sha256=prepared.train_sha256,
        held_out_path="data/held_out.jsonl",
        held_out_sha256=prepared.held_out_sha256,
        split_sha256=prepared.split_sha256,
    )
