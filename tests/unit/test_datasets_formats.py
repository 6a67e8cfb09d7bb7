"""Every format is told from its content and read into conversations; an unknown one is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.detect import OpenedDataset, open_dataset
from brightrun.datasets.readers.notes import Notes
from brightrun.errors import DatasetError
from brightrun.templating.messages import Message
from tests.unit.test_datasets_builders import (
    SYSTEM,
    answer_about,
    audit,
    chat_record,
    finding,
    said,
    three_conversations,
    v4_lines,
    v4_pairs,
    write_json,
    write_lines,
)


def read(path: Path) -> tuple[str, list[Conversation], Notes]:
    notes = Notes(Problems(path.name))
    opened: OpenedDataset = open_dataset(path, notes)
    conversations = list(opened.conversations)
    notes.problems.refuse()
    return opened.format, conversations, notes


def test_container_gives_each_turn_once(tmp_path: Path) -> None:
    name, conversations, _ = read(write_json(tmp_path / "any.txt", three_conversations()))
    assert name == "brightrun-lora-v4"
    assert [item.id for item in conversations] == ["one", "two", "three"]
    assert [turn.content for turn in conversations[0].turns] == said("rent", "sleep")
    assert [turn.target for turn in conversations[0].turns] == [False, True, False, True]
    assert conversations[2].persona == "carer"
    assert conversations[1].messages()[-1] == Message("assistant", said("school", "wills", "taxes")[-1], trained=True)


def test_lines_give_what_the_container_gives(tmp_path: Path) -> None:
    container = three_conversations()
    _, whole, _ = read(write_json(tmp_path / "whole", container))
    name, lines, notes = read(write_lines(tmp_path / "lines", v4_lines(container)))
    assert name == "brightrun-lora-v4-jsonl"
    assert [item.messages() for item in lines] == [item.messages() for item in whole]
    assert [(item.id, item.persona, item.arc) for item in lines] == [
        (item.id, item.persona, item.arc) for item in whole
    ]
    assert notes.header.pairs == 13


def test_lines_and_container_have_the_same_audit_figures(tmp_path: Path) -> None:
    container = three_conversations()
    whole = audit(write_json(tmp_path / "whole", container))
    lines = audit(write_lines(tmp_path / "lines", v4_lines(container)))
    same = (
        "conversations",
        "turns",
        "answers",
        "trainable",
        "tokens",
        "tokens_separate",
        "trained_tokens",
        "personas",
    )
    assert {key: getattr(lines, key) for key in same} == {key: getattr(whole, key) for key in same}
    assert finding(lines, "unanswered_end").count == finding(whole, "unanswered_end").count == 1


def test_an_answer_that_only_histories_hold_is_context(tmp_path: Path) -> None:
    lines = [line for line in v4_lines(three_conversations()) if line.get("turn_number") != 2]
    _, conversations, _ = read(write_lines(tmp_path / "lines", lines))
    assert [turn.target for turn in conversations[0].turns] == [False, False, False, True]
    assert [message.trained for message in conversations[0].messages()] == [False, False, False, False, True]


def test_input_missing_from_the_history_is_added_once_and_told(tmp_path: Path) -> None:
    container = three_conversations()
    for conversation in container["conversations"]:
        for pair in conversation["training_pairs"]:
            if pair["target_response"] is not None:
                pair["conversation_history"].pop()
    report = audit(write_json(tmp_path / "file", container))
    assert finding(report, "input_not_in_history").count == 6
    assert report.tokens == audit(write_json(tmp_path / "clean", three_conversations())).tokens


@pytest.mark.parametrize("key", ["training_file_metadata", "input_parameters", "conversation_metadata"])
def test_a_file_of_one_conversation(tmp_path: Path, key: str) -> None:
    document = {key: {"conversation_id": "alone"}, "training_pairs": v4_pairs(said("rent"))}
    name, conversations, _ = read(write_json(tmp_path / "file", document))
    assert name == "brightrun-lora-v4-single"
    assert [turn.content for turn in conversations[0].turns] == said("rent")
    assert (conversations[0].id == "alone") == (key == "conversation_metadata")


def test_version_three_begins_anew_where_turns_restart(tmp_path: Path) -> None:
    pairs = v4_pairs(said("rent", "sleep")) + v4_pairs(said("school"))
    name, conversations, _ = read(write_json(tmp_path / "file", {"dataset_metadata": {}, "training_pairs": pairs}))
    assert name == "brightrun-lora-v3"
    assert [len(item.turns) for item in conversations] == [4, 2]
    assert len({item.id for item in conversations}) == 2


def test_openai_chat_honours_weight_zero(tmp_path: Path) -> None:
    record = chat_record(said("rent", "sleep"))
    record["messages"][2]["weight"] = 0
    name, conversations, _ = read(write_lines(tmp_path / "file", [record, chat_record(said("school"))]))
    assert name == "openai-chat-jsonl"
    assert [turn.target for turn in conversations[0].turns] == [False, False, False, True]
    assert conversations[0].system == SYSTEM


def test_openai_content_in_parts(tmp_path: Path) -> None:
    record = chat_record(said("rent"))
    record["messages"][1]["content"] = [
        {"type": "text", "text": "Hello, "},
        {"type": "text", "text": "there"},
    ]
    _, conversations, _ = read(write_lines(tmp_path / "file", [record, record]))
    assert conversations[0].turns[0].content == "Hello, there"
    assert conversations[1].id == conversations[0].id + "-2"


def test_sharegpt_in_a_list_and_in_lines(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "Where do I begin?"}, {"from": "gpt", "value": answer_about("rent")}]
    records: list[dict[str, Any]] = [
        {"id": "a", "conversations": [{"from": "system", "value": SYSTEM}, *turns]},
        {"id": "b", "system": "Other.", "conversations": turns},
    ]
    for path in (write_json(tmp_path / "list", records), write_lines(tmp_path / "lines", records)):
        name, conversations, _ = read(path)
        assert name == "sharegpt"
        assert [(item.id, item.system) for item in conversations] == [("a", SYSTEM), ("b", "Other.")]
        assert [turn.role for turn in conversations[0].turns] == ["user", "assistant"]


def test_alpaca_in_a_list_and_in_lines(tmp_path: Path) -> None:
    records = [
        {"instruction": "Say it shorter.", "input": "A long text.", "output": "Short."},
        {"instruction": "Greet.", "input": "", "output": "Hello."},
    ]
    for path in (write_json(tmp_path / "list", records), write_lines(tmp_path / "lines", records)):
        name, conversations, _ = read(path)
        assert name == "alpaca"
        assert [item.turns[0].content for item in conversations] == [
            "Say it shorter.\n\nA long text.",
            "Greet.",
        ]
        assert [item.turns[1].content for item in conversations] == ["Short.", "Hello."]


def test_ids_made_of_content_do_not_depend_on_the_order(tmp_path: Path) -> None:
    records = [chat_record(said(topic)) for topic in ("rent", "sleep", "school")]
    _, forward, _ = read(write_lines(tmp_path / "a", records))
    _, backward, _ = read(write_lines(tmp_path / "b", records[::-1]))
    assert [item.id for item in forward] == [item.id for item in backward][::-1]


def test_one_line_is_enough(tmp_path: Path) -> None:
    name, conversations, _ = read(write_lines(tmp_path / "file", [chat_record(said("rent"))]))
    assert name == "openai-chat-jsonl"
    assert len(conversations) == 1


def test_byte_order_mark_crlf_and_blank_lines_are_tolerated(tmp_path: Path) -> None:
    path = tmp_path / "file"
    lines = [json.dumps(chat_record(said(topic))) for topic in ("rent", "sleep")]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode() + b"\r\n\r\n")
    _, conversations, _ = read(path)
    assert [item.place for item in conversations] == ["line 1", "line 3"]
    whole = tmp_path / "whole"
    whole.write_bytes(b"\xef\xbb\xbf" + json.dumps(three_conversations(), indent=1).replace("\n", "\r\n").encode())
    assert read(whole)[0] == "brightrun-lora-v4"


def test_unknown_format_names_what_was_looked_for_and_found(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read(write_json(tmp_path / "file.json", {"rows": [], "schema": 1}))
    assert "`rows`, `schema`" in caught.value.message
    assert "brightrun-lora-v4" in caught.value.message
    assert "`messages`" in caught.value.message
    assert caught.value.details["found"] == ["rows", "schema"]


@pytest.mark.parametrize("value", [3, "text", None, [1, 2]])
def test_json_that_holds_no_records_is_unknown(tmp_path: Path, value: object) -> None:
    with pytest.raises(DatasetError, match="no known format"):
        read(write_json(tmp_path / "file.json", value))
