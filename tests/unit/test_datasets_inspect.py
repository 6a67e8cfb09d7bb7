"""A conversation looked at alone, and the rows in which something was found: as they stand, with reasons, mendable."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from brightrun.datasets.inspect import find_number, inspect_conversation
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.problem_rows import ProblemRow, problem_rows
from brightrun.datasets.sample_dataset import sample_dataset_path
from brightrun.datasets.totals import MAX_BINS
from brightrun.errors import DatasetError
from tests.unit.test_datasets_builders import (
    audit,
    chat_record,
    finding,
    llama3,
    said,
    v4_container,
    v4_conversation,
    v4_lines,
    write_json,
    write_lines,
)

OPTIONS = ReadOptions()


def micro_batches_of(path: Path) -> list[ProblemRow]:
    return list(problem_rows(path, chat=llama3(), options=OPTIONS))


def troubled(folder: Path) -> Path:
    """1 sound, 2 repaired, 3 cut off in its second answer, 4 a copy of 1, 5 ends on the client."""
    escaped, cut = said("sleep", "school"), said("moving", "money", "letters")
    escaped[1] += "\\n\\nRest now."
    cut[3] += "\\"
    texts = [said("rent", "wills"), escaped, cut, said("rent", "wills"), [*said("garden"), "And then?"]]
    records = [chat_record(each) | {"id": f"c-{number}"} for number, each in enumerate(texts, start=1)]
    return write_lines(folder / "chat.jsonl", records)


def test_one_conversation_as_written_and_as_repaired(tmp_path: Path) -> None:
    looked = inspect_conversation(troubled(tmp_path), 2, chat=llama3(), options=OPTIONS)
    assert (looked.number, looked.written.id, looked.kept) == (2, "c-2", True)
    assert "\\n\\nRest now." in looked.written.turns[1].content
    assert "\n\nRest now." in looked.repaired.turns[1].content
    assert looked.repaired.turns[1].repaired
    assert [finding.check for finding in looked.findings] == ["escaped_newlines"]


def test_damaged_answers_are_named_with_their_turn(tmp_path: Path) -> None:
    looked = inspect_conversation(troubled(tmp_path), 3, chat=llama3(), options=OPTIONS)
    assert [turn.excluded is None for turn in looked.repaired.answers] == [True, False, False]
    (cut,) = looked.findings
    assert (cut.check, cut.examples[0].turn) == ("truncated_answers", 4)


def test_what_only_the_whole_file_tells_is_not_said_of_one_conversation() -> None:
    looked = inspect_conversation(sample_dataset_path(), 1, chat=llama3(), options=OPTIONS)
    whole = {finding.check for finding in audit(sample_dataset_path()).findings}
    assert {"constant_scores", "no_signal"} <= whole
    assert not {"constant_scores", "no_signal"} & {finding.check for finding in looked.findings}


def test_a_conversation_is_found_by_id_number_or_the_beginning_of_its_id(tmp_path: Path) -> None:
    records = [chat_record(said(topic)) | {"id": name} for name, topic in (("b-1", "a"), ("1", "b"), ("b-2", "c"))]
    path = write_lines(tmp_path / "chat.jsonl", records)
    assert find_number(path, "1", options=OPTIONS) == 2, "an id goes before a number"
    assert find_number(path, "3", options=OPTIONS) == 3
    assert find_number(path, "b-", options=OPTIONS) == 1
    for nowhere in ("4", "0", "c", "²"):
        with pytest.raises(DatasetError, match="has no conversation") as refused:
            find_number(path, nowhere, options=OPTIONS)
        assert "1 to 3" in refused.value.hint
    with pytest.raises(DatasetError, match="has no conversation 4"):
        inspect_conversation(path, 4, chat=llama3(), options=OPTIONS)


def test_only_the_problem_rows_with_their_reasons(tmp_path: Path) -> None:
    rows = micro_batches_of(troubled(tmp_path))
    assert [(row.number, row.place, [one.check for one in row.problems]) for row in rows] == [
        (1, "line 1", ["duplicates"]),
        (2, "line 2", ["escaped_newlines"]),
        (3, "line 3", ["truncated_answers"]),
        (4, "line 4", ["duplicates"]),
    ]
    assert rows[0].problems[0].places[0].detail == "the same as c-4"
    assert rows[3].problems[0].places[0].detail == "the same as c-1"
    assert rows[1].messages[2].content.endswith("\\n\\nRest now."), "as it stands in the file"
    assert rows[2].problems[0].reason
    assert rows[2].problems[0].fix


def test_repaired_rows_are_a_dataset_again(tmp_path: Path) -> None:
    rows = micro_batches_of(troubled(tmp_path))
    lines = [json.loads(row.model_dump_json(exclude_none=True)) for row in rows]
    lines[2]["messages"][4]["content"] = lines[2]["messages"][4]["content"].rstrip("\\")
    again = audit(write_lines(tmp_path / "mended.jsonl", lines))
    assert again.conversations == 4
    assert again.excluded == 0
    assert not again.refused


def test_answers_that_are_not_offered_stay_so(tmp_path: Path) -> None:
    record = chat_record(said("rent", "sleep"))
    record["messages"][2]["weight"] = 0
    record["messages"][4]["content"] = "Call them."
    (row,) = micro_batches_of(write_lines(tmp_path / "chat.jsonl", [record, chat_record(said("school"))]))
    assert [message.weight for message in row.messages] == [None, None, 0, None, None]


def test_a_clean_file_has_no_problem_rows() -> None:
    assert micro_batches_of(sample_dataset_path()) == []


@pytest.mark.parametrize("form", ["container", "lines"])
def test_rows_and_audit_count_alike_in_every_format(tmp_path: Path, form: str) -> None:
    short, cut = said("rent", "sleep"), said("school", "taxes", "wills")
    short[1] = short[3] = "Call them."
    cut[1] += "\\"
    container = v4_container(
        v4_conversation("one", short), v4_conversation("two", said("moving")), v4_conversation("three", cut)
    )
    path = tmp_path / "file"
    write_json(path, container) if form == "container" else write_lines(path, v4_lines(container))
    rows: Counter[str] = Counter()
    for row in micro_batches_of(path):
        rows.update({one.check: one.count for one in row.problems})
    told = Counter({one.check: one.count for one in audit(path).findings if one.severity != "info"})
    assert rows == told == Counter({"short_answers": 2, "truncated_answers": 1, "no_trained_answers": 1})


def test_lengths_are_told_in_few_bins_of_one_width(tmp_path: Path) -> None:
    texts = [said(*[f"topic {number}"] * exchanges) for number, exchanges in enumerate((1, 1, 2, 3, 9, 30))]
    report = audit(write_lines(tmp_path / "chat.jsonl", [chat_record(each) for each in texts]))
    bins = report.lengths
    assert 2 < len(bins) <= MAX_BINS
    assert sum(one.conversations for one in bins) == report.trainable_conversations == 6
    assert len({one.to_tokens - one.from_tokens for one in bins}) == 1
    assert all(left.to_tokens == right.from_tokens for left, right in pairwise(bins))
    assert bins[-1].from_tokens <= report.longest_tokens < bins[-1].to_tokens


def test_what_reading_told_of_one_conversation_is_not_said_of_the_next(tmp_path: Path) -> None:
    container = v4_container(v4_conversation("one", said("rent", "sleep")), v4_conversation("two", said("school")))
    (answer,) = [pair for pair in container["conversations"][0]["training_pairs"] if pair["turn_number"] == 2]
    answer["conversation_history"] = []
    (row,) = micro_batches_of(write_json(tmp_path / "file", container))
    assert (row.id, [(one.check, one.count) for one in row.problems]) == ("one", [("input_not_in_history", 1)])


def test_what_is_so_of_the_whole_file_flags_no_conversation(tmp_path: Path) -> None:
    records = [{**chat_record(said(topic)), "rating": "good"} for topic in ("rent", "sleep", "wills")]
    path = write_lines(tmp_path / "file", records)
    assert finding(audit(path), "unread_fields").severity == "warning"
    assert list(problem_rows(path, chat=llama3(), options=ReadOptions())) == []
