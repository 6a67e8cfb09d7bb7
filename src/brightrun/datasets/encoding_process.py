"""The program of a process that encodes for another one. It ends when its standard input does."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import IO

from brightrun.datasets.encoding_wire import ModelSource, load, pack_done, read_frame, unpack_tasks, work, write_frame
from brightrun.datasets.fingerprints import FingerprintMaker


def main() -> None:
    """Read a model's source and then batches from standard input, write to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for who asked, and closes our input
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # what a library prints must not come between
    with suppress(OSError):
        serve(sys.stdin.buffer, answers)


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """An empty frame once the model is there, then what came of each batch.

    Batches are taken off the pipe while another is encoded, so that who writes them need not wait.
    """
    waiting: SimpleQueue[bytes | None] = SimpleQueue()
    Thread(target=_receive, args=(questions, waiting), daemon=True).start()
    source = waiting.get()
    chat = None if source is None else load(ModelSource(*json.loads(source)))
    if chat is None:
        return
    write_frame(answers, b"")
    maker = FingerprintMaker()
    while (batch := waiting.get()) is not None:
        write_frame(answers, pack_done(work(chat, maker, unpack_tasks(batch))))


def _receive(questions: IO[bytes], waiting: SimpleQueue[bytes | None]) -> None:
    while True:
        frame = read_frame(questions)
        waiting.put(frame)
        if frame is None:
            return
