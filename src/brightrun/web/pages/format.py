"""States, money and times in the words of the pages. Decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from markupsafe import Markup, escape

from brightrun.catalogue import dollars
from brightrun.contract.states import JobStatus
from brightrun.contract.verdicts import CHIPS
from brightrun.format import about_text
from brightrun.planning.estimate_error import Summary

_TONES = {JobStatus.COMPLETED: "good", JobStatus.FAILED: "bad", JobStatus.CANCELLED: "open", JobStatus.QUEUED: "open"}


def status_text(status: JobStatus) -> str:
    """`Training`, `Failed`: a state as its owner reads it."""
    return status.words


def status_tone(status: JobStatus) -> str:
    """Which look a state has: good, bad, open (waits or was given up), busy."""
    return _TONES.get(status, "busy")


def usd(amount: Decimal | float | None) -> str:
    """As everywhere, and `not known` where no price is known."""
    return "not known" if amount is None else dollars.usd(amount)


def moment(when: datetime | None) -> Markup:
    """A time as `<time>`: in UTC as it comes from the server; static/times.js puts it into the reader's zone."""
    if when is None:
        return Markup("—")
    utc = when.astimezone(UTC)
    shown = f"{utc.day} {utc:%b %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(timespec="seconds"), shown)


def phase_text(phase: str) -> str:
    """A phase of a plan as its owner reads the job's state in it."""
    return JobStatus(phase).words


def bound(value: float) -> str:
    """A bound of a number field: `512`, `0.5`."""
    return f"{value:.15g}"


def median_text(summary: Summary) -> str:
    """How far jobs came out from their estimates, by the one in the middle; for four and more also how far half did."""
    ratio = summary.median_ratio
    by = round(abs(ratio - 1) * 100)
    if ratio >= 1.5:
        middle = f"{ratio:.1f} times its estimate"
    elif by == 0:
        middle = "at its estimate"
    else:
        middle = f"{by} % {'above' if ratio > 1 else 'below'} its estimate"
    half = f"; half of them were off by less than {summary.median_error * 100:.0f} %" if summary.jobs >= 4 else ""
    return f"The one in the middle came out {middle}{half}."


def plain_amount(amount: Decimal | None) -> str:
    """An amount as a form's field has it: `20`, `0.5`; empty where there is none."""
    return "" if amount is None else f"{amount.normalize():f}"


def percent(part: float | None) -> str:
    """`42 %` of a share from 0 to 1."""
    return "—" if part is None else f"{part * 100:.0f} %"


def short_id(identifier: str) -> Markup:
    """The first eight letters, the whole in its title."""
    return Markup('<span class="mono" title="{}">{}</span>').format(identifier, escape(identifier[:8]))


PAGE_FILTERS = {
    "status_text": status_text,
    "verdict_text": CHIPS.__getitem__,
    "status_tone": status_tone,
    "usd": usd,
    "median_text": median_text,
    "moment": moment,
    "about": about_text,
    "bound": bound,
    "phase_text": phase_text,
    "plain_amount": plain_amount,
    "percent": percent,
    "short_id": short_id,
}
