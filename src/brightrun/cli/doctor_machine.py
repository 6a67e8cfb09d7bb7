"""What `brightrun doctor` looks at whatever the platform: this machine, and the studio that it speaks to."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import psutil

from brightrun.cli.studio_client import StudioUnreachable, studio_client
from brightrun.errors import BrightRunError, NotSignedIn
from brightrun.jobs.connections import Diagnosis, Outcome
from brightrun.platforms import Ability, supports, this_platform
from brightrun.settings import Settings

_STACK = ("torch", "transformers", "trl", "peft", "accelerate", "safetensors")
_GIGABYTE = 1_000_000_000


def machine_findings(settings: Settings) -> Iterator[Diagnosis]:
    """What can be said of this machine."""
    yield _platform()
    yield _python()
    yield _packages()
    if supports(Ability.TRAINING):
        yield _training_stack(settings)
    yield _disk(settings)
    yield _memory()


def running_studio(settings: Settings) -> Diagnosis:
    """Whether the studio answers that `brightrun job` speaks to."""
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


def nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())


def _platform() -> Diagnosis:
    here = this_platform()
    missing = [ability.value.lower() for ability in Ability if ability not in here.abilities]
    if missing:
        fix = f"For {' and '.join(missing)}: use Linux, macOS or WSL 2."
        return Diagnosis(
            "platform", "warn", f"{here.title}: dataset commands work, and jobs on a studio elsewhere.", fix
        )
    return Diagnosis("platform", "ok", f"{here.title}, {platform.machine()}")


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
    free = shutil.disk_usage(nearest(settings.home)).free
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


def _bare(requirement: str) -> str:
    """The package's name out of `name[extra]>=1.2`."""
    return next(iter(requirement.replace("[", " ").replace(">", " ").replace("=", " ").replace("<", " ").split()))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
