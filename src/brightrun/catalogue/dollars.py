"""Dollars as every screen, sentence and chart shows them."""

from __future__ import annotations

from decimal import Decimal


def usd(amount: Decimal | float) -> str:
    """`$3.42`, and `$0.0031` where cents would show nothing though something is owed."""
    value = Decimal(str(amount))
    return f"${value:,.2f}" if value == 0 or abs(value) >= Decimal("0.01") else f"${value:.4f}"
