"""What the studio stands on, each part asked now: database, files, machines, models, its address. Repairs nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import httpx

from brightrun.catalogue.folders import list_pulled
from brightrun.catalogue.models import EMBEDDED_MODEL
from brightrun.compute.base import Compute
from brightrun.database import jobs
from brightrun.database.database import Database
from brightrun.errors import BrightRunError
from brightrun.jobs.alarms import overdue
from brightrun.jobs.studio import Studio
from brightrun.plain_text import command
from brightrun.storage.base import Storage

Outcome = Literal["ok", "warn", "fail"]
_ANSWERS_WITHIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a check found. `fix` is empty where nothing needs to be done."""

    check: str
    outcome: Outcome
    message: str
    fix: str = ""


def database_findings(database: Database, *, now: datetime) -> Iterator[Diagnosis]:
    """Whether it answers and has the newest tables, and whether a job in it seems stuck."""
    shown = shown_address(database)
    try:
        if not database.is_current():
            yield Diagnosis("database", "warn", f"{shown} has older tables.", "brightrun serve brings them up to date.")
            return
        yield Diagnosis("database", "ok", f"{shown} has the newest tables")
        yield _jobs(database, now)
    except BrightRunError as error:
        yield Diagnosis("database", "fail", error.message, "Start it, or fix BRIGHTRUN_DATABASE_URL.")


def shown_address(database: Database) -> str:
    """Where it is, as a person would write it: without its password and without the driver."""
    return database.url.set(drivername=database.url.get_backend_name()).render_as_string(hide_password=True)


def _jobs(database: Database, now: datetime) -> Diagnosis:
    with database.reading() as session:
        counts = jobs.count_by_status(session)
        stuck = [job.job_id for job in overdue(session, now=now)]
    told = (
        ", ".join(f"{number} {status.value.replace('_', ' ')}" for status, number in sorted(counts.items()))
        or "none yet"
    )
    if stuck:
        fix = f"See why: {command('brightrun job show', stuck[0])}"
        return Diagnosis("jobs", "warn", f"{told}; {', '.join(stuck)} in one state for very long.", fix)
    return Diagnosis("jobs", "ok", told)


def storage_finding(storage: Storage) -> Diagnosis:
    """Whether a few bytes can be put, read again and removed."""
    key, content = f"checks/{uuid.uuid4().hex}", b"can this be read again?"
    try:
        storage.put(key, content)
        try:
            with storage.open(key) as stream:
                same = stream.read() == content
        finally:
            storage.delete(key)
    except BrightRunError as error:
        return Diagnosis("storage", "fail", error.message, error.hint or "Make room, or fix BRIGHTRUN_STORAGE.")
    if not same:
        return Diagnosis(
            "storage", "fail", "What was stored came back changed.", "Do not train before the disk is well."
        )
    return Diagnosis("storage", "ok", "A file was stored, read again and removed")


def compute_finding(compute: Compute, *, is_default: bool) -> Diagnosis:
    """Whether a provider of machines answers, and which of ours run there."""
    check = f"compute {compute.name}"
    try:
        machines = compute.list_managed()
    except BrightRunError as error:
        fix = error.hint or "Start the worker, or fix its address."
        return Diagnosis(check, "fail" if is_default else "warn", error.message, fix)
    return Diagnosis(check, "ok", running_text([machine.name for machine in machines], is_default=is_default))


def running_text(machines: list[str], *, is_default: bool) -> str:
    """What runs at a provider, in words."""
    return f"runs {', '.join(machines)}" if machines else "ready, nothing runs" + (" (default)" if is_default else "")


def models_finding(folder: Path) -> Diagnosis:
    """Which base models are on this machine."""
    pulled = list_pulled(folder)
    unfinished = [record.name for _, record in pulled if record.needs_conversion]
    if unfinished:
        fix = f"Pull it again: {command('brightrun model pull', unfinished[0])}"
        return Diagnosis("models", "warn", f"{', '.join(unfinished)} pulled but not converted.", fix)
    if not pulled:
        fix = f"Pull one: brightrun model pull {EMBEDDED_MODEL}"
        return Diagnosis("models", "warn", "No base model is here.", fix)
    return Diagnosis("models", "ok", f"{', '.join(record.name for _, record in pulled)} pulled")


def webhook_finding(public_url: str | None, *, transport: httpx.BaseTransport | None = None) -> Diagnosis:
    """How workers' events come home, and whether the address for that answers when it is asked from here."""
    check = "webhooks"
    if public_url is None:
        return Diagnosis(check, "ok", "The studio asks its workers for events itself; it has no public address.")
    try:
        with httpx.Client(transport=transport, timeout=_ANSWERS_WITHIN_SECONDS) as client:
            answer = client.get(f"{public_url}/api/health")
    except httpx.HTTPError as error:
        told = f"{public_url} does not answer from here ({type(error).__name__})."
        return Diagnosis(
            check, "warn", told, "Start the proxy, or fix BRIGHTRUN_PUBLIC_URL; events are fetched until then."
        )
    if answer.status_code != httpx.codes.OK:
        told = f"{public_url} answers with status {answer.status_code}."
        return Diagnosis(check, "warn", told, "Have the proxy pass everything on to the studio.")
    if not public_url.startswith("https://"):
        return Diagnosis(check, "warn", f"{public_url} has no https.", "Put the studio behind a proxy that has it.")
    return Diagnosis(check, "ok", f"Workers send their events to {public_url}")


def _computes(studio: Studio) -> list[Diagnosis]:
    return [
        compute_finding(compute, is_default=name == studio.default_compute)
        for name, compute in sorted(studio.computes.items(), key=lambda one: one[0] != studio.default_compute)
    ]


CONNECTIONS: Mapping[str, Callable[[Studio], list[Diagnosis]]] = {
    "database": lambda studio: list(database_findings(studio.database, now=studio.clock())),
    "storage": lambda studio: [storage_finding(studio.storage)],
    "compute": _computes,
    "models": lambda studio: [models_finding(studio.models)],
    "webhooks": lambda studio: [webhook_finding(studio.public_url)],
}
"""Every part by its name, with what asks it."""
