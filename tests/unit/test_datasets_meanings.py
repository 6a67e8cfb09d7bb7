"""What stands beside the texts of a file: honored in every format, refused by its name, or told as not read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.options import ReadingChoices
from brightrun.datasets.problems import Problems, UnreadableRecordError
from brightrun.datasets.readers.build import Builder
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.raw import RawConversation, RawMessage
from brightrun.datasets.readers.record_fields import RecordFields, plain_name
from brightrun.datasets.repair_log import RepairLogEntry
from brightrun.errors import DatasetError
from tests.unit.test_datasets_builders import (
    answer_about,
    audit,
    finding,
    said,
    v4_container,
    v4_conversation,
    v4_lines,
    write_json,
    write_lines,
)

Json = dict[str, Any]
ASKED, ANSWER = "Where do I begin with rent?", answer_about("rent")


def openai(**beside: object) -> Json:
    return {"messages": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWER}], **beside}


def sharegpt(**beside: object) -> Json:
    return {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWER}], **beside}


def alpaca(**beside: object) -> Json:
    return {"instruction": ASKED, "input": "", "output": ANSWER, **beside}


def pair(**beside: object) -> Json:
    return {"prompt": ASKED, "completion": ANSWER, **beside}


def gemini(**beside: object) -> Json:
    parts = [{"role": "user", "parts": [{"text": ASKED}]}, {"role": "model", "parts": [{"text": ANSWER}]}]
    return {"contents": parts, **beside}


def v4_line(**beside: object) -> Json:
    [_, line] = v4_lines(v4_container(v4_conversation("one", [ASKED, ANSWER])))
    return {**line, **beside}


PLAIN = (openai, sharegpt, alpaca, pair, gemini)
ALL = (*PLAIN, v4_line)


def read(path: Path, **choices: Any) -> tuple[list[Conversation], Notes]:
    notes = Notes(Problems(path.name), ReadingChoices(**choices))
    conversations = list(open_dataset(path, notes).conversations)
    notes.refuse()
    return conversations, notes


def read_one(tmp_path: Path, record: object, **choices: Any) -> tuple[Conversation, Notes]:
    conversations, notes = read(write_lines(tmp_path / "file", [record]), **choices)
    [conversation] = conversations
    return conversation, notes


def refused(tmp_path: Path, record: object, **choices: Any) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read_one(tmp_path, record, **choices)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("record", ALL)
@pytest.mark.parametrize("key", ["weight", "train", "trainable", "loss", "loss_weight", "Loss-Weight", "lossWeight"])
@pytest.mark.parametrize(
    ("value", "learned"),
    [(0, False), (0.0, False), (False, False), ("0", False), ("false", False), (1, True), ("1", True), (None, True)],
)
def test_a_weight_is_honored_in_every_format(
    tmp_path: Path, record: Callable[..., Json], key: str, value: object, *, learned: bool
) -> None:
    conversation, notes = read_one(tmp_path, record(**{key: value}))
    assert [turn.target for turn in conversation.turns] == [False, learned]
    assert not notes.unread.findings()


@pytest.mark.parametrize("record", ALL)
@pytest.mark.parametrize(("value", "weight"), [(0.5, 0.5), (2, 2.0), ("2.5", 2.5), (100, 100.0)])
def test_an_answer_counts_as_often_as_its_weight_says(
    tmp_path: Path, record: Callable[..., Json], value: object, weight: float
) -> None:
    conversation, notes = read_one(tmp_path, record(weight=value))
    assert [(turn.target, turn.weight) for turn in conversation.turns][1] == (True, weight)
    assert [(found.check, found.examples[0].detail) for found in notes.findings()] == [
        ("weighted_answers", f"{weight:g}")
    ]


@pytest.mark.parametrize("record", ALL)
@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("weight", "often", "a weight from 0 to 100"),
        ("weight", -1, "a weight from 0 to 100"),
        ("weight", 101, "a weight from 0 to 100"),
        ("weight", "nan", "a weight from 0 to 100"),
        ("weight", [1], "a weight from 0 to 100"),
        ("loss", 2.31, "expected 0 or 1"),
        ("train", 0.5, "expected 0 or 1"),
    ],
)
def test_a_weight_that_cannot_be_honored_is_refused(
    tmp_path: Path, record: Callable[..., Json], key: str, value: object, words: str
) -> None:
    error = refused(tmp_path, record(**{key: value}))
    assert words in error.message
    assert f"/{key}" in error.message


def test_weights_of_record_and_turn_are_multiplied(tmp_path: Path) -> None:
    record = openai(weight=2)
    record["messages"][1]["weight"] = 0.5
    assert read_one(tmp_path, record)[0].turns[1].weight == 1.0
    record["messages"][1]["weight"] = 3
    assert read_one(tmp_path, record)[0].turns[1].weight == 6.0


def test_turns_of_different_weights_are_not_joined(tmp_path: Path) -> None:
    record = openai()
    record["messages"].append({"role": "assistant", "content": "More.", "weight": 2})
    assert "different weights" in refused(tmp_path, record, merge_turns=True).message
    record["messages"][1]["weight"] = 2.0
    assert read_one(tmp_path, record, merge_turns=True)[0].turns[1].weight == 2.0


@pytest.mark.parametrize("record", ALL)
@pytest.mark.parametrize(
    ("beside", "named"),
    [
        ({"tool_calls": [{"id": "a"}]}, "tool calling"),
        ({"images": ["a.png"]}, "images"),
        ({"audios": ["a.wav"]}, "sound"),
        ({"videos": ["a.mp4"]}, "video"),
        ({"train_detail": [{"begin": 0, "end": 4, "train": False}]}, "parts of a text"),
        ({"rejected_response": "Go away."}, "rejected_response"),
    ],
)
def test_what_changes_the_lesson_is_refused_by_its_name(
    tmp_path: Path, record: Callable[..., Json], beside: Json, named: str
) -> None:
    error = refused(tmp_path, record(**beside))
    assert named in error.message
    assert f"/{next(iter(beside))}" in error.message


@pytest.mark.parametrize("record", ALL)
@pytest.mark.parametrize("key", ["tools", "tool_calls", "images", "weight", "rejected", "reasoning_content"])
@pytest.mark.parametrize("nothing", [None, "", [], {}, " "])
def test_a_column_that_is_empty_in_a_record_is_not_there(
    tmp_path: Path, record: Callable[..., Json], key: str, nothing: object
) -> None:
    conversation, notes = read_one(tmp_path, record(**{key: nothing}))
    assert conversation.turns[1].target
    assert not notes.findings()


@pytest.mark.parametrize("record", ALL)
def test_other_fields_are_told_once_with_their_number(tmp_path: Path, record: Callable[..., Json]) -> None:
    note = "The client asked for this to be kept private."
    records = [record(source="crm", remark=note, rating="good") for _ in range(3)]
    for number, each in enumerate(records):
        if "conversation_id" in each:
            each["conversation_id"] = f"c{number}"
    _, notes = read(write_lines(tmp_path / "file", records))
    warning, info = notes.unread.findings()
    assert (warning.severity, warning.count) == ("warning", 2)
    assert [example.detail for example in warning.examples] == [
        f"`remark`, 3 times: {note}",
        "`rating` (a rating), 3 times: good",
    ]
    assert (info.severity, [example.detail for example in info.examples]) == ("info", ["`source`, 3 times: crm"])


def test_every_field_of_the_format_itself_is_known(tmp_path: Path) -> None:
    container = v4_container(v4_conversation("one", said("rent")), v4_conversation("two", said("sleep")))
    _, notes = read(write_json(tmp_path / "file", container))
    assert not notes.unread.findings()


@pytest.mark.parametrize("record", PLAIN)
@pytest.mark.parametrize("key", ["system", "System", "system_prompt", "system_message", "systemPrompt"])
def test_a_system_prompt_beside_the_texts_is_honored(tmp_path: Path, record: Callable[..., Json], key: str) -> None:
    conversation, _ = read_one(tmp_path, record(**{key: "You are Mara."}))
    assert conversation.system == "You are Mara."


def test_system_prompts_beside_and_before_the_messages_are_joined(tmp_path: Path) -> None:
    record = openai(system=[{"text": "You are Mara."}])
    record["messages"].insert(0, {"role": "developer", "content": "Be kind."})
    record["messages"].insert(0, {"role": "system", "content": "You are Mara."})
    conversation, notes = read_one(tmp_path, record)
    assert conversation.system == "You are Mara.\n\nBe kind."
    assert [found.check for found in notes.findings()] == ["joined_systems"]


@pytest.mark.parametrize("value", [True, "true", False, "False"])
@pytest.mark.parametrize("key", ["label", "kto_tag"])
def test_an_unwanted_answer_is_not_learned(tmp_path: Path, key: str, value: object) -> None:
    wanted = str(value).casefold() == "true"
    conversation, notes = read_one(tmp_path, openai(**{key: value}))
    assert conversation.turns[1].target is wanted
    assert [found.check for found in notes.findings()] == ([] if wanted else ["undesirable_answers"])


def test_a_label_of_another_kind_is_told(tmp_path: Path) -> None:
    conversation, notes = read_one(tmp_path, openai(label="billing"))
    assert conversation.turns[1].target
    assert notes.unread.findings()[0].severity == "warning"


def test_a_weight_on_a_turn_and_on_the_record_must_both_ask(tmp_path: Path) -> None:
    record = {"weight": 1, "conversations": [
        {"from": "human", "value": "Hello."}, {"from": "gpt", "value": "Dunno.", "train": False},
        {"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWER, "loss_weight": 1.0},
    ]}  # fmt: skip
    conversation, _ = read_one(tmp_path, record)
    assert [turn.target for turn in conversation.turns] == [False, False, False, True]
    conversation, _ = read_one(tmp_path, {**record, "weight": 0})
    assert not any(turn.target for turn in conversation.turns)


def test_learning_a_client_turn_is_refused(tmp_path: Path) -> None:
    record = openai()
    record["messages"][0]["weight"] = 1
    assert "not the assistant's" in refused(tmp_path, record).message
    record["messages"][0]["weight"] = 0
    assert read_one(tmp_path, record)[0].turns[1].target


REASONING = {
    "beside": {"role": "assistant", "content": ANSWER, "reasoning_content": "They worry."},
    "part": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "They worry."}, {"type": "text", "text": ANSWER}],
    },
}


@pytest.mark.parametrize("message", REASONING.values(), ids=REASONING)
def test_reasoning_is_kept_or_left_out_by_choice(tmp_path: Path, message: Json) -> None:
    record = {"messages": [{"role": "user", "content": ASKED}, message]}
    kept, notes = read_one(tmp_path, record)
    assert (kept.turns[1].content, kept.turns[1].reasoning) == (ANSWER, "They worry.")
    assert not notes.findings()
    conversation, notes = read_one(tmp_path, record, reasoning="leave_out")
    assert (conversation.turns[1].content, conversation.turns[1].reasoning) == (ANSWER, None)
    assert [found.check for found in notes.findings()] == ["reasoning_left_out"]


PREFERENCES: dict[str, Json] = {
    "openai": {
        "input": {"messages": [{"role": "user", "content": ASKED}]},
        "preferred_output": [{"role": "assistant", "content": ANSWER}],
        "non_preferred_output": [{"role": "assistant", "content": "Go away."}],
    },
    "trl": {"prompt": ASKED, "chosen": ANSWER, "rejected": "Go away."},
    "trl conversational": {
        "prompt": [{"role": "user", "content": ASKED}],
        "chosen": [{"role": "assistant", "content": ANSWER}],
        "rejected": [{"role": "assistant", "content": "Go away."}],
    },
    "whole conversations": {
        "prompt": ASKED,
        "chosen": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWER}],
        "rejected": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "Go away."}],
    },
    "alpaca": {"instruction": ASKED, "input": "", "output": "Go away.", "chosen": ANSWER, "rejected": "Go away."},
    "sharegpt": {
        "conversations": [{"from": "human", "value": ASKED}],
        "chosen": {"from": "gpt", "value": ANSWER},
        "rejected": {"from": "gpt", "value": "Go away."},
    },
    "beside messages": openai(rejected_response="Go away."),
}


@pytest.mark.parametrize("record", PREFERENCES.values(), ids=PREFERENCES)
def test_a_preference_record_is_refused_or_its_preferred_answer_learned(tmp_path: Path, record: Json) -> None:
    error = refused(tmp_path, record)
    assert "preference record" in error.message
    assert error.details["choices"] == {"preference": "train_on_preferred"}
    conversation, notes = read_one(tmp_path, record, preference="train_on_preferred")
    assert [(turn.content, turn.target) for turn in conversation.turns] == [(ASKED, False), (ANSWER, True)]
    assert [found.check for found in notes.findings()] == ["preferred_answers"]


@pytest.mark.parametrize("record", PLAIN)
def test_a_preferred_answer_beside_the_answer_is_refused(tmp_path: Path, record: Callable[..., Json]) -> None:
    for choice in ("refuse", "train_on_preferred"):
        assert "which is to be learned" in refused(tmp_path, record(chosen="Better."), preference=choice).message


@pytest.mark.parametrize("record", PLAIN)
def test_reasoning_beside_the_texts_is_kept_or_left_out(tmp_path: Path, record: Callable[..., Json]) -> None:
    kept, _ = read_one(tmp_path, record(reasoning="They worry about it."))
    assert kept.turns[1].reasoning == "They worry about it."
    conversation, notes = read_one(tmp_path, record(reasoning="They worry about it."), reasoning="leave_out")
    assert [turn.content for turn in conversation.turns] == [ASKED, ANSWER]
    assert [found.check for found in notes.findings()] == ["reasoning_left_out"]


@pytest.mark.parametrize("text", ["[]", "{}", "null", " [] "])
def test_an_empty_list_as_text_is_not_there(tmp_path: Path, text: str) -> None:
    conversation, notes = read_one(tmp_path, sharegpt(tools=text, images=text))
    assert conversation.turns[1].target
    assert not notes.findings()
    assert len(read_one(tmp_path, sharegpt(tools='[{"name": "balance"}]'))[0].tools) == 1


def test_an_unwanted_turn_is_not_learned(tmp_path: Path) -> None:
    record = openai()
    record["messages"][1]["label"] = False
    assert not read_one(tmp_path, record)[0].turns[1].target


def test_a_weight_in_the_metadata_of_a_pair_is_honored(tmp_path: Path) -> None:
    container = v4_container(v4_conversation("one", said("rent", "sleep")))
    container["conversations"][0]["training_pairs"][1]["training_metadata"]["weight"] = 0
    [conversation], _ = read(write_json(tmp_path / "file", container))
    assert [turn.target for turn in conversation.turns] == [False, False, False, True]
    container["conversations"][0]["conversation_metadata"]["train"] = False
    [conversation], _ = read(write_json(tmp_path / "file", container))
    assert not any(turn.target for turn in conversation.turns)


def test_a_third_answer_beside_the_two_is_refused(tmp_path: Path) -> None:
    record = {**PREFERENCES["alpaca"], "output": "Something else."}
    assert "which is to be learned" in refused(tmp_path, record, preference="train_on_preferred").message


def test_a_record_for_reinforcement_is_refused_by_that_name(tmp_path: Path) -> None:
    record = {"messages": [{"role": "user", "content": ASKED}], "reference_answer": "4"}
    assert "reinforcement" in refused(tmp_path, record).message


@pytest.mark.parametrize(
    "part",
    [{"type": "image_url", "image_url": "a"}, {"inlineData": {"data": "aa"}},
     {"executableCode": {"code": "1"}}, {"type": "input_file"}, {"type": "refusal", "refusal": "No."}],
)  # fmt: skip
def test_parts_that_are_no_text_are_refused(tmp_path: Path, part: Json) -> None:
    record = openai()
    record["messages"][1]["content"] = [{"type": "text", "text": "Hello."}, part]
    error = refused(tmp_path, record)
    assert "only text can be trained on" in error.message
    assert "/messages/1/content/1" in error.message


@pytest.mark.parametrize("words", [("User", "Assistant"), (" human ", "BOT"), ("client", "model"), ("customer", "AI")])
def test_roles_are_known_in_any_spelling(tmp_path: Path, words: tuple[str, str]) -> None:
    texts = zip(words, (ASKED, ANSWER), strict=True)
    conversation, _ = read_one(tmp_path, {"messages": [{"role": word, "content": text} for word, text in texts]})
    assert [turn.role for turn in conversation.turns] == ["user", "assistant"]


def test_a_greeting_is_context(tmp_path: Path) -> None:
    record = openai()
    record["messages"].insert(0, {"role": "assistant", "content": "Hello, I am Mara."})
    path = write_lines(tmp_path / "file", [record, {**openai(), "id": "b"}])
    report = audit(path)
    assert finding(report, "greetings").count == 1
    assert (report.answers, report.trainable) == (3, 2)


def test_only_a_greeting_is_no_answer(tmp_path: Path) -> None:
    record = {"messages": [{"role": "assistant", "content": "Hello."}, {"role": "user", "content": ASKED}]}
    assert "no answers" in refused(tmp_path, record).message


def test_turns_of_one_side_are_merged_by_choice_and_logged(tmp_path: Path) -> None:
    record = openai(id="one")
    record["messages"].insert(0, {"role": "user", "content": "Hello."})
    record["messages"].append({"role": "assistant", "content": "And rest."})
    assert refused(tmp_path, record).details["choices"] == {"merge_turns": "true"}
    logged: list[RepairLogEntry] = []
    notes = Notes(Problems("file"), ReadingChoices(merge_turns=True), logged.append)
    [conversation] = open_dataset(tmp_path / "file", notes).conversations
    assert [turn.content for turn in conversation.turns] == [f"Hello.\n\n{ASKED}", f"{ANSWER}\n\nAnd rest."]
    assert [(entry.kind, entry.conversation, entry.turn) for entry in logged] == [
        ("merge", "one", 1),
        ("merge", "one", 2),
    ]
    record["messages"][-1]["weight"] = 0
    assert "cannot be joined" in refused(tmp_path, record, merge_turns=True).message


def test_unreadable_records_are_left_out_by_choice_up_to_a_fifth(tmp_path: Path) -> None:
    good = [openai(id=str(number)) for number in range(8)]
    bad = [{"messages": [{"role": "user", "content": "Only me."}]}, {"messages": [{"role": "user"}]}]
    path = write_lines(tmp_path / "file", [*good, *bad])
    with pytest.raises(DatasetError) as caught:
        read(path)
    assert [problem["place"] for problem in caught.value.details["problems"]] == [
        "line 9",
        "line 10, /messages/0/content",
    ]  # type: ignore[union-attr,index,call-overload]
    assert caught.value.details["choices"] == {"unreadable": "leave_out"}
    logged: list[RepairLogEntry] = []
    notes = Notes(Problems("file"), ReadingChoices(unreadable="leave_out"), logged.append)
    assert len(list(open_dataset(path, notes).conversations)) == 8
    notes.refuse()
    assert [entry.reason.split(":")[0] for entry in logged] == ["line 9", "line 10, /messages/0/content"]
    assert [found.check for found in notes.findings()] == ["unreadable_records"]
    too_many = write_lines(tmp_path / "more", [*good, *bad, bad[0]])
    with pytest.raises(DatasetError, match="27% of the records cannot be read; at most 20%"):
        read(too_many, unreadable="leave_out")


@given(st.lists(st.sampled_from(["user", "assistant"]), min_size=1, max_size=8), st.booleans())
@settings(max_examples=150, derandomize=True, deadline=None)
def test_merged_turns_always_alternate_and_lose_no_text(roles: list[str], merge: bool) -> None:
    texts = [f"text {number}" for number in range(len(roles))]
    messages = [RawMessage(role, text, f"/{text}") for role, text in zip(roles, texts, strict=True)]  # type: ignore[arg-type]
    builder = Builder(Notes(Problems("file"), ReadingChoices(merge_turns=merge)))
    try:
        conversation = builder.build(RawConversation("/0", messages, RecordFields({}, "/0")))
    except UnreadableRecordError as problem:
        told = problem.problem
    else:
        told = ""
    if told:
        assert "no answers" in told or ("out of order" in told and not merge)
        return
    spoken = [turn.role for turn in conversation.turns]
    assert all(first != second for first, second in pairwise(spoken))
    assert "\n\n".join(turn.content for turn in conversation.turns) == "\n\n".join(texts)
    assert all(turn.target == (turn.role == "assistant" and turn.number > 1) for turn in conversation.turns)


@pytest.mark.parametrize("spelling", ["toolCalls", "Tool Calls", "tool-calls", "TOOL_CALLS", " tool.calls "])
def test_a_keys_spelling_does_not_matter(spelling: str) -> None:
    assert plain_name(spelling) == "tool_calls"


def test_two_spellings_of_one_field_are_refused(tmp_path: Path) -> None:
    assert "one field" in refused(tmp_path, {**pair(), "Prompt": "Another one."}).message
