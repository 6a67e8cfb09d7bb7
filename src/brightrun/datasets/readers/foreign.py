"""Files that are no conversations: each is refused by its name, with the way out."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from brightrun.datasets.readers.record_fields import RecordFields
from brightrun.errors import DatasetError


class _Kind(NamedTuple):
    what: str
    hint: str
    test: Callable[[bytes], bool]


def _starts(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(marks)


def _matches(pattern: bytes) -> Callable[[bytes], bool]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda head: compiled.match(head) is not None


_EXPORT = "Export the conversations as JSONL, CSV or Parquet and give that file."
_TABLE = "Write the conversations from it to JSONL, CSV or Parquet, for example with pandas."
_TEXT = "Write one JSON object per line with `messages`, or a CSV with a column for questions and one for answers."
_WRONG_FILE = "Give the file of conversations instead."

_BINARY = (
    _Kind("a PDF document", _EXPORT, _starts(b"%PDF")),
    _Kind("a document in the old Office format", _EXPORT, _starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")),
    _Kind("an RTF document", _EXPORT, _starts(b"{\\rtf")),
    _Kind("an SQLite database", _TABLE, _starts(b"SQLite format 3\x00")),
    _Kind("an Arrow file", _TABLE, _starts(b"ARROW1", b"\xff\xff\xff\xff")),
    _Kind("an Avro file", _TABLE, _starts(b"Obj\x01")),
    _Kind("an ORC file", _TABLE, _starts(b"ORC")),
    _Kind("a Feather file", _TABLE, _starts(b"FEA1")),
    _Kind("an HDF5 file", _TABLE, _starts(b"\x89HDF")),
    _Kind("a NumPy array", _TABLE, _starts(b"\x93NUMPY")),
    _Kind("a pickled Python object, which is never opened: it can run programs", _TABLE, _starts(
        b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")),
    _Kind("a model in GGUF", _WRONG_FILE, _starts(b"GGUF")),
    _Kind("a file of tensors (safetensors)", _WRONG_FILE, lambda head: head[8:10] == b'{"' and head[4:8] == b"\0" * 4),
    _Kind("a picture", "Only text can be trained on.", _starts(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM6", b"II*\0")),
    _Kind("a picture, sound or film", "Only text can be trained on.", _starts(b"RIFF", b"OggS", b"ID3", b"fLaC")),
    _Kind("a film", "Only text can be trained on.", lambda head: head[4:8] == b"ftyp"),
    _Kind("packed with zstd", "Unpack it, or pack it with gzip, which is read.", _starts(b"\x28\xb5\x2f\xfd")),
    _Kind("packed with lz4", "Unpack it, or pack it with gzip, which is read.", _starts(b"\x04\x22\x4d\x18")),
    _Kind("a 7z archive", "Unpack it and give what is in it.", _starts(b"7z\xbc\xaf\x27\x1c")),
    _Kind("a RAR archive", "Unpack it and give what is in it.", _starts(b"Rar!")),
    _Kind("a tar archive", "Unpack it and give what is in it.", lambda head: head[257:262] == b"ustar"),
    _Kind("a program", _WRONG_FILE, _starts(b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")),
)  # fmt: skip
_TEXTS = (
    _Kind("the pointer of a file in Git LFS, not the file", "Fetch the file itself with `git lfs pull`.",
          _starts(b"version https://git-lfs")),
    _Kind("a web page (HTML)", "The download may have given a page in place of the file; download it again.",
          _matches(rb"\s*(<!doctype html|<html)")),
    _Kind("an XML document", _TEXT, _matches(rb"\s*<\?xml|\s*<[a-z]+[ >/]")),
    _Kind("a Python program", _WRONG_FILE, _matches(rb"\s*(#!.*python|import \w+\s*\n|from \w+ import )")),
    _Kind("a mailbox", _TEXT, _matches(rb"From \S+@\S+ ")),
    _Kind("a chat that WhatsApp exported", _TEXT,
          _matches(rb"[\xe2\x80\x8e\s]*\[?\d{1,4}[./-]\d{1,2}[./-]\d{2,4},? \d{1,2}[:.]\d{2}")),
    _Kind("subtitles", _TEXT, _matches(rb"\s*(WEBVTT|1\s*\n\d\d:\d\d:\d\d,\d{3} -->)")),
    _Kind("YAML", "Convert it to JSON.", _matches(rb"---\s*\n|\s*-? ?(messages|conversations|instruction|prompt):\s")),
    _Kind("settings in TOML or INI", _WRONG_FILE, _matches(rb"\s*\[[\w.]+\]\s*\n\s*\w+ ?=")),
)  # fmt: skip

# Objects that people give by mistake, by some of their keys.
_OBJECTS: tuple[tuple[frozenset[str], str, str], ...] = tuple(
    (frozenset(names.split()), what, hint)
    for names, what, hint in (
        ("nbformat cells", "a notebook", _WRONG_FILE),
        ("model added_tokens", "a tokenizer", _WRONG_FILE),
        ("tokenizer_class", "a tokenizer's configuration", _WRONG_FILE),
        ("model_type architectures", "a model's configuration", _WRONG_FILE),
        ("peft_type base_model_name_or_path", "an adapter's configuration", _WRONG_FILE),
        ("weight_map metadata", "an index of a model's files", _WRONG_FILE),
        ("custom_id method body", "requests to a batch interface",
         "Give the conversations with their answers: the requests hold none."),
        ("custom_id response", "answers of a batch interface",
         "Join them with their requests into `messages`: alone they do not say what was asked."),
        ("choices model", "answers of a chat interface",
         "Join them with their requests into `messages`: alone they do not say what was asked."),
        ("type user ts text", "a channel that Slack exported", _TEXT),
        ("features splits", "the description of a dataset, not its data", "Give the data file beside it."),
        ("query pos neg", "pairs for training embeddings", "Chat models are trained on conversations; these are none."),
        ("sentence1 sentence2", "pairs of sentences", "Chat models are trained on conversations; these are none."),
        ("text label", "texts with labels, for a classifier",
         "Write each as a question and the wanted answer, or say what the columns mean with --map."),
        ("text", "plain texts, for continued pretraining",
         "Chat models are trained on conversations: write `messages`, or name the columns with --map."),
    )
)  # fmt: skip


def refuse_binary(path: Path, head: bytes) -> None:
    """Raises DatasetError where the first bytes are those of another kind of file."""
    _refuse(path, head, _BINARY)
    if head.startswith(b"PK\x03\x04"):
        raise _error(path, _office_kind(path), _EXPORT)
    if b"\x00" in head[:1024]:
        raise _error(path, "not text", "Give a file of conversations: JSONL, JSON, CSV, Excel or Parquet.")


def refuse_text_like_json(path: Path, head: bytes) -> None:
    """Raises DatasetError for texts of a known kind that begin as JSON may: with a bracket or a digit."""
    if head.lstrip()[:1] not in (b"{", b'"'):
        _refuse(path, head, _TEXTS)


def text_refused(path: Path, head: bytes) -> DatasetError:
    """The refusal of a text that is neither JSON nor a table, by what it is."""
    _refuse(path, head, _TEXTS)
    return _error(path, "plain text", _TEXT)


def named_object(fields: RecordFields) -> tuple[str, str] | None:
    """What an object is by its keys, and the way out; None where nothing is known of it."""
    for names, what, hint in _OBJECTS:
        if all(name in fields for name in names):
            return what, hint
    return None


def _refuse(path: Path, head: bytes, kinds: tuple[_Kind, ...]) -> None:
    for kind in kinds:
        if kind.test(head):
            raise _error(path, kind.what, kind.hint)


def _office_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "a damaged zip archive"
    kinds = {"word/": "a Word document", "ppt/": "a PowerPoint document", "content.xml": "an OpenDocument file"}
    return next((what for start, what in kinds.items() if any(name.startswith(start) for name in names)),
                "an archive of another kind")  # fmt: skip


def _error(path: Path, what: str, hint: str) -> DatasetError:
    return DatasetError(f"{path.name} is {what}, not a file of conversations.", hint=hint, details={"kind": what})
