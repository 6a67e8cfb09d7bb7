"""Files as people have them: packed, in other encodings, in tables, wrapped, or of another kind altogether."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.list_conversations import ListedConversation, list_conversations
from brightrun.datasets.options import AS_WRITTEN, ReadingChoices
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.notes import Notes
from brightrun.errors import DatasetError
from tests.unit.test_datasets_builders import audit, chat_record, finding, said

Json = dict[str, Any]
RECORDS = [chat_record(said(topic)) for topic in ("rent", "sleep", "wills")]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS)
WANTED = [said(topic) for topic in ("rent", "sleep", "wills")]
MESSAGES = [json.dumps(record["messages"]) for record in RECORDS]
ASKED = [texts[0] for texts in WANTED]
ANSWERS = [texts[1] for texts in WANTED]


def read(path: Path, **choices: Any) -> list[Conversation]:
    notes = Notes(Problems(path.name), ReadingChoices(**choices))
    conversations = list(open_dataset(path, notes).conversations)
    notes.refuse()
    return conversations


def texts(path: Path, **choices: Any) -> list[list[str]]:
    return [[turn.content for turn in conversation.turns] for conversation in read(path, **choices)]


def written(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def refused(path: Path, **choices: Any) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read(path, **choices)
    assert caught.value.hint
    return caught.value


def zipped(**members: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return stream.getvalue()


PRETTY = "\n".join(json.dumps(record, indent=2) for record in RECORDS)
FORMS: dict[str, bytes | str] = {
    "gzip": gzip.compress(LINES.encode()),
    "bzip2": bz2.compress(LINES.encode()),
    "xz": lzma.compress(LINES.encode()),
    "zip": zipped(chat__jsonl=LINES),
    "zip with a page beside it": zipped(chat__html="<html>", conversations__json=json.dumps(RECORDS)),
    "utf-16": LINES.encode("utf-16"),
    "utf-16 without a mark": LINES.encode("utf-16-le"),
    "utf-16 of another end": LINES.encode("utf-16-be"),
    "utf-32": LINES.encode("utf-32"),
    "packed utf-16": gzip.compress(LINES.encode("utf-16")),
    "a mark in every line": "".join("\ufeff" + line + "\n" for line in LINES.splitlines()),
    "objects over several lines": PRETTY,
    "objects without line breaks": PRETTY.replace("\n", "").replace("}{", "} {"),
    "a list": json.dumps(RECORDS),
    "under a key": json.dumps({"data": RECORDS, "version": 2}),
    "under any key": json.dumps({"my_talks": RECORDS}),
    "conversations of messages": json.dumps({"conversations": RECORDS}),
    "lists of messages": "".join(json.dumps(record["messages"]) + "\n" for record in RECORDS),
    "a list of lists": json.dumps([record["messages"] for record in RECORDS]),
    "rows of a viewer": json.dumps({"rows": [{"row_idx": n, "row": record} for n, record in enumerate(RECORDS)]}),
    "one message a line": "".join(
        json.dumps({"conversation_id": f"c{number}", **message}) + "\n"
        for number, record in enumerate(RECORDS)
        for message in record["messages"]
    ),
    "columns of pandas": json.dumps(
        {"prompt": dict(zip("012", ASKED, strict=True)), "completion": dict(zip("012", ANSWERS, strict=True))}
    ),
    "rows of pandas": json.dumps(
        {"columns": ["prompt", "completion"], "index": [0, 1, 2], "data": [[a, b] for a, b in WANTED]}
    ),
    "columns as lists": json.dumps({"question": ASKED, "answer": ANSWERS}),
    "CSV": "prompt,answer\n" + "".join(f'"{a}","{b}"\n' for a, b in WANTED),
    "CSV with a mark and CRLF": "\ufeffPrompt,Completion\r\n" + "".join(f'"{a}","{b}"\r\n' for a, b in WANTED),
    "semicolons": "question;answer\n" + "".join(f'"{a}";"{b}"\n' for a, b in WANTED),
    "TSV": "question\tanswer\n" + "".join(f"{a}\t{b}\n" for a, b in WANTED),
    "CSV of messages": "id,messages\n"
    + "".join(f'{n},"{MESSAGES[n].replace(chr(34), chr(34) * 2)}"\n' for n in range(3)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_gives_its_conversations(tmp_path: Path, form: str) -> None:
    assert texts(written(tmp_path / "any.name", FORMS[form])) == WANTED


PAIRS: dict[str, Callable[[str, str], Json]] = {
    "prompt": lambda a, b: {"prompt": a, "completion": b},
    "question": lambda a, b: {"question": a, "answer": b},
    "query": lambda a, b: {"query": a, "response": b},
    "input": lambda a, b: {"input": a, "output": b},
    "input_text": lambda a, b: {"input_text": a, "output_text": b},
    "Instruction": lambda a, b: {"Instruction": a, "Output": b},
    "dolly": lambda a, b: {"instruction": a, "context": "", "response": b, "category": "open_qa"},
    "conversational": lambda a, b: {
        "prompt": [{"role": "user", "content": a}],
        "completion": [{"role": "assistant", "content": b}],
    },
    "gemini": lambda a, b: {
        "contents": [{"role": "user", "parts": [{"text": a}]}, {"role": "model", "parts": [{"text": b}]}]
    },
    "nova": lambda a, b: {
        "system": [{"text": "Be kind."}],
        "messages": [{"role": "user", "content": [{"text": a}]}, {"role": "assistant", "content": [{"text": b}]}],
    },
    "responses": lambda a, b: {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": a}]}],
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": b}]}],
    },
    "claude": lambda a, b: {
        "uuid": a[-9:], "name": "A talk",
        "chat_messages": [{"sender": "human", "text": a}, {"sender": "assistant", "text": b}],
    },
}  # fmt: skip


@pytest.mark.parametrize("form", PAIRS)
def test_formats_are_told_by_their_keys(tmp_path: Path, form: str) -> None:
    path = tmp_path / "file"
    path.write_text("\n".join(json.dumps(PAIRS[form](*pair)) for pair in WANTED))
    assert texts(path) == WANTED


def test_alpaca_with_earlier_turns(tmp_path: Path) -> None:
    record = {"instruction": "Sure?", "input": "", "output": "Quite.", "history": [["Hello.", "Good day."]]}
    assert texts(written(tmp_path / "f", json.dumps(record))) == [["Hello.", "Good day.", "Sure?", "Quite."]]


def node(name: str, parent: str | None, role: str = "user", text: str = "", **metadata: object) -> Json:
    message = {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}, "metadata": metadata}
    return {"id": name, "parent": parent, "children": [], "message": message if parent else None}


def chatgpt(title: str = "Rent") -> Json:
    nodes = [
        node("root", None),
        node("set", "root", "system", ""),
        node("hidden", "set", "system", "Secret.", is_visually_hidden_from_conversation=True),
        node("a", "hidden", "user", ASKED[0]),
        node("old", "a", "assistant", "An answer that was asked for anew."),
        node("b", "a", "assistant", ANSWERS[0]),
    ]
    return {"title": title, "mapping": {each["id"]: each for each in nodes}, "current_node": "b",
            "conversation_id": title}  # fmt: skip


def test_a_chatgpt_export_gives_the_branch_that_is_shown(tmp_path: Path) -> None:
    path = written(
        tmp_path / "conversations.json", json.dumps([chatgpt("Rent"), chatgpt("Sleep well"), chatgpt("Wills")])
    )
    assert texts(path)[0] == WANTED[0]
    report = audit(path)
    assert (report.format, finding(report, "account_export").count) == ("chatgpt-export", 3)
    assert finding(report, "other_branches").examples[0].detail == "1 messages of 'Rent'"


@pytest.mark.parametrize(
    ("choose", "titles"),
    [(("sleep",), ["Sleep well"]), (("1", "Wills"), ["Rent", "Wills"]), (("2-3",), ["Sleep well", "Wills"])],
)
def test_conversations_are_chosen_by_title_number_and_range(
    tmp_path: Path, choose: tuple[str, ...], titles: list[str]
) -> None:
    path = written(tmp_path / "f", json.dumps([chatgpt("Rent"), chatgpt("Sleep well"), chatgpt("Wills")]))
    assert [conversation.title for conversation in read(path, choose=choose)] == titles
    assert "fits 'nothing'" in refused(path, choose=(*choose, "nothing")).message


def test_a_uuid_is_an_id_and_no_words_of_a_title(tmp_path: Path) -> None:
    ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(3)]
    # The second talks of the first by its id; that does not choose it.
    titles = ["Rent", f"About {ids[0]}", "Wills"]
    records = [chatgpt(title) | {"conversation_id": name} for title, name in zip(titles, ids, strict=True)]
    path = written(tmp_path / "f", json.dumps(records))
    assert [conversation.id for conversation in read(path, choose=(ids[0], ids[2]))] == [ids[0], ids[2]]
    assert [conversation.id for conversation in read(path, choose=("about",))] == [ids[1]]


def test_conversations_are_listed_to_choose_among_them(tmp_path: Path) -> None:
    claude = PAIRS["claude"](*WANTED[0]) | {"uuid": "one", "created_at": "2024-05-01T10:00:00.250000Z"}
    path = written(tmp_path / "f", json.dumps([claude, claude | {"uuid": "two", "created_at": "long ago"}]))
    (first, second) = list_conversations(path, ReadingChoices(choose=("two",)))
    begun = datetime(2024, 5, 1, 10, 0, 0, 250_000, tzinfo=UTC)
    assert first == ListedConversation(1, "one", "A talk", 2, begun, chosen=False)
    assert second == ListedConversation(2, "two", "A talk", 2, None, chosen=True)
    told = written(tmp_path / "g", json.dumps([chatgpt("Rent") | {"create_time": 1714557600.25}]))
    assert list(list_conversations(told, AS_WRITTEN)) == [ListedConversation(1, "Rent", "Rent", 2, begun, chosen=True)]


def test_several_lists_ask_which(tmp_path: Path) -> None:
    path = written(tmp_path / "f", json.dumps({"train": RECORDS[:2], "test": RECORDS[2:]}))
    error = refused(path)
    assert "`train` (2), `test` (1)" in error.message
    assert error.details["parts"] == {"train": 2, "test": 1}
    assert texts(path, part="train") == WANTED[:2]
    assert "no list 'dev'" in refused(path, part="dev").message


def test_a_record_of_another_kind_among_preferences_is_named(tmp_path: Path) -> None:
    preference = {"prompt": ASKED[0], "chosen": ANSWERS[0], "rejected": "No."}
    path = written(tmp_path / "f", "\n".join(map(json.dumps, [preference, RECORDS[1]])))
    assert "line 2, /chosen: the field is missing" in refused(path, preference="train_on_preferred").message


def test_an_archive_of_several_files_asks_which(tmp_path: Path) -> None:
    path = written(tmp_path / "f.zip", zipped(a__jsonl=LINES, b__jsonl=LINES))
    assert "a.jsonl, b.jsonl" in refused(path).message
    assert texts(path, part="b.jsonl") == WANTED


def test_excel(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["question", "answer", "year"])
    for asked, answer in WANTED:
        book.active.append([asked, answer, 2024])
    book.save(tmp_path / "book.xlsx")
    assert texts(tmp_path / "book.xlsx") == WANTED
    book.create_sheet("Notes")
    book.save(tmp_path / "two.xlsx")
    assert "2 sheets: Sheet, Notes" in refused(tmp_path / "two.xlsx").message
    assert texts(tmp_path / "two.xlsx", part="Sheet") == WANTED


def test_parquet_with_the_nulls_of_a_shared_schema(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{**record, "weight": None, "tools": None} for record in RECORDS]
    rows[0]["messages"][0] = {**rows[0]["messages"][0], "tool_calls": None, "name": None}
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "file.parquet")
    assert texts(tmp_path / "file.parquet") == WANTED
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "file.parquet").read_bytes()[:-40])
    assert "damaged Parquet" in refused(tmp_path / "cut.parquet").message


def test_columns_are_guessed_shown_and_said(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("Frage,Antwort,prompt\n" + "".join(f'"{a}","{b}","x"\n' for a, b in WANTED))
    assert "--map" in str(refused(path).hint)
    columns = {"Frage": "prompt", "Antwort": "answer"}
    assert texts(path, columns=columns) == WANTED
    assert audit(path, columns=columns).columns == columns
    guessed = tmp_path / "g.csv"
    guessed.write_text("Question,Answer\n" + "".join(f'"{a}","{b}"\n' for a, b in WANTED))
    assert audit(guessed).columns == {"Question": "prompt", "Answer": "answer"}
    assert "no `Frage`" in refused(guessed, columns=columns).message


def test_a_csv_row_of_other_columns_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "f.csv", "prompt,answer\nHello,there,friend\nGood,day\n")
    assert "line 2: the row has 3 cells, the header 2" in refused(path).message


def test_a_key_that_stands_twice_is_refused_with_its_place(tmp_path: Path) -> None:
    line = json.dumps(RECORDS[0])
    doubled = line.replace('"role": "user"', '"role": "user", "role": "user"')
    error = refused(written(tmp_path / "lines", LINES + doubled + "\n"))
    column = doubled.index('"role": "user", "role"') + len('"role": "user", ') + 1
    assert (error.details["line"], error.details["column"], error.details["key"]) == (4, column, "role")
    nested = written(tmp_path / "whole", '{"messages": [\n {"role": "user",\n  "content": {"a": 1, "a": 2}}]}')
    assert refused(nested).details["line"] == 3
    row = written(tmp_path / "row", PRETTY + '\n{"a": 1,\n "a": 2}')
    assert refused(row).details["line"] == PRETTY.count("\n") + 3


def test_nan_is_a_missing_value(tmp_path: Path) -> None:
    line = json.dumps({"prompt": ASKED[0], "completion": ANSWERS[0], "tools": float("nan")})
    assert texts(written(tmp_path / "f", line)) == WANTED[:1]


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO(b""))
    return stream.getvalue()


OTHERS: dict[str, tuple[bytes | str, str]] = {
    "pdf": (b"%PDF-1.7 ...", "a PDF document"),
    "word": (zipped(**{"word/document__xml": "<w/>", "[Content_Types]__xml": "<t/>"}), "a Word document"),
    "sqlite": (b"SQLite format 3\x00" + bytes(100), "an SQLite database"),
    "pickle": (b"\x80\x04\x95" + bytes(20), "a pickled Python object"),
    "gguf": (b"GGUF\x03" + bytes(40), "a model in GGUF"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(10), "a picture"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(10), "packed with zstd"),
    "tar": (tar(), "a tar archive"),
    "packed tar": (gzip.compress(tar()), "a tar archive"),
    "zeros": (bytes(500), "not text"),
    "html": ("<!DOCTYPE html><html>", "a web page"),
    "lfs": ("version https://git-lfs.github.com/spec/v1\noid x", "Git LFS"),
    "whatsapp": ("[12/03/24, 10:11:12] Mara: Hello", "WhatsApp"),
    "prose": ("Dear reader, this is a letter.\nIt goes on.", "plain text"),
    "notebook": ('{"nbformat": 4, "cells": [], "metadata": {"a": 1}, "cells": 1}', "stands twice"),
    "tokenizer": ('{"model": {"type": "BPE"}, "added_tokens": [{"id": 0}]}', "a tokenizer"),
    "adapter": ('{"peft_type": "LORA", "base_model_name_or_path": "x"}', "an adapter's configuration"),
    "texts": ('{"text": "Once upon a time"}\n{"text": "there was"}\n', "plain texts, for continued pretraining"),
    "classes": ('{"text": "Great!", "label": "positive"}\n', "texts with labels"),
    "batch": ('{"custom_id": "1", "method": "POST", "body": {"a": 1}}\n', "requests to a batch interface"),
    "slack": ('[{"type": "message", "user": "U1", "ts": "1.2", "text": "Hi"}]', "Slack"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_kind_of_file_is_refused_by_its_name(tmp_path: Path, kind: str) -> None:
    data, name = OTHERS[kind]
    assert name in refused(written(tmp_path / "file", data)).message


def test_a_damaged_archive_is_a_clear_error(tmp_path: Path) -> None:
    packed = gzip.compress((LINES * 40).encode())
    assert "cannot be unpacked" in refused(written(tmp_path / "f.gz", packed[:-30])).message
    assert "damaged zip" in refused(written(tmp_path / "f.zip", zipped(a=LINES)[:-30])).message


def test_a_file_that_unpacks_to_far_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line without an end, in many lines, and in a table: before it is in memory."""
    monkeypatch.setattr("brightrun.datasets.readers.source._RATIO_FROM", 1 << 16)
    monkeypatch.setattr("brightrun.datasets.readers.source._MAX_RATIO", 20)
    rows = "prompt,answer\n" + "Hello.,There.\n" * (1 << 13)
    for text in (" " * (1 << 20), (LINES + "\n" * 2000) * 60, rows):
        assert "times its size" in refused(written(tmp_path / "f.gz", gzip.compress(text.encode()))).message


def test_one_conversation_or_copies_of_one_are_refused_by_the_audit(tmp_path: Path) -> None:
    one = audit(written(tmp_path / "one", json.dumps(RECORDS[0])))
    assert one.refused
    assert "at least 2 conversations" in finding(one, "undividable").explanation
    copies = audit(written(tmp_path / "copies", (json.dumps(RECORDS[0]) + "\n") * 6))
    assert "near-duplicates of one another" in finding(copies, "undividable").explanation
    assert (copies.trainable_conversations, copies.independent_conversations) == (6, 1)
    good = audit(written(tmp_path / "good", LINES + json.dumps(RECORDS[0])))
    assert not good.refused
    assert (good.trainable_conversations, good.independent_conversations) == (4, 3)


def test_longer_than_the_base_model_reads_is_refused_with_a_way_that_works(tmp_path: Path) -> None:
    path = written(tmp_path / "f", LINES)
    longest = audit(path).longest_tokens
    report = audit(path, context_length=longest - 1)
    assert report.refused
    assert f"a base model that reads {longest} tokens" in finding(report, "overlength").fix
    assert "max_seq_length" not in finding(report, "overlength").fix
    asked = audit(path, context_length=longest, max_seq_length=longest - 1)
    assert f"Set max_seq_length to {longest}" in finding(asked, "overlength").fix
    assert not audit(path, context_length=longest).refused


_KEYS = st.sampled_from(
    """
    messages conversations role content from value prompt completion chosen rejected data train weight label mapping
    current_node chat_messages sender text parts contents input output instruction history system training_pairs _meta
    columns index id tools row row_idx conversation_id conversation_metadata target_response conversation_history
    turn_number
    """.split()  # noqa: SIM905 - read as words
)
_SHARED = [HealthCheck.function_scoped_fixture]
_TEXTS = st.sampled_from(["user", "assistant", "Hello.", "", "\u200b"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@given(
    st.lists(_VALUES, min_size=1, max_size=4),
    st.sampled_from(["lines", "list", "value"]),
    st.sampled_from(["refuse", "leave_out"]),
)
@settings(
    max_examples=400, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_json_ends_in_a_trace(tmp_path: Path, values: list[Any], form: str, unreadable: str) -> None:
    text = json.dumps(values if form == "list" else values[0])
    if form == "lines":
        text = "\n".join(json.dumps(value) for value in values)
    path = written(tmp_path / "file", text)
    choices = {"unreadable": unreadable, "merge_turns": True, "preference": "train_on_preferred"}
    found: list[Conversation] = []
    with suppress(DatasetError):
        found = read(path, reasoning="leave_out", **choices)
    assert all(turn.content for conversation in found for turn in conversation.turns)


@given(st.binary(min_size=1, max_size=300))
@settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_bytes_end_in_a_trace(tmp_path: Path, data: bytes) -> None:
    for path in (written(tmp_path / "plain", data), written(tmp_path / "packed", gzip.compress(data))):
        with suppress(DatasetError):
            read(path)


@pytest.mark.parametrize("lines", [True, False])
def test_a_part_of_a_file_that_has_none_is_refused(tmp_path: Path, *, lines: bool) -> None:
    path = tmp_path / "file"
    path.write_text("\n".join(map(json.dumps, RECORDS)) if lines else json.dumps(RECORDS), "utf-8")
    with pytest.raises(DatasetError, match="has no part 'train': it holds one list of conversations"):
        read(path, part="train")


@pytest.mark.parametrize(
    ("column", "places", "sorted_"),
    [
        ("turn", [1, 2, 3, 4], True),
        ("turn", [1, 3, 2, 4], False),
        ("Turn_Number", ["1", "2", "10", "11"], True),
        ("timestamp", ["2026-01-02T10:00:00+02:00", "2026-01-02T09:00:00Z", "2026-01-02T10:00", "2026-01-03"], True),
        ("created_at", ["2026-01-02", "2026-01-01", "2026-01-03", "2026-01-04"], False),
        ("date", ["Monday", "Friday", "Sunday", "Tuesday"], True),
        ("order", [2, None, 1, 3], True),
    ],
)
def test_rows_in_another_order_than_they_say_are_refused(
    tmp_path: Path, column: str, places: list[object], *, sorted_: bool
) -> None:
    texts = [ASKED[0], ANSWERS[0], ASKED[1], ANSWERS[1]]
    rows = [
        {"conversation_id": "one", "role": role, "content": text, column: place}
        for role, text, place in zip(("user", "assistant") * 2, texts, places, strict=True)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    if sorted_:
        [conversation] = read(path)
        assert [turn.content for turn in conversation.turns] == texts
    else:
        with pytest.raises(DatasetError, match="are not in the order of their"):
            read(path)
