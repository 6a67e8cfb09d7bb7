"""How times, money, text and JSON are kept so that both databases give back exactly what was put in."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Numeric, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

MONEY_DIGITS = 12
MONEY_PLACES = 4
_UNIT = Decimal(1).scaleb(-MONEY_PLACES)
_MONEY_LIMIT = Decimal(10) ** (MONEY_DIGITS - MONEY_PLACES)
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware in, aware in UTC out. SQLite keeps it as text that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        instant = value.astimezone(UTC)
        return instant.replace(tzinfo=None) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """US dollars, numeric(12,4); SQLite has no decimals, so it keeps whole ten-thousandths of a dollar."""

    impl = Numeric(MONEY_DIGITS, MONEY_PLACES)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(MONEY_DIGITS, MONEY_PLACES))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError("money is stored from Decimal only")
        if not value.is_finite() or abs(value) >= _MONEY_LIMIT:
            raise ValueError(f"{value} dollars cannot be stored")
        rounded = value.quantize(_UNIT, rounding=ROUND_HALF_EVEN)
        return int(rounded.scaleb(MONEY_PLACES)) if dialect.name == "sqlite" else rounded

    def process_result_value(self, value: Decimal | int | None, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return Decimal(value).scaleb(-MONEY_PLACES) if dialect.name == "sqlite" else Decimal(value)


class PlainText(TypeDecorator[str]):
    """Text from anywhere: a NUL, which PostgreSQL refuses, becomes the replacement character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.replace("\x00", "\ufffd")


class JsonModel(TypeDecorator[BaseModel]):
    """A pydantic model, or what makes one, as JSON. What this version cannot read comes out as None: not known."""

    impl = JSON
    cache_ok = True

    def __init__(self, model: type[BaseModel]) -> None:
        super().__init__(none_as_null=True)
        self.model = model

    def process_bind_param(self, value: Any, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002
        return None if value is None else self.model.model_validate(value).model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> BaseModel | None:  # noqa: ARG002
        if value is None:
            return None
        try:
            return self.model.model_validate(value)
        except ValidationError:
            return None


def to_json(value: object) -> str:
    """JSON that both databases take: what is not finite becomes null (unknown), NUL the replacement character."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))
    return _ESCAPED_NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def finite(value: float | None) -> float | None:
    """The number, or None (unknown) where it is infinite or not a number."""
    return value if value is not None and math.isfinite(value) else None


def _finite(value: object) -> object:
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
