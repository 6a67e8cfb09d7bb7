"""Reads a little ahead of what is encoded, so that other processes can do it meanwhile; the order stays the file's.

Knows batches and their order, nothing of what stands in conversations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from brightrun.datasets.encoding_pool import WAITING_BATCHES, Batch, EncodingPool
from brightrun.datasets.encoding_wire import NOT_DONE, Done, Task, encode
from brightrun.errors import BrightRunError
from brightrun.platforms import usable_cores
from brightrun.templating.chat_model import ChatModel

Item = TypeVar("Item")
Asked = Callable[[Item], Task | None]


@dataclass(frozen=True, slots=True)
class LookAhead:
    """How far to read ahead, and from where on.

    Attributes:
        processes: How many encode beside the one that reads. None: one for each further core, at most four.
        begins_after: Characters that are encoded one conversation at a time first. A process takes about half a second
            until it can encode, so small files are done before.
        conversations: The most in one batch.
        characters: So many fill a batch, too.
        pool: Processes that run already, and go on running; else they are started for one walk and end with it.
    """

    processes: int | None = None
    begins_after: int = 2_500_000
    conversations: int = 64
    characters: int = 100_000
    pool: EncodingPool | None = None

    @property
    def all_processes(self) -> int:
        return min(usable_cores() - 1, 4) if self.processes is None else self.processes

    @property
    def batches(self) -> int:
        """The most that are read and not given out."""
        return (WAITING_BATCHES + 1) * self.all_processes + 1


AUTOMATIC = LookAhead()
ONE_AT_A_TIME = LookAhead(processes=0)


class _Waiting(NamedTuple, Generic[Item]):
    """A batch of items in the file's order, each with whether something is asked; `results` of those of which it is."""

    items: list[tuple[Item, bool]]
    results: Batch | list[Done]


def encode_ahead(
    items: Iterable[Item], asked: Asked[Item], chat: ChatModel, ahead: LookAhead
) -> Generator[tuple[Item, Done], None, None]:
    """Every item with what came of the task `asked` makes of it, in order.

    Nothing is done where there is no task and where nobody has tried; then, as where a conversation cannot be encoded,
    who asks is to do it himself, and gets the error that it is left out or refused for. What `items` raises is raised
    after everything before it was given out.
    """
    iterator = iter(items)
    if not ahead.all_processes:
        yield from ((item, NOT_DONE) for item in iterator)
        return
    characters = 0
    for item in iterator:
        yield item, NOT_DONE
        characters += _characters(asked(item))
        if characters > ahead.begins_after:
            break
    else:
        return
    started = closing(EncodingPool(chat, ahead.all_processes)) if ahead.pool is None else nullcontext(ahead.pool)
    with started as pool:
        yield from _in_batches(iterator, asked, chat, ahead, pool)


def _in_batches(
    items: Iterator[Item], asked: Asked[Item], chat: ChatModel, ahead: LookAhead, pool: EncodingPool
) -> Iterator[tuple[Item, Done]]:
    waiting: deque[_Waiting[Item]] = deque()
    failures: list[Exception] = []
    for batch in _batches(items, asked, ahead, failures):
        tasks = [task for _, task in batch if task is not None]
        sent = pool.send(tasks) if tasks else None
        results = [Done(encode(chat, task.messages), None) for task in tasks] if sent is None else sent
        waiting.append(_Waiting([(item, task is not None) for item, task in batch], results))
        while waiting and (len(waiting) >= ahead.batches or _is_done(waiting[0].results)):
            yield from _given_out(waiting.popleft())
    while waiting:
        yield from _given_out(waiting.popleft())
    if failures:
        raise failures[0]


def _batches(
    items: Iterator[Item], asked: Asked[Item], ahead: LookAhead, failures: list[Exception]
) -> Iterator[list[tuple[Item, Task | None]]]:
    """Items with their tasks, in batches. What `items` raises ends them and is put into `failures`."""
    batch: list[tuple[Item, Task | None]] = []
    characters = 0
    while True:
        try:
            item = next(items)
        except StopIteration:
            break
        except (BrightRunError, OSError) as error:
            failures.append(error)
            break
        task = asked(item)
        batch.append((item, task))
        characters += _characters(task)
        if len(batch) >= ahead.conversations or characters >= ahead.characters:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _characters(task: Task | None) -> int:
    return 0 if task is None else sum(map(len, task.texts))


def _is_done(results: Batch | list[Done]) -> bool:
    return results.is_done if isinstance(results, Batch) else True


def _given_out(batch: _Waiting[Item]) -> Iterator[tuple[Item, Done]]:
    results = iter(batch.results.results() if isinstance(batch.results, Batch) else batch.results)
    for item, is_asked in batch.items:
        yield item, next(results) if is_asked else NOT_DONE
