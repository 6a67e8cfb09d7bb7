"""Signed webhooks, as Standard Webhooks does it (standardwebhooks.com), with a secret that belongs to one job."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from standardwebhooks import Webhook

from brightrun.errors import ContractError

TOLERANCE = timedelta(minutes=5)
_MAX_SIGNATURES = 8


class SignatureRefused(ContractError):
    """A webhook that was not signed with this job's secret, or not within the last minutes."""

    code = "signature_refused"
    default_hint = "Check that both machines have the same TRAINING_WEBHOOK_SECRET and the right time."


def job_secret(master: str, job_id: str) -> str:
    """The secret one job signs with: `whsec_` and base64 of HMAC-SHA256 over the job's id, keyed with the master.

    A worker is given this, never the master, so that it can speak for its own job alone.

    Raises:
        ContractError: the master is empty.
    """
    if not master:
        raise ContractError("There is no secret to derive a job's own from.", hint="Set TRAINING_WEBHOOK_SECRET.")
    digest = hmac.new(master.encode("utf-8"), b"brightrun-job:" + job_id.encode("utf-8"), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(digest).decode("ascii")


def sign(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers `webhook-id`, `webhook-timestamp` and `webhook-signature` for a body in UTF-8."""
    # The package reads the clock face and calls it UTC, so it must be given UTC.
    moment = at.astimezone(UTC).replace(microsecond=0)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, moment, body.decode("utf-8")),
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Check that `body` was signed with `secret` within five minutes of `now`; compared in constant time.

    The package's own `verify` reads the machine's clock, so only its `sign` is used here.

    Raises:
        SignatureRefused: a header is absent or malformed, the time is off, or no signature is the right one.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, stamp, signatures = (given.get(f"webhook-{part}") for part in ("id", "timestamp", "signature"))
    if not message_id or not stamp or not signatures:
        raise SignatureRefused("The webhook is not signed.")
    at = _moment(stamp)
    if abs(now - at) > TOLERANCE:
        raise SignatureRefused("The webhook was signed too long ago, or in the future.")
    try:
        expected = sign(secret, message_id, at, body)["webhook-signature"]
    except UnicodeDecodeError as error:
        raise SignatureRefused("The webhook's body is not text in UTF-8.") from error
    wanted = base64.b64decode(expected.removeprefix("v1,"))
    # Every one is compared, so that the time taken says nothing of which was nearest.
    matches = [hmac.compare_digest(wanted, found) for found in _version_1(signatures)]
    if not any(matches):
        raise SignatureRefused("The webhook's signature is not this job's.")


def _moment(stamp: str) -> datetime:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 11):
        raise SignatureRefused("The webhook's timestamp is not a whole number of seconds.")
    return datetime.fromtimestamp(int(stamp), tz=UTC)


def _version_1(signatures: str) -> list[bytes]:
    found = []
    for part in signatures.split(" ")[:_MAX_SIGNATURES]:
        version, _, encoded = part.partition(",")
        if version != "v1":
            continue
        try:
            found.append(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found
