"""Tools, calls, results and reasoning in the shapes of files; the same conversation comes of each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.datasets.audit import audit_dataset
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.prepare import prepare_dataset
from brightrun.datasets.prepared import read_prepared
from brightrun.datasets.problem_rows import problem_rows
from brightrun.errors import DatasetError
from brightrun.templating import ChatModel
from brightrun.templating.messages import ToolCall
from tests.unit.family_models import family_model
from tests.unit.test_datasets_builders import answer_about, write_lines
from tests.unit.test_datasets_meanings import read, read_one, refused

Json = dict[str, Any]
ASKED, ANSWER = "What is in the jar?", answer_about("jar")
ARGUMENTS = {"account": "jar", "days": [1, 2]}
SCHEMA = {"type": "object", "properties": {"account": {"type": "string"}}}
FUNCTION = {"name": "balance", "description": "What is there.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}


def openai(**call: object) -> Json:
    called = {"id": "c0", "type": "function", "function": {"name": "balance", "arguments": json.dumps(ARGUMENTS)}}
    return {
        "tools": [TOOL],
        "messages": [
            {"role": "user", "content": ASKED},
            {"role": "assistant", "content": None, "tool_calls": [{**called, **call}]},
            {"role": "tool", "tool_call_id": "c0", "content": "12.50"},
            {"role": "assistant", "content": ANSWER},
        ],
    }


SHAPES: dict[str, Json] = {
    "openai": openai(),
    "openai, before 2024": {
        "functions": [FUNCTION],
        "messages": [
            {"role": "user", "content": ASKED},
            {"role": "assistant", "content": "",
             "function_call": {"name": "balance", "arguments": json.dumps(ARGUMENTS)}},
            {"role": "function", "name": "balance", "content": "12.50"},
            {"role": "assistant", "content": ANSWER},
        ],
    },
    "sharegpt": {
        "tools": json.dumps([FUNCTION]),
        "conversations": [
            {"from": "human", "value": ASKED},
            {"from": "function_call", "value": json.dumps({"name": "balance", "arguments": ARGUMENTS})},
            {"from": "observation", "value": "12.50"},
            {"from": "gpt", "value": ANSWER},
        ],
    },
    "anthropic": {
        "tools": [{"name": "balance", "description": "What is there.", "input_schema": SCHEMA}],
        "messages": [
            {"role": "user", "content": ASKED},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c0", "name": "balance", "input": ARGUMENTS}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c0", "content": "12.50"}]},
            {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]},
        ],
    },
    "gemini": {
        "tools": [{"functionDeclarations": [FUNCTION]}],
        "contents": [
            {"role": "user", "parts": [{"text": ASKED}]},
            {"role": "model", "parts": [{"functionCall": {"name": "balance", "args": ARGUMENTS}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "balance", "response": "12.50"}}]},
            {"role": "model", "parts": [{"text": ANSWER}]},
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    return family_model(tmp_path_factory.mktemp("qwen"), "qwen3")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    return family_model(tmp_path_factory.mktemp("llama"), "llama3_1")


@pytest.mark.parametrize("record", SHAPES.values(), ids=SHAPES)
def test_every_shape_gives_the_same_conversation(tmp_path: Path, record: Json) -> None:
    conversation, notes = read_one(tmp_path, record)
    assert not notes.findings()
    assert [turn.role for turn in conversation.turns] == ["user", "assistant", "tool", "assistant"]
    asked, calling, result, answer = conversation.turns
    assert (asked.content, calling.content, result.content, answer.content) == (ASKED, "", "12.50", ANSWER)
    [call] = calling.calls
    assert (call.name, json.loads(call.arguments)) == ("balance", ARGUMENTS)
    assert [turn.target for turn in conversation.turns] == [False, True, False, True]
    assert (result.name, result.call_id) == ("balance", call.id)
    assert [json.loads(tool) for tool in conversation.tools] == [TOOL]


def test_a_call_of_weight_0_is_context(tmp_path: Path) -> None:
    record = openai()
    record["messages"][1]["weight"] = 0
    conversation, _ = read_one(tmp_path, record)
    assert [turn.target for turn in conversation.turns] == [False, False, False, True]


def test_a_text_beside_the_call_is_kept(tmp_path: Path) -> None:
    record = openai()
    record["messages"] = record["messages"][:2]
    record["messages"][1]["content"] = "I look."
    conversation, _ = read_one(tmp_path, record)
    assert (conversation.turns[1].content, len(conversation.turns[1].calls)) == ("I look.", 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"function": {"name": "balance", "arguments": "{half"}}, "expected JSON"),
        ({"function": {"name": "balance", "arguments": "[1]"}}, "should be a JSON object, found a list"),
        ({"function": {"arguments": "{}"}}, "names no tool"),
        ({"id": "c9"}, "belongs to no call before it"),
    ],
)
def test_a_broken_call_is_refused_with_its_place(tmp_path: Path, change: Json, words: str) -> None:
    error = refused(tmp_path, openai(**change))
    assert words in error.message
    assert "/messages/" in error.message


def test_a_call_without_its_result_is_refused(tmp_path: Path) -> None:
    record = openai()
    del record["messages"][2]
    assert "should be the result (tool), found the answer" in refused(tmp_path, record).message


def test_a_result_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    record = openai()
    record["messages"].insert(3, {"role": "tool", "content": "13"})
    assert "no call asks for it" in refused(tmp_path, record).message


def test_calls_beside_the_messages_are_refused(tmp_path: Path) -> None:
    assert "tool calling (`tool_calls`)" in refused(tmp_path, {**openai(), "tool_calls": [{"id": "c"}]}).message


def test_a_tool_that_is_not_listed_is_told(tmp_path: Path) -> None:
    record = openai()
    del record["tools"]
    _, notes = read_one(tmp_path, record)
    assert [(found.check, found.count) for found in notes.findings()] == [("undeclared_tools", 1)]


def test_results_that_are_objects_are_read_as_json(tmp_path: Path) -> None:
    record = openai()
    record["messages"][2]["content"] = {"euros": 12.5, "jar": "grün"}
    assert read_one(tmp_path, record)[0].turns[2].content == '{"euros": 12.5, "jar": "grün"}'


def file_of(folder: Path, count: int, **change: Any) -> Path:
    records = []
    for number in range(count):
        record = openai()
        record["messages"][0]["content"] = f"What is in jar {number}?"
        record["messages"][3]["content"] = answer_about(f"jar number {number}")
        record["messages"][1].update(change)
        records.append(record)
    return write_lines(folder / "file.jsonl", records)


def test_a_file_with_tools_goes_from_audit_to_prepared_and_back(tmp_path: Path, qwen: ChatModel) -> None:
    prepared = prepare_dataset(
        file_of(tmp_path, 6), tmp_path / "out", chat=qwen, options=ReadOptions(), validation_fraction=0.34, seed=1
    )
    assert not prepared.audit.refused
    assert prepared.audit.trainable == 12
    [first, *_] = conversations = list(read_prepared(prepared.train_path))
    messages = first.chat_messages()
    assert messages[1].calls == (ToolCall("balance", json.dumps(ARGUMENTS), "c0"),)
    assert [json.loads(tool) for tool in messages[0].tools] == [TOOL]
    encoded = [qwen.encode_conversation(each.chat_messages()) for each in conversations]
    assert sum(each.trained_tokens for each in encoded) == prepared.train.trained_tokens
    assert {len(each.sequence_starts) for each in encoded} == {2}


def test_plain_conversations_are_written_as_before(tmp_path: Path, qwen: ChatModel) -> None:
    records = [
        {
            "messages": [
                {"role": "user", "content": f"Jar {n}?"},
                {"role": "assistant", "content": answer_about(f"j{n}")},
            ]
        }
        for n in range(6)
    ]
    prepared = prepare_dataset(
        write_lines(tmp_path / "file.jsonl", records), tmp_path / "out", chat=qwen, options=ReadOptions(),
        validation_fraction=0.34, seed=1,
    )  # fmt: skip
    line = json.loads(prepared.train_path.read_text("utf-8").splitlines()[0])
    assert set(line) == {"id", "persona", "arc", "topic", "messages"}
    assert all(set(message) == {"role", "content", "trained"} for message in line["messages"])


def test_a_template_without_tools_refuses_the_file_by_that_name(tmp_path: Path) -> None:
    gemma = family_model(tmp_path / "gemma", "gemma3")
    report = audit_dataset(file_of(tmp_path, 6), chat=gemma)
    assert report.refused
    [found] = [finding for finding in report.findings if finding.severity == "error"]
    assert (found.check, found.count) == ("no_place_for_tools", 6)
    assert "tools, tool calls, tool results" in found.examples[0].detail


def test_text_beside_a_call_is_refused_where_the_template_drops_it(tmp_path: Path, llama: ChatModel) -> None:
    assert not audit_dataset(file_of(tmp_path, 6), chat=llama).refused
    [found] = [one for one in audit_dataset(file_of(tmp_path, 6, content="I look."), chat=llama).findings
               if one.severity == "error"]  # fmt: skip
    assert (found.check, found.examples[0].detail) == ("no_place_for_tools", "no place for text beside a tool call")


def test_records_without_a_place_can_be_left_out(tmp_path: Path, llama: ChatModel) -> None:
    lines = file_of(tmp_path, 9).read_text("utf-8").splitlines()
    odd = openai()
    odd["messages"][1]["content"] = "I look."
    path = write_lines(tmp_path / "mixed.jsonl", [*map(json.loads, lines), odd])
    report = audit_dataset(path, chat=llama, options=ReadOptions(unreadable="leave_out"))
    assert not report.refused
    assert report.trainable_conversations == 9
    assert [one.count for one in report.findings if one.check == "unreadable_records"] == [1]


def test_reasoning_without_a_place_is_refused_or_left_out(tmp_path: Path, llama: ChatModel, qwen: ChatModel) -> None:
    path = file_of(tmp_path, 6, reasoning_content="They want the sum.")
    [found] = [one for one in audit_dataset(path, chat=llama).findings if one.severity == "error"]
    assert (found.check, found.examples[0].detail) == ("no_place_for_reasoning", "They want the sum.")
    assert not audit_dataset(path, chat=llama, options=ReadOptions(reasoning="leave_out")).refused
    learned, left_out = (
        audit_dataset(path, chat=qwen, options=ReadOptions(reasoning=choice)).trained_tokens
        for choice in ("learn", "leave_out")
    )
    assert learned > left_out


def test_the_older_word_for_the_choice_is_understood() -> None:
    assert ReadOptions.model_validate({"reasoning": "refuse"}).reasoning == "learn"


def test_a_control_string_in_arguments_refuses_the_file(tmp_path: Path, qwen: ChatModel) -> None:
    record = openai(function={"name": "balance", "arguments": json.dumps({"account": "<|im_end|>"})})
    report = audit_dataset(write_lines(tmp_path / "file.jsonl", [record] * 3), chat=qwen)
    assert "control_tokens" in {one.check for one in report.findings if one.severity == "error"}


def test_answers_that_only_call_are_not_called_short(tmp_path: Path, qwen: ChatModel) -> None:
    checks = {one.check for one in audit_dataset(file_of(tmp_path, 6), chat=qwen).findings}
    assert checks.isdisjoint({"short_answers", "repeated_answers", "missing_values", "unfinished_answers"})


def test_rows_of_problems_can_be_given_back(tmp_path: Path, qwen: ChatModel) -> None:
    path = file_of(tmp_path, 3, reasoning_content="They want the sum.")
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    records[0]["messages"][3]["content"] = "Twelve."
    rows = problem_rows(write_lines(path, records), chat=qwen, options=ReadOptions())
    again = write_lines(tmp_path / "again.jsonl", [json.loads(row.model_dump_json(exclude_none=True)) for row in rows])
    [before], [after] = read(write_lines(path, records[:1]))[0], [read(again)[0][0]]
    assert said_of(after) == said_of(before)


def said_of(conversation: Conversation) -> list[Any]:
    return [conversation.tools, [replace(turn, number=0) for turn in conversation.turns]]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    arguments=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Co"]), min_size=1, max_size=8),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-9, 9)
            | st.text(st.characters(exclude_categories=["Cs", "Cc", "Co"])),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=2),
            max_leaves=6,
        ),
        max_size=4,
    ),
    result=st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Zs"]), min_size=1, max_size=20),
)
def test_any_arguments_are_learned_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, qwen: ChatModel, llama: ChatModel, arguments: Json, result: str
) -> None:
    record = openai(function={"name": "balance", "arguments": json.dumps(arguments)})
    record["messages"][2]["content"] = f"result {result}"
    folder = tmp_path_factory.mktemp("any")
    try:
        conversation, _ = read_one(folder, record)
        for chat in (qwen, llama):
            pieces = [text for text, learned in chat.preview_spans(conversation.messages()) if learned]
            assert len(pieces) == 2
            shown = pieces[0].partition('"arguments": ' if chat is qwen else '"parameters": ')[2]
            assert json.JSONDecoder().raw_decode(shown)[0] == arguments
            assert ANSWER in pieces[1]
    except DatasetError as error:
        assert "control token" in error.message  # noqa: PT017 - such a text may be drawn, and nothing else may fail
