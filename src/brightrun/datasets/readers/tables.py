"""Rows of CSV, TSV, Excel and Parquet files, each as an object by its columns."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import Record
from brightrun.datasets.readers.file_text import Progress
from brightrun.datasets.readers.notes import Notes
from brightrun.datasets.readers.source import Source
from brightrun.errors import DatasetError


class CsvRows(Protocol):
    """What `csv.reader` gives."""

    line_num: int

    def __next__(self) -> list[str]: ...

    def __iter__(self) -> Iterator[list[str]]: ...


_DELIMITERS = ",\t;|"
_BATCH_ROWS = 256
_FIELD_BYTES = 1 << 28
_EXTRA = "Install it with `pip install 'brightrun[tables]'`, or save the file as CSV or JSONL."
_MIN_COLUMNS = 2
_EXCEL_HEADER_ROW = 1


def csv_delimiter(head: bytes) -> str | None:
    """The character between the columns of a table in text, told from its first line; None where it is none."""
    first = next((line for line in head.decode("utf-8", "ignore").splitlines() if line.strip()), "")
    counts = {mark: len(next(csv.reader([first], delimiter=mark), [])) for mark in _DELIMITERS}
    mark = max(counts, key=lambda each: counts[each])
    names = next(csv.reader([first], delimiter=mark), [])
    plausible = counts[mark] >= _MIN_COLUMNS and all(len(name) <= 80 and "\n" not in name for name in names)
    lines = head.decode("utf-8", "ignore").splitlines(keepends=True)
    rows = [row for row in islice(csv.reader(lines, delimiter=mark), 3) if row]
    fits = len(rows) < _MIN_COLUMNS or len(rows[1]) >= _MIN_COLUMNS
    return mark if plausible and fits and len(set(names)) == len(names) else None


def csv_rows(source: Source, delimiter: str, notes: Notes, progress: Progress | None) -> Iterator[Record]:
    """The rows of a CSV with a header, one at a time. A row with other columns becomes a problem."""
    csv.field_size_limit(_FIELD_BYTES)
    with source.open() as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            header = _header(_next_row(rows, source.path) or [], source.path)
        except UnreadableRecordError as problem:
            raise notes.problems.refused_whole(problem) from problem
        line = rows.line_num
        while True:
            start = line + 1
            with notes.collecting():
                row = _next_row(rows, source.path)
                if row is None:
                    return
                line = rows.line_num
                if row and any(cell.strip() for cell in row):
                    yield Record(f"line {start}", _by_column(header, row, f"line {start}"))
            if progress is not None:
                progress(min(source.position, source.total), source.total)


def _next_row(rows: CsvRows, path: Path) -> list[str] | None:
    """The next row; None at the end.

    Raises:
        UnreadableRecordError: it is no row of a CSV.
        DatasetError: it is not UTF-8, so nothing after it can be read.
    """
    try:
        return next(rows, None)
    except csv.Error as error:
        raise UnreadableRecordError(f"line {rows.line_num}", f"not a row of a CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path.name} is not UTF-8 text after line {rows.line_num}.",
            hint="Save it as UTF-8; Excel calls that CSV UTF-8.",
        ) from error


def excel_rows(source: Source, notes: Notes) -> Iterator[Record]:
    """The rows of one sheet of a workbook. Raises DatasetError: which sheet is not clear, or openpyxl is missing."""
    path = source.path
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise DatasetError(f"{path.name} is an Excel workbook; reading it takes openpyxl.", hint=_EXTRA) from error
    with zipfile.ZipFile(path) as archive:
        source.check_size(sum(each.file_size for each in archive.infolist()))
    book = load_workbook(path, read_only=True, data_only=True)
    sheet = book[_sheet(path, book.sheetnames, notes.choices.part)]
    notes.part_taken = True
    rows = sheet.iter_rows(values_only=True)
    header = _header([_cell_text(cell) or "" for cell in next(rows, ())], path)
    for number, row in enumerate(rows, start=_EXCEL_HEADER_ROW + 1):
        cells = [_cell_text(cell) for cell in row[: len(header)]]
        if any(cells):
            yield Record(f"line {number}", dict(zip(header, map(_value, cells), strict=False)))


def parquet_rows(source: Source, progress: Progress | None) -> Iterator[Record]:
    """The rows of a Parquet file, a few hundred in memory at a time. Raises DatasetError: pyarrow is missing."""
    path = source.path
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise DatasetError(f"{path.name} is a Parquet file; reading it takes pyarrow.", hint=_EXTRA) from error
    try:
        with parquet.ParquetFile(path) as file:
            total, number = max(file.metadata.num_rows, 1), 0
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(f"line {number}", row)
                if progress is not None:
                    progress(source.total * number // total, source.total)
    except ArrowException as error:
        raise DatasetError(f"{path.name} is a damaged Parquet file: {error}.", hint="Download it again.") from error


def _sheet(path: Path, names: list[str], part: str | None) -> str:
    if part is not None and part in names:
        return part
    if part is None and len(names) == 1:
        return names[0]
    raise DatasetError(
        f"{path.name} has {len(names)} sheets: {', '.join(names[:10])}.",
        hint="Say which one holds the conversations with --part NAME.",
        details={"parts": dict.fromkeys(names[:1000])},
    )


def _header(names: list[str], path: Path) -> list[str]:
    header = [name.strip().lstrip("\ufeff") or f"column {number}" for number, name in enumerate(names, start=1)]
    if len({name.casefold() for name in header}) < len(header):
        raise DatasetError(f"{path.name} has two columns of one name.", hint="Give every column its own name.")
    return header


def _by_column(header: list[str], row: list[str], place: str) -> dict[str, Any]:
    if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
        raise UnreadableRecordError(
            place,
            f"the row has {len(row)} cells, the header {len(header)}: a text with commas or quotes is not quoted",
            hint="Write the file with a CSV library, which quotes such texts.",
        )
    return dict(zip(header, map(_value, row), strict=False))


def _value(cell: str | None) -> Any:
    """A cell; one that holds the JSON text of a list or an object is that."""
    if cell is not None and cell[:1] in "[{" and cell[-1:] in "]}":
        with suppress(ValueError, RecursionError):
            return json.loads(cell)
    return cell


def _cell_text(cell: Any) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
