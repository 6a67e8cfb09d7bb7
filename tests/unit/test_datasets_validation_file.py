"""A validation file of one's own: kept aside whole, trained on not at all, and refused where it overlaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brightrun.datasets.examined import examine_dataset
from brightrun.datasets.options import ReadingChoices
from brightrun.datasets.prepare import PreparedDataset, divide_dataset, prepare_dataset
from brightrun.datasets.prepared import read_prepared
from brightrun.errors import DatasetError
from tests.unit.test_datasets_builders import ReadOptions, audit, chat_record, finding, llama3, said, write_lines

TRAINED, KEPT = ("rent", "sleep", "wills"), ("garden", "school")


def files(tmp_path: Path, *, also: tuple[str, ...] = ()) -> tuple[Path, Path]:
    training = write_lines(tmp_path / "training", [{**chat_record(said(topic)), "id": topic} for topic in TRAINED])
    validation_file = [{**chat_record(said(topic)), "id": TRAINED[0]} for topic in (*KEPT, *also)]
    return training, write_lines(tmp_path / "validation-file", validation_file)


def prepare(path: Path, validation_file: Path, **options: Any) -> PreparedDataset:
    return prepare_dataset(
        path, path.parent / "out", chat=llama3(), options=ReadOptions(**options), validation_fraction=0.1, seed=1,
        validation_file=validation_file,
    )  # fmt: skip


def test_its_conversations_and_no_others_are_kept_aside(tmp_path: Path) -> None:
    training, validation_file = files(tmp_path)
    prepared = prepare(training, validation_file)
    trained = [each.messages[-1].content for each in read_prepared(prepared.train_path)]
    kept = [each.messages[-1].content for each in read_prepared(prepared.validation_path)]
    assert trained == [said(topic)[-1] for topic in TRAINED]
    assert kept == [said(topic)[-1] for topic in KEPT]
    assert prepared.split.train == sorted(TRAINED)
    assert prepared.split.validation == ["rent-2", "rent-2-2"]  # its ids stand in the training file
    told = prepared.audit
    assert (told.validation_file, told.validation_file_conversations, told.conversations) == ("validation-file", 2, 5)
    assert told.validation_file_sha256 != told.sha256


def test_its_own_choices_hold_for_it(tmp_path: Path) -> None:
    training, validation_file = files(tmp_path, also=("letter",))
    examined = examine_dataset(
        training, tmp_path / "examined", chat=llama3(), options=ReadOptions(choose=("1-2",)),
        validation_file=validation_file, validation_choices=ReadingChoices(choose=("2", "3")),
    )  # fmt: skip
    prepared = divide_dataset(
        examined, tmp_path / "out", source_name="mine", validation_name="theirs", validation_fraction=0.1, seed=1
    )
    kept = [each.messages[-1].content for each in read_prepared(prepared.validation_path)]
    assert kept == [said(topic)[-1] for topic in ("school", "letter")]
    assert prepared.split.train == ["rent", "sleep"]
    assert (prepared.audit.file_name, prepared.audit.validation_file) == ("mine", "theirs")


def test_one_conversation_is_enough_for_each_side(tmp_path: Path) -> None:
    one = write_lines(tmp_path / "one", [chat_record(said("rent"))])
    other = write_lines(tmp_path / "other", [chat_record(said("sleep"))])
    assert audit(one).refused
    prepared = prepare(one, other)
    assert (len(prepared.split.train), len(prepared.split.validation)) == (1, 1)


def test_a_conversation_that_stands_in_both_is_refused(tmp_path: Path) -> None:
    training, validation_file = files(tmp_path, also=("sleep",))
    with pytest.raises(DatasetError, match=r"rent-3: is much like sleep of the training file"):
        prepare(training, validation_file)
    assert not (tmp_path / "out").exists()


def test_near_duplicates_inside_one_file_are_no_overlap(tmp_path: Path) -> None:
    training, validation_file = files(tmp_path, also=KEPT)
    assert len(prepare(training, validation_file).split.validation) == 4


def test_a_validation_file_with_nothing_to_use_is_refused(tmp_path: Path) -> None:
    training, validation_file = files(tmp_path)
    records = [{**chat_record(said(topic)), "weight": 0} for topic in KEPT]
    with pytest.raises(DatasetError, match="The validation file has no conversation that can be used"):
        prepare(training, write_lines(validation_file, records))


def test_problems_name_the_file_they_are_in(tmp_path: Path) -> None:
    training, validation_file = files(tmp_path)
    write_lines(validation_file, [chat_record(["Only me."])])
    with pytest.raises(DatasetError, match=r"^validation-file, line 1: the conversation has no answers"):
        prepare(training, validation_file)


def test_choices_of_which_records_are_of_the_training_file(tmp_path: Path) -> None:
    training, validation_file = files(tmp_path)
    prepared = prepare(training, validation_file, choose=("1-2",))
    assert prepared.split.train == ["rent", "sleep"]
    assert len(prepared.split.validation) == 2
    assert not [each for each in prepared.audit.findings if each.check == "validation_overlap"]
    assert finding(prepared.audit, "repeated_ids").count == 1
