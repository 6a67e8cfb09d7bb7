"""Curves: one point for each step, the newest attempt's; thinned without losing a spike, short or long."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from brightrun.database import metrics
from brightrun.database.database import Database
from brightrun.database.metrics import Kind, MetricPoint
from brightrun.errors import InputError
from tests.contract.database_rows import NOW, add_job
from tests.contract.postgres import (  # noqa: F401
    give_database,
    give_database_url,
    give_postgres_server,
    give_postgres_url,
)


def point(step: int, loss: float | None, *, kind: Kind = "train", **more: float) -> MetricPoint:
    return MetricPoint(kind=kind, step=step, loss=loss, recorded_at=NOW, **more)


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])))
def test_the_newest_attempt_stays_in_any_order(database: Database, order: tuple[int, ...]) -> None:
    with database.session() as session:
        job = add_job(session)
        for attempt in order:
            for _ in range(2):
                metrics.record(session, job.id, attempt=attempt, points=[point(10, attempt / 10), point(attempt, 1.0)])
        curve = metrics.series(session, job.id, "train")
    assert [(each.step, each.loss) for each in curve] == [(1, 1.0), (2, 1.0), (3, 1.0), (10, 0.3)]


def test_numbers_come_back_exactly_and_unknown_is_none(database: Database) -> None:
    told = point(1, 1.25, learning_rate=1e-7, grad_norm=0.1, tokens_per_second=912.5, epoch=1.5)
    with database.session() as session:
        job = add_job(session)
        validation = point(1, 2.0, kind="validation")
        metrics.record(session, job.id, attempt=1, points=[told, validation, point(2, float("nan"))])
        assert metrics.series(session, job.id, "train") == [told]
        assert metrics.series(session, job.id, "validation") == [validation]


@pytest.mark.parametrize("stride", [1, 40], ids=["read whole", "read by blocks"])
def test_spikes_survive(database: Database, stride: int) -> None:
    """2,000 steps, and the same spread over 80,000, where only the index is searched."""
    rng = random.Random(3)
    losses = [1.0 + rng.random() / 10 for _ in range(2000)]
    losses[777], losses[1500] = 9.5, 0.01
    told = [point(1 + number * stride, loss) for number, loss in enumerate(losses)]
    with database.session() as session:
        job, other = add_job(session), add_job(session)
        metrics.record(session, job.id, attempt=1, points=told)
        metrics.record(session, other.id, attempt=1, points=[point(1 + 900 * stride, 99.0)])
    with database.reading() as session:
        curve = metrics.series(session, job.id, "train", 100)
    assert 50 < len(curve) <= 100
    assert {told[777], told[1500], told[0], told[-1]} <= set(curve)
    assert set(curve) <= set(told)
    assert [each.step for each in curve] == sorted(each.step for each in curve)


def test_both_ways_of_thinning_agree(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """With blocks as long as stretches, searching the index chooses what reading everything chooses."""
    rng = random.Random(5)
    told = [point(256 * 4 + number, rng.random()) for number in range(256 * 20)]
    with database.session() as session:
        job = add_job(session)
        metrics.record(session, job.id, attempt=1, points=told)
    with database.reading() as session:
        whole = metrics.series(session, job.id, "train", 42)
        monkeypatch.setattr(metrics, "_READ_WHOLE", 0)
        assert metrics.series(session, job.id, "train", 42) == whole


def test_a_short_curve_is_given_whole(database: Database) -> None:
    told = [point(step, 1 / step) for step in range(1, 21)]
    with database.session() as session:
        job = add_job(session)
        metrics.record(session, job.id, attempt=1, points=[*told, *told])
        metrics.record(session, job.id, attempt=1, points=[])
        assert metrics.series(session, job.id, "train", 20) == told
        assert metrics.series(session, job.id, "validation") == []
        with pytest.raises(InputError):
            metrics.series(session, job.id, "train", 3)


def test_spikes_of_another_measure_survive_when_it_is_the_one_that_is_looked_at(database: Database) -> None:
    told = [point(step, 1.0 + step % 7, grad_norm=0.5) for step in range(1, 2001)]
    told[1234] = point(1235, 3.0, grad_norm=90.0)
    told[0] = point(1, 1.0)
    with database.session() as session:
        job = add_job(session)
        metrics.record(session, job.id, attempt=1, points=told)
    with database.reading() as session:
        curve = metrics.series(session, job.id, "train", 40, by="grad_norm")
        assert told[1234] in curve
        assert told[0] not in curve  # its norm is not known
        assert len(curve) <= 40
        assert told[1234] not in metrics.series(session, job.id, "train", 40)
        assert metrics.series(session, job.id, "train", by="memory_bytes") == []


def test_every_point_comes_once_and_in_order(database: Database) -> None:
    told = [point(step, 1.0, memory_bytes=5_000_000_000 + step) for step in range(1, 12)]
    validation = [point(step, 2.0, kind="validation") for step in (0, 5)]
    with database.session() as session:
        job, other = add_job(session), add_job(session)
        metrics.record(session, job.id, attempt=1, points=[*told, *validation])
        metrics.record(session, other.id, attempt=1, points=[point(1, 9.0)])
    with database.reading() as session:
        for at_once in (1, 4, 11, 2000):
            assert list(metrics.every(session, job.id, at_once=at_once)) == [*told, *validation]
        assert list(metrics.every(session, "nobody")) == []
