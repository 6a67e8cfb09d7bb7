"""Dollars in words: cents, unless cents would show nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from brightrun.catalogue.dollars import usd


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (Decimal("3.415"), "$3.42"),
        (1234.5, "$1,234.50"),
        (0.01, "$0.01"),
        (Decimal("0.0031"), "$0.0031"),
        (Decimal(0), "$0.00"),
        (0.0, "$0.00"),
    ],
)
def test_a_little_money_is_not_shown_as_none(amount: Decimal | float, shown: str) -> None:
    assert usd(amount) == shown
