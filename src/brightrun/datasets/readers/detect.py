"""Which format a file has, told from its content, never its name. An unknown one is refused by what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from brightrun.datasets.checks import weighted_answers
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.problems import Problems, UnreadableRecordError
from brightrun.datasets.readers import brightrun_v3, brightrun_v4, brightrun_v4_single, foreign, tables
from brightrun.datasets.readers.choose import chosen
from brightrun.datasets.readers.documents import records_of
from brightrun.datasets.readers.fields import Record, keys, kind, maybe_count, maybe_object
from brightrun.datasets.readers.file_text import Progress, is_blank, is_json_lines, json_lines, whole_text
from brightrun.datasets.readers.json_text import parse_json, parse_objects_in_a_row
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.record_fields import RecordFields, is_absent
from brightrun.datasets.readers.record_formats import RECORD_FORMATS, fields_of
from brightrun.datasets.readers.source import Source, is_spreadsheet
from brightrun.datasets.readers.text_pairs import columns_of
from brightrun.errors import DatasetError

_LOOKED_AT = 20  # records, before a file is called unknown: the first may be the damaged one


class OpenedDataset(NamedTuple):
    """The format that was detected and its conversations, read as they are asked for."""

    format: str
    conversations: Iterator[Conversation]


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


def open_dataset(path: Path, notes: Notes, progress: Progress | None = None) -> OpenedDataset:
    """Detect the format and begin to read.

    Raises:
        DatasetError: no such file, empty, another kind of file, or (while reading) unusable in places that are
        named.
    """
    try:
        if path.is_dir():
            raise DatasetError(f"{path} is a folder.", hint="Give the file of conversations itself.")
        if path.exists() and not path.is_file():
            raise DatasetError(f"{path} is a pipe or a device.", hint="Write it to a file first, and give that.")
        source = Source(path, notes.choices.part)
        notes.part_taken = source.member is not None and source.member == notes.choices.part
        opened = _open(source, notes, progress)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror or error}.",
            hint="Check the path and the file's permissions.",
        ) from error
    conversations = _with_its_part(opened.conversations, path, notes)
    return opened._replace(conversations=chosen(_counted(conversations, notes), notes))


def _with_its_part(conversations: Iterator[Conversation], path: Path, notes: Notes) -> Iterator[Conversation]:
    """The conversations. Raises DatasetError where a part was named in a file that has none."""
    first = next(conversations, None)
    if notes.choices.part is not None and not notes.part_taken:
        raise DatasetError(
            f"{path.name} has no part {notes.choices.part!r:.60}: it holds one list of conversations.",
            hint="Leave --part out, or check which file was meant.",
            details={"param": "part"},
        )
    if first is not None:
        yield first
    yield from conversations


def open_rows(rows: Iterable[dict[str, Any]], notes: Notes) -> OpenedDataset:
    """Begin to read rows that were taken out of a file; the first stands at `row 1`. Raises DatasetError as a file."""
    records = (Record(f"row {number}", row) for number, row in enumerate(rows, start=1))
    return _open_records(Path("The rows"), records, notes)


def _open(source: Source, notes: Notes, progress: Progress | None) -> OpenedDataset:
    path, head = source.path, source.head
    if head.startswith(b"PAR1"):
        return _open_records(path, tables.parquet_rows(source, progress), notes)
    if head.startswith(b"PK\x03\x04") and is_spreadsheet(path):
        return _open_records(path, tables.excel_rows(source, notes), notes)
    foreign.refuse_binary(path, head)
    if is_blank(source):
        raise DatasetError(f"{path.name} is empty.", hint="Export or download the file again.")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start not in (b"{", b"[", b'"') and not head.strip().decode("utf-8", "ignore")[:1].isdecimal():
        return _open_text(source, notes, progress)
    foreign.refuse_text_like_json(path, head)
    if is_json_lines(source):
        return _open_records(path, json_lines(source, notes, progress), notes)
    return _open_document(source, notes, progress)


def _open_text(source: Source, notes: Notes, progress: Progress | None) -> OpenedDataset:
    """A table, or a text that is refused by what it is. `null` and the like are JSON, and no records."""
    delimiter = tables.csv_delimiter(source.head)
    if delimiter is None:
        if source.head.strip() in (b"null", b"true", b"false"):
            return _open_document(source, notes, progress)
        raise foreign.text_refused(source.path, source.head)
    return _open_records(source.path, tables.csv_rows(source, delimiter, notes, progress), notes)


def _open_document(source: Source, notes: Notes, progress: Progress | None) -> OpenedDataset:
    path = source.path
    value: Any
    try:
        value = _value(whole_text(source), notes)
    except UnreadableRecordError as problem:
        raise notes.problems.refused_whole(problem) from problem
    if isinstance(value, _InARow):
        return _open_records(path, (Record(f"line {line}", item) for line, item in value.values), notes)
    if isinstance(value, dict):
        for known in DOCUMENT_FORMATS:
            if known.matches(value):
                return OpenedDataset(known.name, _told(known.read(value, notes), path, value, progress))
    return _open_records(path, records_of(value, path, notes, is_record=_is_record, member=source.member), notes)


def _is_record(value: Any) -> bool:
    """Whether an object is one record, not a wrapper of many; one of a known other kind is refused as a whole."""
    try:
        fields = RecordFields(value, "")
    except UnreadableRecordError:
        return True
    return any(known.matches(fields) for known in RECORD_FORMATS) or foreign.named_object(fields) is not None


class _InARow(NamedTuple):
    values: list[tuple[int, Any]]


def _value(text: str, notes: Notes) -> Any:
    """The JSON value of a text, or all of them where several stand in a row."""
    try:
        return parse_json(text, notes)
    except UnreadableRecordError as problem:
        if "extra data" not in problem.problem:
            raise
    return _InARow(list(parse_objects_in_a_row(text)))


def _open_records(path: Path, records: Iterator[Record], notes: Notes) -> OpenedDataset:
    first: list[Record] = []
    records, metas = notes.remembering(records), 0
    problem: UnreadableRecordError | None = None
    for record in records:
        if isinstance(record.value, dict) and "_meta" in record.value:
            notes.header.pairs = maybe_count(maybe_object(record.value, "_meta"), "total_pairs")
            metas += 1
            continue
        first.append(record)
        try:
            fields = fields_of(record.value, record.place, notes)
        except UnreadableRecordError as error:
            problem = problem or error
        else:
            for known in RECORD_FORMATS:
                if known.matches(fields):
                    notes.columns = dict(notes.choices.columns) or columns_of(fields, known.name)
                    return OpenedDataset(known.name, known.read(chain(first, records), notes))
        if len(first) == _LOOKED_AT:
            break
    if not first:
        raise _empty(path, metas, notes)
    if problem is not None and isinstance(first[0].value, dict):
        raise notes.problems.refused_whole(problem)
    raise _unknown(path, first[0], notes)


def _counted(conversations: Iterator[Conversation], notes: Notes) -> Iterator[Conversation]:
    for conversation in conversations:
        notes.read += 1
        if weights := sorted({turn.weight for turn in conversation.turns if turn.target and turn.weight != 1.0}):
            told = ", ".join(f"{weight:g}" for weight in weights)
            notes.add(weighted_answers.CHECK, told, conversation=conversation.id)
        yield conversation


def _empty(path: Path, metas: int, notes: Notes) -> DatasetError:
    notes.problems.refuse()
    holds = "only a `_meta` line" if metas else "an empty list"
    return DatasetError(
        f"{path.name} holds {holds} and no conversations.",
        hint="A `_meta` line is no example; export or download the file again.",
    )


def _unknown(path: Path, first: Record, notes: Notes) -> DatasetError:
    value, where = first.value, first.place or "the top"
    known = foreign.named_object(RecordFields(value, first.place)) if isinstance(value, dict) else None
    if known is not None:
        what, hint = known
        return DatasetError(
            f"{path.name} holds {what}, by its keys {keys(value)}; it is no file of conversations.",
            hint=hint,
            details={"found": list(value), "kind": what},
        )
    if isinstance(value, dict) and value and all(is_absent(held) for held in value.values()):
        return _empty(path, 0, Notes(Problems(path.name)))
    if isinstance(value, dict) and len(value) > 1 and not any(isinstance(held, dict | list) for held in value.values()):
        return DatasetError(
            f"{path.name} has the columns {keys(value)}; which is the question and which the answer cannot be told.",
            hint="Say it with --map COLUMN=prompt --map COLUMN=answer.",
            details={"found": list(value), "rows": notes.first_rows},
        )
    found = f"the keys {keys(value)}" if isinstance(value, dict) else kind(value)
    names = [(known.name, known.recognized_by) for known in DOCUMENT_FORMATS]
    names += [(known.name, known.recognized_by) for known in RECORD_FORMATS]
    recognized_by = [f"{what} ({name})" for name, what in names]
    return DatasetError(
        f"{path.name} is in no format we know: at {where} it has {found}. Looked for " + "; ".join(recognized_by) + ".",
        hint=(
            "Say which key is the question and which the answer with --map KEY=prompt --map KEY=answer, or convert the "
            "file; OpenAI chat JSONL is the simplest."
        ),
        details={"found": list(value), "rows": notes.first_rows} if isinstance(value, dict) else {"found": kind(value)},
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
