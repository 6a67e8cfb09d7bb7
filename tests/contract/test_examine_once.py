"""A dataset is encoded once for each tokenizer, and what is kept of it is used only while it is what it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from brightrun.contract.hyperparameters import ExampleUnit, Hyperparameters
from brightrun.contract.run_folder import RunFolder
from brightrun.database.tables import TrainingJob
from brightrun.datasets import examined
from brightrun.datasets.audit import audit_dataset
from brightrun.datasets.examined import ExaminedDataset, examine_dataset, read_examined
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.prepare import FILES
from brightrun.datasets.prepared import read_prepared
from brightrun.errors import DatasetError
from brightrun.jobs import examine_once as module
from brightrun.jobs.add_dataset import add_dataset, remove_dataset
from brightrun.jobs.examine_once import examine_once, forget_deleted
from brightrun.jobs.studio import Studio
from brightrun.jobs.submit import JobRequest, plan_job, submit_job
from brightrun.runs.examples import example_sizes, training_examples, validation_examples
from brightrun.runs.general_questions import all_questions
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.llama3 import llama3_chat_model
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.run_job import _prepare
from tests.unit.tiny_chat_model import CHATML, CHATML_CONFIG, write_model
from tests.unit.web_studio import ME, SOMEBODY_ELSE, a_studio

TINY = "tiny-llama"


pytestmark = pytest.mark.worker


@pytest.fixture
def trained(tmp_path: Path, tiny_model: Path) -> Iterator[Studio]:
    with a_studio(tmp_path, models=tiny_model.parent) as (studio, _):
        yield studio


class Encodes:
    """How often conversations are encoded, by whose template."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        encode = ChatModel._sequences
        general = {question.question for question in all_questions()}

        def counted(model: ChatModel, messages: Any) -> Any:
            if messages[0].content not in general:  # once in a process and tokenizer, whatever the dataset
                self.names.append(model.name)
            return encode(model, messages)

        monkeypatch.setattr(ChatModel, "_sequences", counted)

    def taken(self) -> int:
        """How many since this was asked last."""
        found, self.names = len(self.names), []
        return found


def start(studio: Studio, file_id: str, **settings: Any) -> TrainingJob:
    request = JobRequest(training_file_id=file_id, base_model=TINY, recipe="quickstart", hyperparameters=settings)
    return submit_job(studio, request, owner_id=ME)


def stored(studio: Studio, path: Path, owner: str = ME) -> str:
    return add_dataset(studio, owner_id=owner, file_name=path.name, source=path).id


def test_every_tokenizer_encodes_a_dataset_once_however_often_it_is_planned_and_started(
    trained: Studio, sample_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llama3_chat_model()
    encodes = Encodes(monkeypatch)
    file_id = stored(trained, sample_dataset)
    conversations = encodes.taken()
    assert conversations > 20
    plan_job(trained, JobRequest(training_file_id=file_id, base_model="llama-3.1-8b-instruct"), owner_id=ME)
    assert encodes.taken() == 0, "the audit of the upload counted with this very tokenizer"
    plan_job(trained, JobRequest(training_file_id=file_id, base_model=TINY), owner_id=ME)
    assert 0 < encodes.taken() - conversations <= 2, "each conversation, and what a template is tried with"
    job = start(trained, file_id)
    start(trained, file_id, seed=7, r=4, example_unit="answer", validation_fraction=0.3)
    assert encodes.taken() == 0
    assert stored(trained, sample_dataset, SOMEBODY_ELSE) != file_id
    assert encodes.taken() == 0, "the same bytes"
    run = RunFolder(trained.run_folder(job.id).root)
    _prepare_by_worker(run)
    assert conversations <= encodes.taken() <= conversations + 2, "the worker looks for itself, once"


def _prepare_by_worker(run: RunFolder) -> None:
    from brightrun.worker.event_log import EventLog

    log = EventLog(run.event_log)
    _prepare(run, log)
    log.close()


def test_a_job_is_the_same_whether_its_data_were_kept_or_not(trained: Studio, sample_dataset: Path) -> None:
    file_id = stored(trained, sample_dataset)
    first = start(trained, file_id)
    again = start(trained, file_id)
    remove_kept(trained)
    anew = start(trained, file_id)
    folders = [trained.run_folder(job.id).data for job in (first, again, anew)]
    for name in FILES:
        assert len({(folder / name).read_bytes() for folder in folders}) == 1, name
    assert len({counted(job) for job in (first, again, anew)}) == 1
    assert {path.name for path in folders[0].iterdir()} == FILES


def counted(job: TrainingJob) -> tuple[int, ...]:
    plan = job.plan
    assert plan is not None
    return plan.tokens_total, plan.trained_tokens_per_epoch, plan.longest_tokens, plan.steps


def remove_kept(studio: Studio) -> None:
    for folder in (studio.home / "examined").iterdir():
        module.forget_examined(studio, folder.name)


@pytest.mark.parametrize("harm", ["a line is changed", "a line is cut off", "nothing is listed", "a file is gone"])
def test_what_was_changed_since_is_not_used(
    trained: Studio, sample_dataset: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = stored(trained, sample_dataset)
    wanted = start(trained, file_id)
    for path in (trained.home / "examined").rglob(examined.CONVERSATIONS):
        match harm:
            case "a line is changed":
                path.write_bytes(path.read_bytes().replace(b"the", b"teh", 1))
            case "a line is cut off":
                path.write_bytes(path.read_bytes()[:-200])
            case "nothing is listed":
                path.with_name(examined.EXAMINED).write_text("{}", encoding="utf-8")
            case _:
                path.with_name(examined.REPAIR_LOG).unlink()
    encodes = Encodes(monkeypatch)
    job = start(trained, file_id)
    assert encodes.taken() > 20
    assert job.spec["dataset"] == wanted.spec["dataset"]


def test_other_code_examines_anew(trained: Studio, sample_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = stored(trained, sample_dataset)
    start(trained, file_id)
    encodes = Encodes(monkeypatch)
    monkeypatch.setattr(module, "_code", lambda: "of the next version")
    start(trained, file_id)
    assert encodes.taken() > 20


def fetched(studio: Studio, path: Path, chat: ChatModel, **options: Any) -> ExaminedDataset:
    return examine_once(studio, "ab" * 32, chat, ReadOptions(**options), source=lambda _: path)


def test_a_limit_changes_nothing_until_a_conversation_reaches_it(trained: Studio, sample_dataset: Path) -> None:
    chat = llama3_chat_model()
    longest = fetched(trained, sample_dataset, chat).audit.longest_tokens
    for limit in (longest, longest + 100):
        read = ReadOptions(max_seq_length=limit, overlength_policy="drop")
        kept = fetched(trained, sample_dataset, chat, max_seq_length=limit, overlength_policy="drop")
        assert kept.audit == audit_dataset(sample_dataset, chat=chat, options=read)
    below = fetched(trained, sample_dataset, chat, max_seq_length=longest - 1, overlength_policy="drop")
    assert below.audit.dropped >= 1
    assert len(list(below.conversations())) == below.audit.conversations - len(below.left_out)
    refused = fetched(trained, sample_dataset, chat, max_seq_length=longest - 1)
    assert refused.audit.refused


def test_lengths_are_those_of_the_encoded_examples(tmp_path: Path, sample_dataset: Path, tiny_model: Path) -> None:
    chatml = load_chat_model(write_model(tmp_path / "chatml", CHATML, CHATML_CONFIG))
    for number, chat in enumerate((llama3_chat_model(), load_chat_model(tiny_model), chatml)):
        found = examine_dataset(sample_dataset, tmp_path / str(number), chat=chat, options=ReadOptions())
        prepared = list(read_prepared(found.path))
        units: tuple[ExampleUnit, ...] = ("conversation", "answer")
        for unit in units:
            encoded = training_examples(prepared, chat, Hyperparameters(example_unit=unit))
            assert list(example_sizes(found.conversations(), unit)) == [each.size for each in encoded], (
                chat.name,
                unit,
            )
        whole = [each.encoded.answer_spans for each in validation_examples(prepared, chat)]
        assert [list(each.answer_spans) for each in found.conversations()] == whole
        assert read_examined(tmp_path / str(number)) == found


def test_a_file_that_cannot_be_read_keeps_nothing(trained: Studio, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DatasetError):
        stored(trained, path)
    assert not list((trained.home / "examined").rglob("*.jsonl"))


def test_a_deleted_dataset_is_forgotten_here_and_in_other_studios(
    trained: Studio, sample_dataset: Path, tmp_path: Path
) -> None:
    other = copy_of(sample_dataset, tmp_path / "other.json")
    kept, deleted = stored(trained, sample_dataset), stored(trained, other)
    assert len(list((trained.home / "examined").iterdir())) == 2
    remove_dataset(trained, owner_id=ME, file_id=deleted)
    assert len(list((trained.home / "examined").iterdir())) == 1

    stored(trained, other)
    with trained.database.session() as session:  # another studio on the same database deletes it
        module.files.delete(session, stored(trained, other), owner_id=ME, now=trained.clock())
    assert forget_deleted(trained) == 0, "it was used a moment ago, and may be an upload"
    for folder in (trained.home / "examined").iterdir():
        os.utime(folder, (0, 0))
    assert forget_deleted(trained, unused_for=timedelta(hours=1)) == 1
    start(trained, kept)


def test_only_so_many_datasets_are_kept(
    trained: Studio, sample_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DATASETS", 2)
    first = stored(trained, sample_dataset)
    for folder in (trained.home / "examined").iterdir():
        os.utime(folder, (0, 0))
    for number in range(2):
        stored(trained, copy_of(sample_dataset, tmp_path / f"{number}.json"))
    assert len(list((trained.home / "examined").iterdir())) == 2
    assert start(trained, first).total_steps


def copy_of(path: Path, target: Path) -> Path:
    """The same conversations in other bytes."""
    document = json.loads(path.read_text(encoding="utf-8"))
    target.write_text(json.dumps(document, indent=len(target.stem)), encoding="utf-8")
    return target
