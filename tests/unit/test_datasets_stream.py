"""A JSONL is a stream: memory does not grow with the file, and progress reaches the end."""

from __future__ import annotations

import json
import random
import tracemalloc
from pathlib import Path

import pytest

from brightrun.datasets.audit import audit_dataset
from brightrun.datasets.identities import SeenIds, content_id
from brightrun.datasets.problems import Problems
from brightrun.datasets.readers.detect import open_dataset
from brightrun.datasets.readers.notes import Notes
from tests.unit.test_datasets_builders import (
    WORDS,
    chat_record,
    llama3,
    three_conversations,
    v4_pairs,
    write_json,
    write_lines,
)


def write_stream(path: Path, conversations: int) -> Path:
    """Four short answers per conversation, one line each."""
    numbers = random.Random(5)
    with path.open("w", encoding="utf-8") as stream:
        for index in range(conversations):
            texts = [" ".join(numbers.choices(WORDS, k=12)) + "." for _ in range(8)]
            for pair in v4_pairs(texts)[1::2]:
                stream.write(json.dumps({**pair, "conversation_id": f"c{index}", "id": f"{index}"}) + "\n")
    return path


def peak_bytes_of_reading(path: Path) -> tuple[int, int]:
    """Most memory in use at once while the file was read, and how many answers it had."""
    tracemalloc.start()
    try:
        notes = Notes(Problems(path.name))
        answers = sum(item.trainable_answers for item in open_dataset(path, notes).conversations)
        return tracemalloc.get_traced_memory()[1], answers
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_reading_twenty_thousand_lines_takes_no_more_memory_than_two_thousand(tmp_path: Path) -> None:
    short, few = peak_bytes_of_reading(write_stream(tmp_path / "short", 500))
    long, many = peak_bytes_of_reading(write_stream(tmp_path / "long", 5000))
    assert (few, many) == (2000, 20000)
    assert long < short + 1_500_000
    assert long < (tmp_path / "long").stat().st_size / 8


@pytest.mark.slow
def test_auditing_takes_no_more_memory_for_a_longer_file(tmp_path: Path) -> None:
    peaks = []
    audit_dataset(write_stream(tmp_path / "warm", 20), chat=llama3())
    for conversations in (300, 1200):
        path = write_stream(tmp_path / str(conversations), conversations)
        tracemalloc.start()
        try:
            assert audit_dataset(path, chat=llama3()).conversations == conversations
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_500_000


@pytest.mark.parametrize("lines", [True, False])
def test_progress_ends_at_the_file_size(tmp_path: Path, *, lines: bool) -> None:
    path = (
        write_lines(tmp_path / "f", [chat_record([f"Question {index}?", "Yes."]) for index in range(20)])
        if lines
        else write_json(tmp_path / "f", three_conversations())
    )
    seen: list[tuple[int, int]] = []
    audit_dataset(path, chat=llama3(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert seen == sorted(seen)


def test_seen_ids_remember_past_the_small_set() -> None:
    seen = SeenIds()
    assert all(seen.add(f"id-{index}") for index in range(20_000))
    assert not any(seen.add(f"id-{index}") for index in range(0, 20_000, 97))
    assert seen.unused("id-5") == "id-5-2"
    assert seen.unused("id-5") == "id-5-3"


def test_a_name_of_many_conversations_is_not_counted_from_one_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session's id may stand a hundred thousand times; asking for each number again would never end."""
    asked: list[str] = []
    seen, add = SeenIds(), SeenIds.add

    def counted(self: SeenIds, name: str) -> bool:
        asked.append(name)
        return add(self, name)

    monkeypatch.setattr(SeenIds, "add", counted)
    names = [seen.unused("session") for _ in range(1000)]
    assert names == ["session", *(f"session-{number}" for number in range(2, 1001))]
    assert len(asked) < 2 * len(names)


def test_content_ids_tell_boundaries() -> None:
    assert content_id(["ab", "c"]) != content_id(["a", "bc"])
    assert content_id(["ab", "c"]) == content_id(["ab", "c"])
