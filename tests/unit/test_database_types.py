"""Column types and URLs, without a database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from brightrun.database.column_types import Money, PlainText, UtcDateTime, finite, to_json
from brightrun.database.database import Database
from brightrun.errors import InputError

DIALECTS: list[Dialect] = [SQLiteDialect(), PGDialect()]  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_an_instant_comes_back_in_utc(dialect: Dialect) -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    stored = UtcDateTime().process_bind_param(datetime(2026, 11, 23, 15, 0, 0, 7, tzinfo=there), dialect)
    back = UtcDateTime().process_result_value(stored, dialect)
    assert back == datetime(2026, 11, 23, 9, 30, 0, 7, tzinfo=UTC)
    assert back is not None
    assert back.tzinfo is UTC


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_time_without_zone_is_refused(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match="without a zone"):
        UtcDateTime().process_bind_param(datetime(2026, 11, 23, 9, 30), dialect)  # noqa: DTZ001 - the point


@given(st.decimals(min_value="-99999999.9999", max_value="99999999.9999", places=4))
def test_money_is_exact_on_sqlite(dollars: Decimal) -> None:
    stored = Money().process_bind_param(dollars, DIALECTS[0])
    assert isinstance(stored, int)
    assert Money().process_result_value(stored, DIALECTS[0]) == dollars


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_what_is_not_money_is_refused(dialect: Dialect) -> None:
    with pytest.raises(TypeError, match="Decimal only"):
        Money().process_bind_param(1.5, dialect)  # type: ignore[arg-type]
    for dollars in ("100000000", "-100000000", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="cannot be stored"):
            Money().process_bind_param(Decimal(dollars), dialect)


def test_text_loses_its_nul_only() -> None:
    assert PlainText().process_bind_param("a\x00b\nç", DIALECTS[1]) == "a\ufffdb\nç"


def test_json_that_no_database_takes_is_repaired() -> None:
    told = {"loss": float("nan"), "list": [float("inf"), 1.5], "text": "a\x00b", "escaped": "\\u0000"}
    assert json.loads(to_json(told)) == {
        "loss": None,
        "list": [None, 1.5],
        "text": "a\ufffdb",
        "escaped": "\\u0000",
    }


def test_what_is_not_finite_is_unknown() -> None:
    assert [finite(number) for number in (1.5, 0.0, float("nan"), float("-inf"), None)] == [1.5, 0.0, None, None, None]


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(InputError) as caught:
        Database(url)
    assert "sqlite:///" in caught.value.hint


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgres_is_reached_with_psycopg_and_its_password_is_not_shown(scheme: str) -> None:
    database = Database(f"{scheme}://studio:hunter2@localhost/train")
    assert database.engine.driver == "psycopg"
    assert "hunter2" not in repr(database)
    assert "hunter2" not in str(database.engine)
