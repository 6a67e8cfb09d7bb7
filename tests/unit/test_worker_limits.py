"""When a run has to be over: by money, by time, or because it was asked; read anew when the server writes anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from brightrun.contract.states import EndReason
from brightrun.worker.event_log_reader import Span
from brightrun.worker.job_record import JobRecord, Limit
from brightrun.worker.limits import LimitReached, RunLimits, time_to_end

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RECORD = JobRecord(job_id="job-1", spans=(Span(attempt=1, begins_after=0),), started_at=NOON)
# 3.60 USD an hour is a tenth of a cent a second; 0.60 USD last ten minutes, four of them were over before the start.
CAPPED = RECORD.model_copy(
    update={
        "price_usd_per_hour": Decimal("3.60"), "max_cost_usd": Decimal("0.60"), "paid_since": NOON - 4 * MINUTE,
    }
)  # fmt: skip
ASKED = {"stop_after_step": EndReason.CANCELLED_BY_USER, "asked_to_stop_at": NOON + MINUTE}


@pytest.mark.parametrize(
    ("record", "limit"),
    [
        (RECORD, None),
        (RECORD.model_copy(update={"price_usd_per_hour": Decimal(9)}), None),
        (RECORD.model_copy(update={"max_cost_usd": Decimal(9)}), None),
        (CAPPED.model_copy(update={"price_usd_per_hour": Decimal(0)}), None),
        (CAPPED, Limit(NOON + 6 * MINUTE, EndReason.BUDGET_REACHED)),
        (CAPPED.model_copy(update={"paid_since": None}), Limit(NOON + 10 * MINUTE, EndReason.BUDGET_REACHED)),
        (CAPPED.model_copy(update={"deadline": NOON + 5 * MINUTE}), Limit(NOON + 5 * MINUTE, EndReason.TIME_LIMIT)),
        (CAPPED.model_copy(update={"deadline": NOON + 7 * MINUTE}), Limit(NOON + 6 * MINUTE, EndReason.BUDGET_REACHED)),
        (CAPPED.model_copy(update=ASKED), Limit(NOON + MINUTE, EndReason.CANCELLED_BY_USER)),
    ],
)
def test_the_first_limit_counts(record: JobRecord, limit: Limit | None) -> None:
    assert record.limit() == limit


def test_a_step_that_would_end_beyond_the_limit_is_seen_ahead(tmp_path: Path) -> None:
    now = NOON
    limits = RunLimits(tmp_path, now=lambda: now)
    assert limits.reached(ahead=timedelta(days=9)) is None, "nobody started this run with a limit"
    CAPPED.save(tmp_path)
    assert limits.reached(ahead=5.9 * MINUTE) is None
    assert limits.reached(ahead=6 * MINUTE) is EndReason.BUDGET_REACHED
    limits.check()
    now = NOON + 6 * MINUTE
    with pytest.raises(LimitReached) as reached:
        limits.check()
    assert reached.value.reason is EndReason.BUDGET_REACHED


def test_time_is_kept_back_for_a_good_end(tmp_path: Path) -> None:
    CAPPED.save(tmp_path)
    limits = RunLimits(tmp_path, reserve=2 * MINUTE, now=lambda: NOON + 3 * MINUTE)
    assert limits.reached(ahead=0.9 * MINUTE) is None
    assert limits.reached(ahead=MINUTE) is EndReason.BUDGET_REACHED
    assert time_to_end(0) == timedelta(seconds=5)
    assert time_to_end(207_093_760).total_seconds() == pytest.approx(58.8, abs=0.1), "Llama 3 70B at rank 16"


def test_what_the_server_writes_later_is_kept_too(tmp_path: Path) -> None:
    CAPPED.save(tmp_path)
    limits = RunLimits(tmp_path, now=lambda: NOON + 2 * MINUTE)
    assert limits.reached() is None
    CAPPED.model_copy(update=ASKED).save(tmp_path)
    assert limits.reached() is EndReason.CANCELLED_BY_USER


def test_a_run_without_a_folder_of_limits_has_none() -> None:
    assert RunLimits().reached(ahead=timedelta(days=9)) is None
