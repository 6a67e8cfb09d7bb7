"""How often the verdict is wrong, and how often it sees a real gain, through the product's own function.

    python benchmarks/verdict.py                      under two minutes
    python benchmarks/verdict.py --replicates 5000 --spread exponential
    python benchmarks/verdict.py --json

Every cell draws validation conversations whose true change is zero, and again with a true gain. What differs is how
the relative change spreads between conversations. Its standard deviation is always 5 % of the loss; the gain is three
of those. False claims and coverage are of the draws without a gain; coverage is that of the worse of the two intervals.
Resamples are fewer than the product's, which makes the ends of a single interval less exact.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from multiprocessing import get_context

import numpy as np

from brightrun.evaluation.bootstrap import Floats
from brightrun.evaluation.verdicts import Judgment, judge

CONVERSATIONS = (5, 6, 7, 8, 12, 24, 36)
REPLICATES = 1_000
RESAMPLES = 2_000
SPREAD = 0.05
GAIN = 3 * SPREAD
ANSWER_TOKENS = 100
_AT_ONCE = 50  # tables resampled together; more need more memory and are no faster

Generator = np.random.Generator
Shape = tuple[int, int]


def exponential(generator: Generator, shape: Shape) -> Floats:
    return generator.exponential(size=shape) - 1.0


def lognormal(sigma: float) -> Callable[[Generator, Shape], Floats]:
    mean, deviation = math.exp(sigma**2 / 2), math.sqrt(math.expm1(sigma**2) * math.exp(sigma**2))
    return lambda generator, shape: (generator.lognormal(sigma=sigma, size=shape) - mean) / deviation


def two_points(generator: Generator, shape: Shape) -> Floats:
    return generator.choice([-1.0, 1.0], size=shape)


def rare_harm(generator: Generator, shape: Shape) -> Floats:
    """One conversation in ten becomes three deviations worse, the others a third better."""
    return np.where(generator.random(shape) < 0.1, 3.0, -1 / 3) + 0.1 * generator.normal(size=shape)


SHAPES: dict[str, Callable[[Generator, Shape], Floats]] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "exponential": exponential,
    "exponential, to the left": lambda generator, shape: -exponential(generator, shape),
    "lognormal 0.5": lognormal(0.5),
    "lognormal 0.5, to the left": lambda generator, shape: -lognormal(0.5)(generator, shape),
    "t of 3 degrees": lambda generator, shape: generator.standard_t(3, size=shape) / math.sqrt(3),
    "two points": two_points,
    "lognormal 1": lognormal(1.0),
    "one in ten harmed": rare_harm,
}
"""How the change spreads between conversations; all have mean 0 and a standard deviation of 1, or nearly."""


@dataclass(frozen=True)
class Spread:
    """A shape, and whether conversations differ tenfold in length and the change with their length."""

    shape: str
    unequal: bool = False
    by_length: float = 0.0
    promised: bool = True


SPREADS = {
    **{name: Spread(name) for name in list(SHAPES)[:7]},
    "unequal, normal": Spread("normal", unequal=True),
    "unequal, exponential": Spread("exponential", unequal=True),
    "unequal, longer gain": Spread("normal", unequal=True, by_length=-1.0),
    "unequal, longer lose": Spread("normal", unequal=True, by_length=1.0),
    **{name: Spread(name, promised=False) for name in list(SHAPES)[7:]},
}
"""The last two are beyond what is promised: no interval known to us holds there, and the table shows by how much."""


@dataclass(frozen=True)
class Cell:
    """Shares of the draws; coverage is absent where there are too few conversations for an interval."""

    spread: str
    conversations: int
    replicates: int
    false_better: float
    false_worse: float
    coverage: float | None
    power: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicates", type=int, default=REPLICATES, help="draws in every cell")
    parser.add_argument("--resamples", type=int, default=RESAMPLES, help="of every interval")
    parser.add_argument("--conversations", type=int, nargs="+", default=CONVERSATIONS)
    parser.add_argument("--spread", choices=SPREADS, action="append", help="only these")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    started = time.perf_counter()
    wanted = list(product(arguments.spread or SPREADS, arguments.conversations))
    cells = measured(wanted, arguments.replicates, arguments.resamples)
    if arguments.json:
        print(json.dumps({"cells": [asdict(cell) for cell in cells]}))
    else:
        print_table(cells)
        print(f"\n{time.perf_counter() - started:.0f} s")


def measured(wanted: list[tuple[str, int]], replicates: int, resamples: int) -> list[Cell]:
    """One process for every processor and one thread in each: threads that share such small products only wait."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        tasks = [processes.submit(measure, name, count, replicates, resamples) for name, count in wanted]
        return [task.result() for task in tasks]


def measure(name: str, conversations: int, replicates: int, resamples: int = RESAMPLES) -> Cell:
    """One cell; the same arguments give the same cell."""
    generator = np.random.default_rng([zlib.crc32(name.encode()), conversations])
    shape = (replicates, conversations)
    tables = np.concatenate([drawn(SPREADS[name], change, shape, generator) for change in (0.0, -GAIN)])
    judgments = judged(tables, resamples)
    null, gained = judgments[:replicates], judgments[replicates:]
    return Cell(
        spread=name,
        conversations=conversations,
        replicates=replicates,
        false_better=share([judgment.verdict == "better" for judgment in null]),
        false_worse=share([judgment.verdict == "worse" for judgment in null]),
        coverage=coverage(null),
        power=share([judgment.verdict == "better" for judgment in gained]),
    )


def drawn(spread: Spread, change: float, shape: Shape, generator: Generator) -> Floats:
    """Tables of sums by conversation whose true relative and mean change is this one.

    Where the change depends on the length, it does so around the length at which both are right.
    """
    lengths = 10 ** generator.random(shape) if spread.unequal else np.full(shape, 3.0)
    answers = np.rint(lengths)
    tokens = lengths * ANSWER_TOKENS
    base_loss = np.maximum(generator.normal(3.0, 0.3, size=shape), 1.0)
    changes = SHAPES[spread.shape](generator, shape)
    if spread.by_length:
        changes = (changes + spread.by_length * centered(lengths)) / math.hypot(1.0, spread.by_length)
    relative = change + SPREAD * changes
    base = base_loss * tokens
    return np.stack([lengths * base_loss * relative, answers, tokens, base, base * (1 + relative)], axis=2)


def centered(lengths: Floats) -> Floats:
    """The logarithm of lengths from 1 to 10, spread evenly, with deviation 1 and a mean weighted by length of 0."""
    logarithms = np.log10(lengths)
    weighted_mean = 10 / 9 - 1 / math.log(10)
    return np.asarray((logarithms - weighted_mean) * math.sqrt(12))


def judged(tables: Floats, resamples: int) -> list[Judgment]:
    """What the product says of every table."""
    parts = [tables[start : start + _AT_ONCE] for start in range(0, len(tables), _AT_ONCE)]
    return [judgment for seed, part in enumerate(parts) for judgment in judge(part, seed=seed, resamples=resamples)]


def coverage(null: list[Judgment]) -> float | None:
    if any(judgment.verdict == "too_few" for judgment in null):
        return None
    ends = np.array([judgment[:4] for judgment in null])
    inside = (ends[:, [0, 2]] <= 0) & (ends[:, [1, 3]] >= 0)
    return float(inside.mean(axis=0).min())


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def print_table(cells: list[Cell]) -> None:
    print(f"{'spread':28} {'conversations':>13} {'false better':>13} {'false worse':>12} {'coverage':>9} {'power':>7}")
    for cell in cells:
        covered = "none" if cell.coverage is None else f"{cell.coverage:.1%}"
        print(
            f"{cell.spread:28} {cell.conversations:13} {cell.false_better:13.1%} {cell.false_worse:12.1%} "
            f"{covered:>9} {cell.power:7.1%}"
        )


if __name__ == "__main__":
    main()
