"""What `brightrun doctor` looks at where a studio can run: settings and parts. Starts nothing, costs nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from brightrun.assembly import (
    asks_to_sign_in,
    build_computes,
    open_database,
    secret_path,
    storage_folder,
    studio_secret,
    workers_folder,
)
from brightrun.cli.doctor_machine import nearest, running_studio
from brightrun.cli.studio_client import is_this_machine
from brightrun.cli.token import live_tokens
from brightrun.compute.local_process import LocalProcess
from brightrun.database.database import Database
from brightrun.errors import BrightRunError
from brightrun.jobs.connections import (
    Diagnosis,
    compute_finding,
    database_findings,
    models_finding,
    running_text,
    shown_address,
)
from brightrun.plain_text import command
from brightrun.settings import Settings, setting_rows


def setting_findings(settings: Settings) -> Iterator[Diagnosis]:
    """What can be said of the settings by themselves."""
    names = [row.key for row in setting_rows(settings) if row.is_set]
    yield Diagnosis("settings", "ok", f"{', '.join(names) or 'all'} {'set' if names else 'are defaults'}")
    yield _folder("home", settings.home, "BRIGHTRUN_HOME")
    yield _folder("storage", storage_folder(settings), "BRIGHTRUN_STORAGE")
    yield _secret(settings)
    yield _hub(settings)
    if settings.token is not None and settings.url.startswith("http://") and not is_this_machine(settings.url):
        yield Diagnosis("token", "warn", "BRIGHTRUN_TOKEN travels unencrypted.", "Reach the studio by https://.")
    if settings.public_url is not None and not settings.public_url.startswith("https://"):
        yield Diagnosis("public address", "warn", "It has no https.", "Put the studio behind a proxy that has it.")


def studio_findings(settings: Settings) -> Iterator[Diagnosis]:
    """What can be said of the studio's parts, each asked and none changed."""
    yield models_finding(settings.models)
    yield from _computes(settings)
    yield from _database(settings)
    yield running_studio(settings)


def _folder(check: str, folder: Path, key: str) -> Diagnosis:
    """Writable: tried where it is there, judged by its parent where it is not yet."""
    there = nearest(folder)
    fix = f"Make it yours, or set {key} to a folder of your own."
    if not there.is_dir():
        return Diagnosis(check, "fail", f"{there} is no folder.", fix)
    if there != folder:
        if not os.access(there, os.W_OK | os.X_OK):
            return Diagnosis(check, "fail", f"{folder} cannot be made in {there}.", fix)
        return Diagnosis(check, "ok", f"{folder} is made when it is first needed")
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"?")
    except OSError as error:
        return Diagnosis(check, "fail", f"{folder} cannot be written: {error.strerror}.", fix)
    return Diagnosis(check, "ok", f"{folder} can be written")


def _secret(settings: Settings) -> Diagnosis:
    check, path = "webhook secret", secret_path(settings)
    if settings.webhook_secret is not None:
        return Diagnosis(check, "ok", "TRAINING_WEBHOOK_SECRET is set")
    if settings.database_url is not None and settings.database_url.get_secret_value().startswith("postgres"):
        fix = "Set TRAINING_WEBHOOK_SECRET to the same value on each of them."
        return Diagnosis(check, "warn", "Several studios on one database need the same one.", fix)
    if not path.exists():
        return Diagnosis(check, "ok", "brightrun serve makes one when it first starts")
    try:
        studio_secret(settings)
    except BrightRunError as error:
        return Diagnosis(check, "fail", error.message, error.hint)
    if path.stat().st_mode & 0o077:
        return Diagnosis(
            check, "warn", f"Others on this machine can read {path}.", f"Close it: {command('chmod 600', path)}"
        )
    return Diagnosis(check, "ok", f"kept in {path}")


def _hub(settings: Settings) -> Diagnosis:
    told = "HF_TOKEN is set" if settings.hf_token else "HF_TOKEN is not set, which only gated models need"
    return Diagnosis("hub", "ok", told)


def _computes(settings: Settings) -> Iterator[Diagnosis]:
    try:
        computes = build_computes(settings)
    except BrightRunError as error:
        yield Diagnosis("compute", "fail", error.message, error.hint)
        return
    for name, compute in computes.items():
        is_default = name == settings.compute
        # Asking for the processes of this machine would make the folder of their records.
        if name == LocalProcess.name and not workers_folder(settings).exists():
            yield Diagnosis(f"compute {name}", "ok", running_text([], is_default=is_default))
        else:
            yield compute_finding(compute, is_default=is_default)


def _database(settings: Settings) -> Iterator[Diagnosis]:
    check = "database"
    try:
        database = open_database(settings)
    except BrightRunError as error:
        yield Diagnosis(check, "fail", error.message, error.hint)
        return
    try:
        if database.is_sqlite and not Path(database.url.database or "").exists():
            yield Diagnosis(check, "ok", f"{shown_address(database)} is made when it is first needed")
            return
        found = list(database_findings(database, now=datetime.now(UTC)))
        yield from found
        if all(finding.outcome != "fail" for finding in found) and len(found) > 1:
            yield from _entrance(settings, database)
    except BrightRunError as error:
        yield Diagnosis(check, "fail", error.message, "Start it, or fix BRIGHTRUN_DATABASE_URL.")
    finally:
        database.close()


def _entrance(settings: Settings, database: Database) -> Iterator[Diagnosis]:
    if not asks_to_sign_in(settings):
        return
    count = live_tokens(database)
    if not count:
        fix = "Make one: brightrun token create NAME"
        yield Diagnosis("tokens", "fail", "Others can reach the studio, and nobody has a token.", fix)
        return
    yield Diagnosis("tokens", "ok", f"{count} live")
