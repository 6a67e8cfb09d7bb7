"""A webhook is believed when it was signed with the job's own secret within five minutes, and never otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook

from brightrun.contract.signatures import SignatureRefused, job_secret, sign, verify
from brightrun.errors import ContractError

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
SECRET = job_secret("master of the studio", "job-1")
BODY = '{"words": "naïve — ✓"}'.encode()


def test_what_is_signed_is_believed() -> None:
    verify(SECRET, sign(SECRET, "m1", NOW, BODY), BODY, now=NOW + timedelta(minutes=4))


def test_the_reference_package_believes_it_too() -> None:
    at = datetime.now(UTC)

    assert Webhook(SECRET).verify(BODY, sign(SECRET, "m1", at, BODY)) == json.loads(BODY)


def test_the_hour_is_the_moment_and_not_the_clock_face() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))

    assert sign(SECRET, "m1", elsewhere, BODY) == sign(SECRET, "m1", NOW, BODY)


def test_each_job_has_a_secret_of_its_own_that_does_not_change() -> None:
    assert SECRET.startswith("whsec_")
    assert job_secret("master of the studio", "job-1") == SECRET
    assert job_secret("master of the studio", "job-2") != SECRET
    assert job_secret("another master", "job-1") != SECRET


def test_no_master_no_secret() -> None:
    with pytest.raises(ContractError, match="no secret"):
        job_secret("", "job-1")


def test_headers_of_any_case_and_several_signatures() -> None:
    headers = {name.upper(): value for name, value in sign(SECRET, "m1", NOW, BODY).items()}
    headers["WEBHOOK-SIGNATURE"] = "v1,AAAA v2,zzz broken " + headers["WEBHOOK-SIGNATURE"]

    verify(SECRET, headers, BODY, now=NOW)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_the_wrong_time_is_refused(minutes: int) -> None:
    with pytest.raises(SignatureRefused):
        verify(SECRET, sign(SECRET, "m1", NOW, BODY), BODY, now=NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "m2"},
        {"webhook-timestamp": str(int(NOW.timestamp()) + 1)},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "١٢"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,ä"},
        {"webhook-signature": ""},
        {"webhook-id": ""},
    ],
)
def test_a_changed_header_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(SignatureRefused):
        verify(SECRET, {**sign(SECRET, "m1", NOW, BODY), **change}, BODY, now=NOW)


def test_other_bytes_another_job_and_no_text_are_refused() -> None:
    headers = sign(SECRET, "m1", NOW, BODY)
    for secret, body in [(SECRET, BODY + b" "), (job_secret("m", "job-2"), BODY), (SECRET, b"\xff\xfe")]:
        with pytest.raises(SignatureRefused):
            verify(secret, headers, body, now=NOW)
