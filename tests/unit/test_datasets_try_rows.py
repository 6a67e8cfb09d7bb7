"""A few rows read as a choice of columns has it: the same as the file would be, with what cannot be read said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brightrun.datasets.options import ColumnMeaning, ReadingChoices
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.first_rows import FIRST_ROWS, MAX_TEXT
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.try_rows import TriedRow, try_rows
from brightrun.errors import DatasetError

COLUMNS: dict[str, ColumnMeaning] = {"Frage": "prompt", "Antwort": "answer", "Ton": "system"}


def messages(row: TriedRow) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in row.messages]


def test_rows_are_read_as_a_file_of_them_would_be(tmp_path: Path) -> None:
    rows = [{"Nr": n, "Frage": f"Wie {n}?", "Antwort": f"So {n}.", "Ton": "Sei ruhig.", "Kontext": "x"} for n in (1, 2)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    notes = Notes(Problems(path.name), ReadingChoices(columns=COLUMNS))
    read = list(open_dataset(path, notes).conversations)
    tried = try_rows(rows, COLUMNS)
    assert [messages(row) for row in tried] == [
        [("system", one.system), *((turn.role, turn.content) for turn in one.turns)] for one in read
    ]
    assert messages(tried[1]) == [("system", "Sei ruhig."), ("user", "Wie 2?"), ("assistant", "So 2.")]


def test_a_row_that_cannot_be_read_says_why_and_the_others_are_shown() -> None:
    rows = [{"Frage": "Wie?", "Antwort": "So."}, {"Frage": "Und?", "Antwort": ""}, {"Frage": "Da?", "Antwort": "Ja."}]
    tried = try_rows(rows, {"Frage": "prompt", "Antwort": "answer"})
    assert [len(row.messages) for row in tried] == [2, 0, 2]
    assert [row.problem is None for row in tried] == [True, False, True]
    assert "missing or empty" in (tried[1].problem or "")


@pytest.mark.parametrize("columns", [{"Frage": "prompt"}, {"Frage": "prompt", "Nichts": "answer"}])
def test_columns_that_do_not_do_are_refused(columns: dict[str, ColumnMeaning]) -> None:
    with pytest.raises(DatasetError):
        try_rows([{"Frage": "Wie?", "Antwort": "So.", "Nr": 1}], columns)


def test_a_refusal_that_asks_for_columns_brings_the_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Frage,Antwort\n" + f"{'lang ' * 200},kurz\n" + "a,b\nc,d\ne,f\n", encoding="utf-8")
    with pytest.raises(DatasetError) as refused:
        list(open_dataset(path, Notes(Problems(path.name))).conversations)
    rows = refused.value.details["rows"]
    assert len(rows) == FIRST_ROWS
    assert rows[1:] == [{"Frage": "a", "Antwort": "b"}, {"Frage": "c", "Antwort": "d"}]
    assert rows[0]["Antwort"] == "kurz"
    assert rows[0]["Frage"].endswith("lang…")
    assert len(rows[0]["Frage"]) <= MAX_TEXT + 1


def test_a_long_list_in_a_row_is_not_carried_along(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = {"a": "x", "b": ["word"] * 2_000, "c": ["short"]}
    path.write_text(json.dumps(row) + "\n" + json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DatasetError) as refused:
        list(open_dataset(path, Notes(Problems(path.name))).conversations)
    assert refused.value.details["rows"][0] == {"a": "x", "c": ["short"]}
