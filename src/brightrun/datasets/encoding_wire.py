"""What passes between a process that reads conversations and those that encode them for it: texts in, numbers out.

Both are this product's own code on one machine; nothing of it is kept or sent elsewhere.
"""

from __future__ import annotations

import pickle
import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from brightrun.datasets.encoded_lengths import EncodedLengths, lengths_of
from brightrun.datasets.fingerprints import HASHES, Fingerprint, FingerprintMaker
from brightrun.errors import BrightRunError
from brightrun.templating import llama3
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.messages import Message
from brightrun.templating.model_folder import load_chat_model

_SIZE = struct.Struct("<Q")
_FINGERPRINT = np.dtype([("exact", "<u8"), ("opening", "<u8"), ("minima", "<u4", (HASHES,))])
_REFUSED = -1  # in place of the tokens
_ROW = attrgetter(*(field.name for field in fields(Message)))  # tuples are packed four times as fast as objects


class ModelSource(NamedTuple):
    """Where another process finds the same chat model: in a folder, or in Meta's package where there is none."""

    folder: str | None
    name: str
    fingerprint: str


class Task(NamedTuple):
    """`messages` to encode, as they are trained on; `texts` to take a fingerprint of, as they stand in the file."""

    messages: Sequence[Message]
    texts: Sequence[str]


class Done(NamedTuple):
    """What came of a task. No lengths: it cannot be encoded, and who asked is to try himself to learn why."""

    lengths: EncodedLengths | None
    fingerprint: Fingerprint | None


NOT_DONE = Done(None, None)


def source_of(chat: ChatModel) -> ModelSource | None:
    """None where only this process has the model."""
    if chat.source == llama3.SOURCE:
        return ModelSource(None, chat.name, chat.fingerprint)
    return ModelSource(chat.source, chat.name, chat.fingerprint) if Path(chat.source).is_dir() else None


def load(source: ModelSource) -> ChatModel | None:
    """The model; None where what is found there now is another one. Raises as loading a model does."""
    found = (
        llama3.llama3_chat_model() if source.folder is None else load_chat_model(Path(source.folder), name=source.name)
    )
    return found if found.fingerprint == source.fingerprint else None


def encode(chat: ChatModel, messages: Sequence[Message]) -> EncodedLengths | None:
    """None where it cannot be encoded."""
    try:
        return lengths_of(chat.encode_conversation(messages))
    except BrightRunError:
        return None


def work(chat: ChatModel, maker: FingerprintMaker, tasks: Iterable[Task]) -> list[Done]:
    return [Done(encode(chat, task.messages), maker.of(task.texts)) for task in tasks]


def pack_tasks(tasks: Iterable[Task]) -> bytes:
    """A text that stands in both lists of a task is packed once."""
    return pickle.dumps(
        [([_ROW(message) for message in task.messages], list(task.texts)) for task in tasks], protocol=5
    )


def unpack_tasks(data: bytes) -> list[Task]:
    packed = pickle.loads(data)  # noqa: S301 - from the process that started this one, over its pipe
    return [Task([Message(*row) for row in rows], texts) for rows, texts in packed]


def pack_done(done: Sequence[Done]) -> bytes:
    """Fingerprints, of one size each, and behind them the lengths."""
    prints = np.array([each.fingerprint for each in done], dtype=_FINGERPRINT)
    numbers = array("q")
    for lengths, _ in done:
        if lengths is None:
            numbers.append(_REFUSED)
            continue
        numbers.append(lengths.tokens)
        numbers.append(len(lengths.answer_spans))
        for span in lengths.answer_spans:
            numbers.extend(span)
        numbers.append(len(lengths.sequence_starts))
        numbers.extend(lengths.sequence_starts)
    return prints.tobytes() + numbers.tobytes()


def unpack_done(data: bytes, size: int) -> list[Done]:
    """`size`: how many tasks there were."""
    prints = np.frombuffer(data, dtype=_FINGERPRINT, count=size)
    numbers = array("q", data[prints.nbytes :])
    done: list[Done] = []
    position = 0
    for exact, opening, minima in zip(
        prints["exact"].tolist(), prints["opening"].tolist(), prints["minima"], strict=True
    ):
        tokens, position = numbers[position], position + 1
        lengths = None
        if tokens != _REFUSED:
            end = position + 1 + 2 * numbers[position]
            edges = numbers[position + 1 : end]
            position = end + 1 + numbers[end]
            starts = tuple(numbers[end + 1 : position])
            lengths = EncodedLengths(tokens, tuple(zip(edges[::2], edges[1::2], strict=True)), starts)
        done.append(Done(lengths, Fingerprint(exact, opening, minima)))
    return done


def write_frame(stream: IO[bytes], data: bytes) -> None:
    """Raises OSError where nobody reads any more."""
    stream.write(_SIZE.pack(len(data)) + data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """None where the other side has ended, in the middle of a frame or before it."""
    head = stream.read(_SIZE.size)
    if len(head) < _SIZE.size:
        return None
    (size,) = _SIZE.unpack(head)
    data = stream.read(size)
    return data if len(data) == size else None
