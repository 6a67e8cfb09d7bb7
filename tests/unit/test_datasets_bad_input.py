"""What bad input gets: a typed error with the place and the fix."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from brightrun.errors import DatasetError
from tests.unit.test_datasets_builders import (
    audit,
    chat_record,
    finding,
    said,
    three_conversations,
    v4_lines,
    write_json,
    write_lines,
)

Json = dict[str, Any]


def refusal(path: Path, **options: Any) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        audit(path, **options)
    assert caught.value.hint
    assert caught.value.exit_status == 2
    return caught.value


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_empty_file(tmp_path: Path, data: bytes) -> None:
    assert refusal(written(tmp_path / "file.json", data)).message == "file.json is empty."


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.json").message
    assert "is a folder" in refusal(tmp_path).message


@pytest.mark.parametrize("line", [{"_meta": {"total_pairs": 89}}, [], {"conversations": []}])
def test_nothing_but_a_frame(tmp_path: Path, line: object) -> None:
    error = refusal(write_lines(tmp_path / "file", [line]))
    assert "no conversations" in error.message or "no answers" in error.message


def test_meta_line_only_says_so(tmp_path: Path) -> None:
    assert "`_meta` line" in refusal(write_lines(tmp_path / "f", [{"_meta": {"total_pairs": 89}}])).message


def test_syntax_error_in_json_gives_line_column_and_the_line(tmp_path: Path) -> None:
    text = json.dumps(three_conversations(), indent=2).splitlines()
    text[6] = '  "broken" 5,'
    error = refusal(written(tmp_path / "file.json", "\n".join(text).encode()))
    assert "line 7, column 12" in error.message
    assert '"broken" 5,' in error.message
    assert (error.details["line"], error.details["column"]) == (7, 12)


def test_syntax_error_in_jsonl_gives_its_line_clipped(tmp_path: Path) -> None:
    good = json.dumps(chat_record(said("rent")))
    bad = '{"messages": [' + " " * 300 + "oops" + " " * 300 + "]}"
    error = refusal(written(tmp_path / "file", f"{good}\n{bad}\n{good}".encode()))
    assert error.details["line"] == 2
    shown = str(error.details["text"])
    assert "oops" in shown
    assert len(shown) <= 122


def test_stray_backslashes_are_offered_a_repair_and_logged(tmp_path: Path) -> None:
    text = json.dumps(three_conversations(), indent=2).replace('"total_conversations": 3', '"total_conversations": 3\\')
    path = written(tmp_path / "file.json", text.encode())
    error = refusal(path)
    assert "--repair-json" in error.hint
    assert error.details["stray_backslashes"] == 1
    report = audit(path, repair_json=True)
    assert report.conversations == 3
    assert finding(report, "json_syntax").count == 1
    line = next(n for n, row in enumerate(text.splitlines(), start=1) if "total_conversations" in row)
    assert f"line {line}, column" in finding(report, "json_syntax").examples[0].detail


def test_the_repair_guesses_nothing_else(tmp_path: Path) -> None:
    text = json.dumps(three_conversations()).replace('"total_conversations": 3', '"total_conversations": 3\\n')
    error = refusal(written(tmp_path / "file.json", text.encode()), repair_json=True)
    assert "after removing stray backslashes" in error.message
    cut = json.dumps(chat_record(["Hi \\ there", "a\nb"]))[:-9]
    assert "--repair-json" not in refusal(written(tmp_path / "cut", cut.encode())).hint


def test_not_utf8_names_the_byte(tmp_path: Path) -> None:
    good = json.dumps(chat_record(said("rent"))).encode() + b"\n"
    bad = b'{"messages": "caf\xe9"}\n'
    error = refusal(written(tmp_path / "file", good + bad))
    assert error.details["byte"] == len(good) + bad.index(b"\xe9")
    assert "0xe9" in error.message
    whole = b'{\n "a": "\xe9"}'
    assert refusal(written(tmp_path / "whole", whole)).details["byte"] == whole.index(b"\xe9")


def test_conversation_without_answers(tmp_path: Path) -> None:
    error = refusal(write_lines(tmp_path / "f", [chat_record(said("a")), chat_record(["Only me."])]))
    assert "line 2: the conversation has no answers" in error.message


def swap_roles(container: Json) -> None:
    container["conversations"][0]["training_pairs"][3]["conversation_history"][1]["role"] = "user"


def drop_field(container: Json) -> None:
    del container["conversations"][1]["training_pairs"][2]["system_prompt"]


def double_id(container: Json) -> None:
    container["conversations"][2]["conversation_metadata"]["conversation_id"] = "one"


def null_answer(container: Json) -> None:
    container["conversations"][0]["training_pairs"][1]["target_response"] = None


def answer_on_client_turn(container: Json) -> None:
    container["conversations"][0]["training_pairs"][2]["target_response"] = "Hello."


def other_history(container: Json) -> None:
    container["conversations"][0]["training_pairs"][3]["conversation_history"][1]["content"] += " Changed."


def empty_answer(container: Json) -> None:
    container["conversations"][0]["training_pairs"][1]["target_response"] = "  "


def other_system(container: Json) -> None:
    container["conversations"][0]["training_pairs"][1]["system_prompt"] = "Another."


def skipped_turn(container: Json) -> None:
    container["conversations"][0]["training_pairs"][1]["turn_number"] = 4


def doubled_pair(container: Json) -> None:
    pairs = container["conversations"][0]["training_pairs"]
    pairs.insert(2, pairs[1])


@pytest.mark.parametrize(
    ("spoil", "place", "words"),
    [
        (swap_roles, "/conversations/0/training_pairs/3/conversation_history/1", "roles are out of order"),
        (drop_field, "/conversations/1/training_pairs/2/system_prompt", "missing"),
        (null_answer, "/conversations/0/training_pairs/1/target_response", "null"),
        (
            answer_on_client_turn,
            "/conversations/0/training_pairs/2/target_response",
            "roles are out of order",
        ),
        (other_history, "/conversations/0/training_pairs/3/conversation_history/1", "history differs"),
        (empty_answer, "/conversations/0/training_pairs/1/target_response", "empty"),
        (other_system, "/conversations/0/training_pairs/1/system_prompt", "differs"),
        (skipped_turn, "/conversations/0/training_pairs/1/turn_number", "make 2 turns"),
        (doubled_pair, "/conversations/0/training_pairs/2/turn_number", "each once"),
    ],
)
def test_structure_is_checked_with_the_place(
    tmp_path: Path, spoil: Callable[[Json], None], place: str, words: str
) -> None:
    container = three_conversations()
    spoil(container)
    error = refusal(write_json(tmp_path / "file.json", container))
    assert f"file.json, {place}: " in error.message
    assert words in error.message
    assert error.details["place"] == place


@pytest.mark.parametrize(
    ("roles", "place"),
    [
        (("user", "user", "assistant"), "line 1, /messages/1"),
        (("assistant", "user", "user", "assistant"), "line 1, /messages/2"),
        (("user", "assistant", "assistant"), "line 1, /messages/2"),
        (("user", "system", "assistant"), "line 1, /messages/1"),
    ],
)
def test_roles_out_of_order_in_messages(tmp_path: Path, roles: tuple[str, ...], place: str) -> None:
    record = {"messages": [{"role": role, "content": "Words."} for role in roles]}
    error = refusal(write_lines(tmp_path / "file", [record]))
    assert f"{place}: roles are out of order" in error.message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "tool", "content": "x"}, "the result of a tool, and no call asks for it"),
        ({"role": "user"}, "missing"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "only text"),
        ({"role": "user", "content": 4}, "expected text"),
        ({"role": "user", "content": "x", "weight": -1}, "a weight from 0 to 100"),
        ("hello", "expected an object"),
    ],
)
def test_messages_of_another_kind(tmp_path: Path, message: object, words: str) -> None:
    assert words in refusal(write_lines(tmp_path / "file", [{"messages": [message]}])).message


def test_lines_of_a_conversation_that_are_apart(tmp_path: Path) -> None:
    lines = v4_lines(three_conversations())
    lines.append(lines.pop(1))
    error = refusal(write_lines(tmp_path / "file", lines))
    assert "comes back" in error.message
    assert "'one'" in error.message


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    records = [chat_record(["Only me."]) for _ in range(30)]
    error = refusal(write_lines(tmp_path / "file", records))
    problems = error.details["problems"]
    assert isinstance(problems, list)
    assert len(problems) == error.details["count"] == 30
    assert "29 more problems" in error.message
    few = refusal(write_lines(tmp_path / "few", [*records[:2], chat_record(said("rent"))])).details["problems"]
    assert few == [
        {"place": "line 1", "problem": "the conversation has no answers"},
        {"place": "line 2", "problem": "the conversation has no answers"},
    ]


def test_deep_nesting_is_a_clear_error(tmp_path: Path) -> None:
    error = refusal(written(tmp_path / "file", b"[" * 200_000))
    assert "line 1" in error.message


def test_half_a_character_is_a_clear_error(tmp_path: Path) -> None:
    record = chat_record(said("rent"))
    record["messages"][1]["content"] = "Hello \ud83d there"
    error = refusal(write_lines(tmp_path / "file", [record]))
    assert "line 1, /messages/1/content" in error.message
    assert "\\ud83d" in error.message


def test_a_number_without_end_is_a_clear_error(tmp_path: Path) -> None:
    assert "line 1" in refusal(written(tmp_path / "file", b'{"messages": ' + b"9" * 5000 + b"}")).message


def test_repeated_ids_become_unique_and_are_told(tmp_path: Path) -> None:
    records = [{**chat_record(said(topic)), "id": 0} for topic in ("rent", "sleep", "wills")]
    report = audit(write_lines(tmp_path / "file", records))
    assert [example.conversation for example in finding(report, "repeated_ids").examples] == ["0-2", "0-3"]
    container = three_conversations()
    double_id(container)
    assert finding(audit(write_json(tmp_path / "container", container)), "repeated_ids").count == 1


def test_other_fields_and_words_are_open(tmp_path: Path) -> None:
    container = three_conversations()
    container["new_block"] = {"anything": True}
    for conversation in container["conversations"]:
        conversation["conversation_metadata"]["scaffolding"]["persona_key"] = "never_seen_before"
        conversation["training_pairs"][0]["conversation_metadata"]["conversation_phase"] = "a new phase"
    report = audit(write_json(tmp_path / "file", container))
    assert report.personas == {"never_seen_before": 3}
