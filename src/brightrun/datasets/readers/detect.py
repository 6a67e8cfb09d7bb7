"""Which format a file has, told from its content, never its name. An unknown one is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.readers import (
    alpaca,
    brightrun_v3,
    brightrun_v4,
    brightrun_v4_lines,
    brightrun_v4_single,
    openai_chat,
    sharegpt,
)
from brightrun.datasets.readers.fields import Record, keys, kind, maybe_count, maybe_object
from brightrun.datasets.readers.file_text import Progress, is_blank, is_json_lines, json_lines, whole_text
from brightrun.datasets.readers.json_text import parse_json
from brightrun.datasets.readers.notes import Notes
from brightrun.errors import DatasetError


class OpenedDataset(NamedTuple):
    """The format that was detected and its conversations, read as they are asked for."""

    format: str
    conversations: Iterator[Conversation]


class RecordFormat(NamedTuple):
    """A format whose file is many values, one per line or element."""

    name: str
    recognized_by: str
    matches: Callable[[dict[str, Any]], bool]
    read: Callable[[Iterator[Record], Notes], Iterator[Conversation]]


class DocumentFormat(NamedTuple):
    """A format whose file is one JSON object."""

    name: str
    recognized_by: str
    matches: Callable[[dict[str, Any]], bool]
    read: Callable[[dict[str, Any], Notes], Iterator[Conversation]]


DOCUMENT_FORMATS = tuple(
    DocumentFormat(module.NAME, module.RECOGNIZED_BY, module.matches, module.read)
    for module in (brightrun_v4, brightrun_v4_single, brightrun_v3)
)
RECORD_FORMATS = tuple(
    RecordFormat(module.NAME, module.RECOGNIZED_BY, module.matches, module.read)
    for module in (brightrun_v4_lines, openai_chat, sharegpt, alpaca)
)


def open_dataset(path: Path, notes: Notes, progress: Progress | None = None) -> OpenedDataset:
    """Detect the format and begin to read.

    Raises:
        DatasetError: no such file, empty, unknown format, or (while reading) unusable in places that are
        named.
    """
    try:
        if path.is_dir():
            raise DatasetError(f"{path} is a folder.", hint="Give the file of conversations itself.")
        if is_blank(path):
            raise DatasetError(f"{path.name} is empty.", hint="Export or download the file again.")
        lines = is_json_lines(path)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Check the path and the file's permissions.",
        ) from error
    if lines:
        return _open_records(path, json_lines(path, notes, progress), notes)
    return _open_document(path, notes, progress)


def _open_document(path: Path, notes: Notes, progress: Progress | None) -> OpenedDataset:
    value: Any = None
    with notes.collecting():
        value = parse_json(whole_text(path), notes)
    notes.problems.refuse()
    if isinstance(value, list):
        return _open_records(path, (Record(f"/{index}", item) for index, item in enumerate(value)), notes)
    if isinstance(value, dict):
        for known in DOCUMENT_FORMATS:
            if known.matches(value):
                return OpenedDataset(known.name, _told(known.read(value, notes), path, value, progress))
    return _open_records(path, iter([Record("line 1", value)]), notes)


def _open_records(path: Path, records: Iterator[Record], notes: Notes) -> OpenedDataset:
    first = next(records, None)
    metas = 0
    while first is not None and isinstance(first.value, dict) and "_meta" in first.value:
        notes.header.pairs = maybe_count(maybe_object(first.value, "_meta"), "total_pairs")
        metas += 1
        first = next(records, None)
    if first is None:
        _refuse_empty(path, metas, notes)
    if isinstance(first.value, dict):
        for known in RECORD_FORMATS:
            if known.matches(first.value):
                return OpenedDataset(known.name, known.read(chain([first], records), notes))
    return _refuse_unknown(path, first)


def _refuse_empty(path: Path, metas: int, notes: Notes) -> NoReturn:
    notes.problems.refuse()
    holds = "only a `_meta` line" if metas else "an empty list"
    raise DatasetError(
        f"{path.name} holds {holds} and no conversations.",
        hint="A `_meta` line is no example; export or download the file again.",
    )


def _refuse_unknown(path: Path, first: Record) -> NoReturn:
    found = f"the keys {keys(first.value)}" if isinstance(first.value, dict) else kind(first.value)
    where = first.place or "the top"
    names = [(known.name, known.recognized_by) for known in DOCUMENT_FORMATS]
    names += [(known.name, known.recognized_by) for known in RECORD_FORMATS]
    recognized_by = [f"{what} ({name})" for name, what in names]
    raise DatasetError(
        f"{path.name} is of no known format: at {where} it has {found}. Looked for " + "; ".join(recognized_by) + ".",
        hint="Convert the file to one of these formats; OpenAI chat JSONL is the simplest.",
        details={"found": list(first.value) if isinstance(first.value, dict) else kind(first.value)},
    )


def _told(
    conversations: Iterator[Conversation], path: Path, document: dict[str, Any], progress: Progress | None
) -> Iterator[Conversation]:
    """The conversations of a document, with progress in bytes as far as their number tells."""
    total = path.stat().st_size
    expected = len(document.get("conversations") or []) or 1
    for number, conversation in enumerate(conversations, start=1):
        yield conversation
        if progress is not None:
            progress(min(total, total * number // expected), total)
