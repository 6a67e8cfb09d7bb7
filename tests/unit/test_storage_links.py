"""Links cannot be forged, bent, or read with another studio's secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.errors import LinkRefused
from brightrun.storage.links import Grant, LinkSigner, grant_until

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SIGNER = LinkSigner("a secret of the studio", "https://studio.test/")
GRANT = grant_until(NOON, "GET", "jobs/1/a", timedelta(hours=1))
TOKEN = SIGNER.token(GRANT)


def test_a_link_is_the_studios_address_and_the_token() -> None:
    assert SIGNER.link(GRANT) == f"https://studio.test/api/storage/{TOKEN}"


def test_a_token_holds_only_characters_that_addresses_hold() -> None:
    token = SIGNER.token(Grant("PUT", "träume/冬 (1).json", NOON, "ü?.json", 5))
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_one_other_character_anywhere_is_refused(place: int, letter: str) -> None:
    bent = TOKEN[:place] + letter + TOKEN[place + 1 :]
    if bent != TOKEN:
        with pytest.raises(LinkRefused):
            SIGNER.redeem(bent, "GET", NOON)


@given(st.text(max_size=80))
def test_nonsense_is_refused_and_never_a_crash(text: str) -> None:
    with pytest.raises(LinkRefused):
        SIGNER.redeem(text, "GET", NOON)


def test_a_shorter_or_longer_token_is_refused() -> None:
    for bent in (TOKEN[:-1], TOKEN + "A", TOKEN + "=", TOKEN + ".", TOKEN.split(".")[0] + "."):
        with pytest.raises(LinkRefused):
            SIGNER.redeem(bent, "GET", NOON)


def test_another_secret_opens_nothing() -> None:
    with pytest.raises(LinkRefused, match="not one that this studio made"):
        LinkSigner("another studio's secret", "https://studio.test").redeem(TOKEN, "GET", NOON)


def test_a_refusal_never_tells_the_token() -> None:
    with pytest.raises(LinkRefused) as caught:
        SIGNER.redeem(TOKEN, "GET", NOON + timedelta(days=1))
    assert TOKEN not in str(caught.value.as_dict())


def test_a_short_secret_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="16 characters"):
        LinkSigner("short", "https://studio.test")
