"""Money: hours × price, a band, interruptions by Daly's formula, and no cost where no price is known."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal

import pytest
from pydantic import ValidationError

from brightrun.planning.cost import HourlyPrice, estimate_cost, with_interruptions
from brightrun.planning.durations import Duration, in_sequence

HALF_AN_HOUR = Duration(expected_seconds=1800, low_seconds=900, high_seconds=3600, obtained="told")
H100 = HourlyPrice(usd_per_hour=Decimal("2.89"), date=datetime.date(2026, 11, 9), source="a price list")


def test_half_an_hour_costs_half_the_price() -> None:
    cost = estimate_cost(HALF_AN_HOUR, H100, checkpoint_seconds=180, restart_seconds=300)
    assert (cost.low_usd, cost.expected_usd, cost.high_usd) == (
        Decimal("0.7225"),
        Decimal("1.4450"),
        Decimal("2.8900"),
    )
    assert (cost.usd_per_hour, cost.price_date) == (H100.usd_per_hour, H100.date)
    assert "a price list" in cost.obtained
    assert "published" in cost.obtained


def test_spot_machines_are_lost_more_often_and_say_that_it_is_assumed() -> None:
    day = Duration(expected_seconds=24 * 3600, low_seconds=24 * 3600, high_seconds=24 * 3600, obtained="told")
    spot = H100.model_copy(update={"instance_type": "spot"})
    steady = estimate_cost(day, H100, checkpoint_seconds=3600, restart_seconds=600)
    shaky = estimate_cost(day, spot, checkpoint_seconds=3600, restart_seconds=600)
    assert shaky.expected_interruptions == pytest.approx(3)
    assert shaky.expected_usd > steady.expected_usd
    assert "assumed" in shaky.obtained


def test_without_interruptions_a_run_takes_its_own_time() -> None:
    assert with_interruptions(7200, between=1e12, checkpoint_seconds=600, restart_seconds=600) == pytest.approx(7200)


def test_interruptions_cost_half_an_interval_and_the_restart_each() -> None:
    """To first order in 1/M: T · (1 + (τ/2 + R)/M)."""
    between, interval, restart = 1e6, 2000.0, 500.0
    found = with_interruptions(50_000, between=between, checkpoint_seconds=interval, restart_seconds=restart)
    assert found == pytest.approx(50_000 * (1 + (interval / 2 + restart) / between), rel=1e-5)


def test_rare_checkpoints_cost_more_where_machines_are_lost() -> None:
    few = with_interruptions(36_000, between=20_000, checkpoint_seconds=9000, restart_seconds=300)
    many = with_interruptions(36_000, between=20_000, checkpoint_seconds=900, restart_seconds=300)
    assert few > 1.1 * many
    assert math.isfinite(few)


def test_a_price_is_above_zero() -> None:
    with pytest.raises(ValidationError):
        HourlyPrice(usd_per_hour=Decimal(0), source="nobody")


def test_phases_add_up_with_their_bands() -> None:
    both = in_sequence([HALF_AN_HOUR, HALF_AN_HOUR.scaled(2)])
    assert (both.low_seconds, both.expected_seconds, both.high_seconds) == (2700, 5400, 10_800)
    assert both.obtained == "told"
