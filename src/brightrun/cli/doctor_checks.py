"""What `brightrun doctor` looks at: this machine, the settings, the studio's parts. Starts nothing, costs nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

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
from brightrun.cli.studio_client import StudioUnreachable, is_this_machine, studio_client
from brightrun.cli.token import live_tokens
from brightrun.compute.local_process import LocalProcess
from brightrun.database.database import Database
from brightrun.errors import BrightRunError, NotSignedIn
from brightrun.jobs.connections import (
    Diagnosis,
    Outcome,
    compute_finding,
    database_findings,
    models_finding,
    running_text,
    shown_address,
)
from brightrun.settings import Settings, setting_rows

_STACK = ("torch", "transformers", "trl", "peft", "accelerate", "safetensors")
_GIGABYTE = 1_000_000_000


def machine_findings(settings: Settings) -> Iterator[Diagnosis]:
    """What can be said of this machine."""
    yield _python()
    yield _packages()
    yield _training_stack(settings)
    yield _disk(settings)
    yield _memory()


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
    yield _running(settings)


def _python() -> Diagnosis:
    found = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 the package may have been started by an older one
        return Diagnosis("python", "fail", f"{found} is too old.", "Install Python 3.11 or newer.")
    return Diagnosis("python", "ok", found)


def _packages() -> Diagnosis:
    wanted = [line.split(";")[0] for line in requires("brightrun") or () if "extra ==" not in line]
    missing = [name for line in wanted if not _version(name := _bare(line))]
    if missing:
        again = "Install the package again: pip install --upgrade brightrun"
        return Diagnosis("packages", "fail", f"{', '.join(missing)} not installed.", again)
    return Diagnosis("packages", "ok", f"brightrun {_version('brightrun')} and the {len(wanted)} packages it needs")


def _training_stack(settings: Settings) -> Diagnosis:
    missing = [name for name in _STACK if not _version(name)]
    if not missing:
        return Diagnosis("training stack", "ok", ", ".join(f"{name} {_version(name)}" for name in _STACK[:4]))
    fix = "Install it: pip install 'brightrun[worker]'"
    if settings.compute == "local_process":
        return Diagnosis("training stack", "fail", f"Jobs run here, and {', '.join(missing)} not installed.", fix)
    return Diagnosis("training stack", "warn", f"{', '.join(missing)} not installed: nothing trains here.", fix)


def _disk(settings: Settings) -> Diagnosis:
    free = shutil.disk_usage(_nearest(settings.home)).free
    told = f"{free / _GIGABYTE:.1f} GB free at {settings.home}"
    fix = "Free some space, or set BRIGHTRUN_HOME to a folder on another disk."
    if free < _GIGABYTE:
        return Diagnosis("disk", "fail", told, fix)
    return Diagnosis("disk", "warn", told, fix) if free < 5 * _GIGABYTE else Diagnosis("disk", "ok", told)


def _memory() -> Diagnosis:
    free = psutil.virtual_memory().available
    told = f"{free / _GIGABYTE:.1f} GB free"
    if free < 2 * _GIGABYTE:
        return Diagnosis("memory", "warn", f"{told}; the embedded model needs about 2.", "Close other programs.")
    return Diagnosis("memory", "ok", told)


def _folder(check: str, folder: Path, key: str) -> Diagnosis:
    """Writable: tried where it is there, judged by its parent where it is not yet."""
    nearest = _nearest(folder)
    fix = f"Make it yours, or set {key} to a folder of your own."
    if not nearest.is_dir():
        return Diagnosis(check, "fail", f"{nearest} is no folder.", fix)
    if nearest != folder:
        if not os.access(nearest, os.W_OK | os.X_OK):
            return Diagnosis(check, "fail", f"{folder} cannot be made in {nearest}.", fix)
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
        return Diagnosis(check, "warn", f"Others on this machine can read {path}.", f"Close it: chmod 600 {path}")
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


def _running(settings: Settings) -> Diagnosis:
    check = "studio"
    with studio_client(settings) as client:
        try:
            health = client.get("/api/health")
            client.get("/api/session")
        except NotSignedIn as error:
            fix = "Set BRIGHTRUN_TOKEN to a token of that studio."
            outcome: Outcome = "warn" if settings.token is None else "fail"
            return Diagnosis(check, outcome, f"{settings.url} runs. {error.message}", fix)
        except StudioUnreachable as error:
            return Diagnosis(check, "warn", error.message, error.hint)
        except BrightRunError as error:
            return Diagnosis(check, "fail", f"{settings.url}: {error.message}", error.hint)
    return Diagnosis(check, "ok", f"{settings.url} runs, version {health['version']}")


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
