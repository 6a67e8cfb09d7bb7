"""What `brightrun doctor` looks at: this machine, the settings, the studio's parts. Starts nothing, costs nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import psutil

from brightrun.assembly import (
    asks_to_sign_in,
    build_computes,
    open_database,
    secret_path,
    storage_folder,
    studio_secret,
    workers_folder,
)
from brightrun.catalogue.folders import list_pulled
from brightrun.catalogue.models import find_model
from brightrun.cli.models import EMBEDDED_MODEL
from brightrun.cli.studio_client import StudioUnreachable, is_this_machine, studio_client
from brightrun.cli.token import live_tokens
from brightrun.compute.base import Compute
from brightrun.compute.local_process import LocalProcess
from brightrun.database import jobs
from brightrun.database.database import Database
from brightrun.errors import BrightRunError, NotSignedIn
from brightrun.jobs.alarms import overdue
from brightrun.settings import Settings, setting_rows

Outcome = Literal["ok", "warn", "fail"]
_STACK = ("torch", "transformers", "trl", "peft", "accelerate", "safetensors")
_GIGABYTE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `mend` is empty where nothing needs to be done."""

    check: str
    outcome: Outcome
    message: str
    mend: str = ""


def machine_findings(settings: Settings) -> Iterator[Finding]:
    """What can be said of this machine."""
    yield _python()
    yield _packages()
    yield _training_stack(settings)
    yield _disk(settings)
    yield _memory()


def setting_findings(settings: Settings) -> Iterator[Finding]:
    """What can be said of the settings by themselves."""
    names = [row.key for row in setting_rows(settings) if row.is_set]
    yield Finding("settings", "ok", f"{', '.join(names) or 'all'} {'set' if names else 'are defaults'}")
    yield _folder("home", settings.home, "BRIGHTRUN_HOME")
    yield _folder("storage", storage_folder(settings), "BRIGHTRUN_STORAGE")
    yield _secret(settings)
    yield _hub(settings)
    if settings.token is not None and settings.url.startswith("http://") and not is_this_machine(settings.url):
        yield Finding("token", "warn", "BRIGHTRUN_TOKEN travels unencrypted.", "Reach the studio by https://.")
    if settings.public_url is not None and not settings.public_url.startswith("https://"):
        yield Finding("public address", "warn", "It has no https.", "Put the studio behind a proxy that has it.")


def studio_findings(settings: Settings) -> Iterator[Finding]:
    """What can be said of the studio's parts, each asked and none changed."""
    yield _models(settings)
    yield from _computes(settings)
    yield from _database(settings)
    yield _running(settings)


def _python() -> Finding:
    found = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 the package may have been started by an older one
        return Finding("python", "fail", f"{found} is too old.", "Install Python 3.11 or newer.")
    return Finding("python", "ok", found)


def _packages() -> Finding:
    wanted = [line.split(";")[0] for line in requires("brightrun") or () if "extra ==" not in line]
    missing = [name for line in wanted if not _version(name := _bare(line))]
    if missing:
        again = "Install the package again: pip install --upgrade brightrun"
        return Finding("packages", "fail", f"{', '.join(missing)} not installed.", again)
    return Finding("packages", "ok", f"brightrun {_version('brightrun')} and the {len(wanted)} packages it needs")


def _training_stack(settings: Settings) -> Finding:
    missing = [name for name in _STACK if not _version(name)]
    if not missing:
        return Finding("training stack", "ok", ", ".join(f"{name} {_version(name)}" for name in _STACK[:4]))
    mend = "Install it: pip install 'brightrun[worker]'"
    if settings.compute == "local_process":
        return Finding("training stack", "fail", f"Jobs run here, and {', '.join(missing)} not installed.", mend)
    return Finding("training stack", "warn", f"{', '.join(missing)} not installed: nothing trains here.", mend)


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_nearest(settings.home)).free
    told = f"{free / _GIGABYTE:.1f} GB free at {settings.home}"
    mend = "Free some space, or set BRIGHTRUN_HOME to a folder on another disk."
    if free < _GIGABYTE:
        return Finding("disk", "fail", told, mend)
    return Finding("disk", "warn", told, mend) if free < 5 * _GIGABYTE else Finding("disk", "ok", told)


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    told = f"{free / _GIGABYTE:.1f} GB free"
    if free < 2 * _GIGABYTE:
        return Finding("memory", "warn", f"{told}; the embedded model needs about 2.", "Close other programs.")
    return Finding("memory", "ok", told)


def _folder(check: str, folder: Path, key: str) -> Finding:
    """Writable: tried where it is there, judged by its parent where it is not yet."""
    nearest = _nearest(folder)
    mend = f"Make it yours, or set {key} to a folder of your own."
    if not nearest.is_dir():
        return Finding(check, "fail", f"{nearest} is no folder.", mend)
    if nearest != folder:
        if not os.access(nearest, os.W_OK | os.X_OK):
            return Finding(check, "fail", f"{folder} cannot be made in {nearest}.", mend)
        return Finding(check, "ok", f"{folder} is made when it is first needed")
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.write(b"?")
    except OSError as error:
        return Finding(check, "fail", f"{folder} cannot be written: {error.strerror}.", mend)
    return Finding(check, "ok", f"{folder} can be written")


def _secret(settings: Settings) -> Finding:
    check, path = "webhook secret", secret_path(settings)
    if settings.webhook_secret is not None:
        return Finding(check, "ok", "TRAINING_WEBHOOK_SECRET is set")
    if settings.database_url is not None and settings.database_url.get_secret_value().startswith("postgres"):
        mend = "Set TRAINING_WEBHOOK_SECRET to the same value on each of them."
        return Finding(check, "warn", "Several studios on one database need the same one.", mend)
    if not path.exists():
        return Finding(check, "ok", "brightrun serve makes one when it first starts")
    try:
        studio_secret(settings)
    except BrightRunError as error:
        return Finding(check, "fail", error.message, error.hint)
    if path.stat().st_mode & 0o077:
        return Finding(check, "warn", f"Others on this machine can read {path}.", f"Close it: chmod 600 {path}")
    return Finding(check, "ok", f"kept in {path}")


def _hub(settings: Settings) -> Finding:
    told = "HF_TOKEN is set" if settings.hf_token else "HF_TOKEN is not set, which only gated models need"
    return Finding("hub", "ok", told)


def _models(settings: Settings) -> Finding:
    check, pulled = "models", list_pulled(settings.models)
    unfinished = [record.name for _, record in pulled if record.needs_conversion]
    if unfinished:
        mend = f"Pull it again: brightrun model pull {unfinished[0]}"
        return Finding(check, "warn", f"{', '.join(unfinished)} pulled but not converted.", mend)
    if not pulled:
        name = find_model(EMBEDDED_MODEL).name
        return Finding(check, "warn", "No base model is here.", f"Pull one: brightrun model pull {name}")
    return Finding(check, "ok", f"{', '.join(record.name for _, record in pulled)} pulled")


def _computes(settings: Settings) -> Iterator[Finding]:
    try:
        computes = build_computes(settings)
    except BrightRunError as error:
        yield Finding("compute", "fail", error.message, error.hint)
        return
    for name, compute in computes.items():
        # Asking for the processes of this machine would make the folder of their records.
        never_used = name == LocalProcess.name and not workers_folder(settings).exists()
        yield _compute(compute, f"compute {name}", is_default=name == settings.compute, never_used=never_used)


def _compute(compute: Compute, check: str, *, is_default: bool, never_used: bool) -> Finding:
    try:
        machines = [] if never_used else compute.list_ours()
    except BrightRunError as error:
        mend = error.hint or "Start the worker, or mend its address."
        return Finding(check, "fail" if is_default else "warn", error.message, mend)
    told = ", ".join(machine.name for machine in machines)
    return Finding(
        check, "ok", f"runs {told}" if told else "ready, nothing runs" + (" (default)" if is_default else "")
    )


def _database(settings: Settings) -> Iterator[Finding]:
    check = "database"
    try:
        database = open_database(settings)
    except BrightRunError as error:
        yield Finding(check, "fail", error.message, error.hint)
        return
    shown = database.url.render_as_string(hide_password=True)
    try:
        if database.is_sqlite and not Path(database.url.database or "").exists():
            yield Finding(check, "ok", f"{shown} is made when it is first needed")
        elif not database.is_current():
            yield Finding(check, "warn", f"{shown} has older tables.", "brightrun serve brings them up to date.")
        else:
            yield Finding(check, "ok", f"{shown} has the newest tables")
            yield _jobs(database)
            yield from _entrance(settings, database)
    except BrightRunError as error:
        yield Finding(check, "fail", error.message, "Start it, or mend BRIGHTRUN_DATABASE_URL.")
    finally:
        database.close()


def _jobs(database: Database) -> Finding:
    now = datetime.now(UTC)
    with database.reading() as session:
        counts = jobs.count_by_status(session)
        stuck = [job.job_id for job in overdue(session, now=now)]
    told = ", ".join(f"{number} {status.value}" for status, number in sorted(counts.items())) or "none yet"
    if stuck:
        mend = f"See why: brightrun job show {stuck[0]}"
        return Finding("jobs", "warn", f"{told}; {', '.join(stuck)} in one state for very long.", mend)
    return Finding("jobs", "ok", told)


def _entrance(settings: Settings, database: Database) -> Iterator[Finding]:
    if not asks_to_sign_in(settings):
        return
    count = live_tokens(database)
    if not count:
        mend = "Make one: brightrun token create NAME"
        yield Finding("tokens", "fail", "Others can reach the studio, and nobody has a token.", mend)
        return
    yield Finding("tokens", "ok", f"{count} live")


def _running(settings: Settings) -> Finding:
    check = "studio"
    with studio_client(settings) as client:
        try:
            health = client.get("/api/health")
            client.get("/api/session")
        except NotSignedIn as error:
            mend = "Set BRIGHTRUN_TOKEN to a token of that studio."
            outcome: Outcome = "warn" if settings.token is None else "fail"
            return Finding(check, outcome, f"{settings.url} runs. {error.message}", mend)
        except StudioUnreachable as error:
            return Finding(check, "warn", error.message, error.hint)
        except BrightRunError as error:
            return Finding(check, "fail", f"{settings.url}: {error.message}", error.hint)
    return Finding(check, "ok", f"{settings.url} runs, version {health['version']}")


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _bare(requirement: str) -> str:
    """The package's name out of `name[extra]>=1.2`."""
    return next(iter(requirement.replace("[", " ").replace(">", " ").replace("=", " ").replace("<", " ").split()))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
