"""Preparation: both sides, audit, split and repair log appear together or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brightrun.contract.job_spec import file_sha256
from brightrun.datasets.audit import ReadOptions
from brightrun.datasets.prepare import PreparedDataset, prepare_dataset
from brightrun.datasets.prepared import read_prepared
from brightrun.datasets.split import Split
from brightrun.errors import DatasetError, RunFolderError
from tests.unit.test_datasets_builders import (
    audit,
    chat_record,
    llama3,
    said,
    three_conversations,
    write_json,
    write_lines,
)

Json = dict[str, Any]


def prepare(path: Path, out: Path, *, previous: Split | None = None, **options: Any) -> PreparedDataset:
    return prepare_dataset(
        path,
        out,
        chat=llama3(),
        options=ReadOptions(**options),
        validation_fraction=0.3,
        seed=7,
        previous=previous,
    )


def repair_log(prepared: PreparedDataset) -> list[Json]:
    return [json.loads(line) for line in (prepared.folder / "repair_log.jsonl").read_text("utf-8").splitlines()]


def many(count: int) -> list[Json]:
    return [chat_record(said(f"matter {index}", f"other {index}")) for index in range(count)]


def test_the_folder_holds_what_the_result_says(tmp_path: Path) -> None:
    source = write_json(tmp_path / "file.json", three_conversations())
    prepared = prepare(source, tmp_path / "out" / "data")
    folder = prepared.folder
    assert sorted(item.name for item in folder.iterdir()) == [
        "audit.json",
        "repair_log.jsonl",
        "split.json",
        "train.jsonl",
        "validation.jsonl",
    ]
    assert file_sha256(prepared.train_path) == prepared.train_sha256
    assert file_sha256(prepared.validation_path) == prepared.validation_sha256
    assert prepared.source_sha256 == file_sha256(source)
    assert Split.model_validate_json((folder / "split.json").read_bytes()).sha256() == prepared.split_sha256
    assert {item.id for item in read_prepared(prepared.validation_path)} == set(prepared.split.validation)
    assert prepared.train.answers + prepared.validation.answers == prepared.audit.trainable == 6
    assert prepared.train.trained_tokens + prepared.validation.trained_tokens == prepared.audit.trained_tokens
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_prepared_conversations_give_the_audited_tokens(tmp_path: Path) -> None:
    prepared = prepare(write_lines(tmp_path / "f", many(10)), tmp_path / "out")
    both = [*read_prepared(prepared.train_path), *read_prepared(prepared.validation_path)]
    encoded = [llama3().encode_conversation(item.chat_messages()) for item in both]
    assert sum(len(item.input_ids) for item in encoded) == prepared.audit.tokens
    assert sum(item.trained_tokens for item in encoded) == prepared.audit.trained_tokens


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "f", many(10))
    first, second = prepare(source, tmp_path / "a"), prepare(source, tmp_path / "b")
    names = ("train.jsonl", "validation.jsonl", "audit.json", "split.json", "repair_log.jsonl")
    assert all((first.folder / name).read_bytes() == (second.folder / name).read_bytes() for name in names)


def test_every_act_is_in_the_repair_log(tmp_path: Path) -> None:
    records = many(6)
    records[0]["messages"][2]["content"] += "\\n\\nRest."
    records[1]["messages"][4]["content"] += " cut\\"
    records[2]["messages"][2]["content"] += " cut\\"
    records[3] = chat_record(said(*(f"long {index}" for index in range(9))))
    prepared = prepare(
        write_lines(tmp_path / "f", records), tmp_path / "out", max_seq_length=500, overlength_policy="drop"
    )
    entries = repair_log(prepared)
    assert [(entry["kind"], entry.get("turn")) for entry in entries] == [
        ("repair", 2),
        ("exclude", 4),
        ("exclude", 2),
        ("exclude", 4),
        ("left_out", None),
        ("drop", None),
    ]
    drop = entries[-1]
    assert drop["tokens"] > drop["limit"] == 500
    assert drop["answers_lost"] == 9
    assert 0 < drop["trained_tokens_lost"] < drop["tokens"]
    assert sorted(prepared.split.left_out) == sorted(entry["conversation"] for entry in entries[-2:])
    assert len(prepared.split.train + prepared.split.validation) == 4


def test_json_repairs_are_in_the_repair_log(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    text = json.dumps(three_conversations(), indent=1).replace("0.8,", "0.8\\,").replace("0.8\n", "0.8\\\n")
    path.write_text(text, encoding="utf-8")
    entries = repair_log(prepare(path, tmp_path / "out", repair_json=True))
    assert {entry["kind"] for entry in entries} == {"json_repair"}
    assert len(entries) == text.count("0.8\\") == 13
    rows = text.splitlines()
    assert all(rows[entry["line"] - 1][entry["column"] - 1] == "\\" for entry in entries)


def test_excluded_answers_stay_as_untrained_context_or_go(tmp_path: Path) -> None:
    records = many(4)
    records[0]["messages"][2]["weight"] = 0
    records[1]["messages"][4]["content"] += " cut\\"
    prepared = prepare(write_lines(tmp_path / "f", records), tmp_path / "out")
    both = [*read_prepared(prepared.train_path), *read_prepared(prepared.validation_path)]
    trained = sorted([message.trained for message in item.messages] for item in both)
    assert trained == [
        [False, False, False, False, True],
        [False, False, True],
        [False, False, True, False, True],
        [False, False, True, False, True],
    ]


def refused(path: Path, out: Path, **options: Any) -> DatasetError:
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(DatasetError) as caught:
        prepare(path, out, **options)
    assert sorted(path.parent.rglob("*")) == before
    return caught.value


def test_a_refused_file_leaves_nothing_behind(tmp_path: Path) -> None:
    source = write_json(tmp_path / "file.json", three_conversations())
    longest = audit(source).longest_tokens
    error = refused(source, tmp_path / "out", max_seq_length=longest - 1)
    assert f"two: {longest} tokens, the limit is {longest - 1}" in error.message
    assert f"max_seq_length to {longest}" in error.hint
    assert isinstance(error.details["findings"], list)


def test_all_excluded_and_too_few_are_refused(tmp_path: Path) -> None:
    texts = said("rent")
    cut = [*texts[:1], texts[1] + "\\"]
    assert "0 of 2 answers" in refused(write_lines(tmp_path / "a", [chat_record(cut)] * 2), tmp_path / "out").message
    one = write_lines(tmp_path / "b", [chat_record(texts)])
    assert "at least 2 conversations" in refused(one, tmp_path / "out").message


def test_a_broken_end_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "f", many(6))
    first = prepare(source, tmp_path / "out")
    source.write_text(source.read_text("utf-8") + '{"messages": [', encoding="utf-8")
    refused(source, tmp_path / "out")
    assert file_sha256(first.train_path) == first.train_sha256


def test_an_older_preparation_is_replaced_and_other_folders_are_not(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "f", many(6))
    first = prepare(source, tmp_path / "out")
    again = prepare(write_lines(tmp_path / "g", many(9)), tmp_path / "out")
    assert file_sha256(again.train_path) == again.train_sha256 != first.train_sha256
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"letter\.txt"):
        prepare(source, tmp_path / "other")


def test_a_previous_split_is_kept(tmp_path: Path) -> None:
    first = prepare(write_lines(tmp_path / "f", many(8)), tmp_path / "a")
    second = prepare(write_lines(tmp_path / "g", many(20)), tmp_path / "b", previous=first.split)
    assert set(first.split.validation) <= set(second.split.validation)
    assert set(first.split.train) <= set(second.split.train)


def test_copies_stay_on_one_side(tmp_path: Path) -> None:
    records = [*many(8), *many(8)]
    split = prepare(write_lines(tmp_path / "f", records), tmp_path / "out").split
    partitions = [{name.removesuffix("-2") for name in partition} for partition in (split.train, split.validation)]
    assert partitions[0].isdisjoint(partitions[1])


def test_the_client_profile_reaches_the_prepared_system_prompt(tmp_path: Path) -> None:
    container = three_conversations()
    for pair in container["conversations"][0]["training_pairs"]:
        pair["conversation_metadata"] |= {"client_persona": "Ana - The Carer", "client_background": "Age 40."}
    prepared = prepare(write_json(tmp_path / "f", container), tmp_path / "out", client_profile="system_prompt")
    both = [*read_prepared(prepared.train_path), *read_prepared(prepared.validation_path)]
    systems = {item.id: item.messages[0].content for item in both}
    assert systems["one"].endswith("\n\nThe client: Ana - The Carer. Background: Age 40.")
    assert systems["two"] == "You are a calm consultant."


def test_a_damaged_prepared_file_is_told_by_line(tmp_path: Path) -> None:
    prepared = prepare(write_lines(tmp_path / "f", many(6)), tmp_path / "out")
    with prepared.train_path.open("a", encoding="utf-8") as stream:
        stream.write('{"id": "x"')
    with pytest.raises(DatasetError, match=f"line {prepared.train.conversations + 1} is not"):
        list(read_prepared(prepared.train_path))
    with pytest.raises(DatasetError, match="no prepared dataset"):
        list(read_prepared(tmp_path / "none.jsonl"))
