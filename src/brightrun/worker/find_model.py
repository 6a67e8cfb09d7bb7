"""Finds a job's base model on this machine, by name and revision, wherever it lies here. Loads nothing."""

from __future__ import annotations

from pathlib import Path

from brightrun.catalogue.folders import ModelRecord, list_pulled, read_model_record
from brightrun.contract.job_spec import JobSpec, ModelRef
from brightrun.errors import ModelError
from brightrun.files import write_model
from brightrun.plain_text import command


def resolve_model(spec_file: Path, models: Path | None) -> None:
    """Have the spec name the folder the model has on this machine. The run's fingerprint does not change by it.

    Args:
        models: Folder of this machine's pulled models; None: it has none but where the studio says.

    Raises:
        ModelError: this machine does not have the model, or not at that revision.
    """
    spec = JobSpec.load(spec_file)
    path = str(find_model(spec.model, models))
    if path != spec.model.path:
        write_model(spec_file, spec.model_copy(update={"model": spec.model.model_copy(update={"path": path})}))


def find_model(wanted: ModelRef, models: Path | None) -> Path:
    """The folder of that model at that revision: where the studio has it, or in this machine's own models.

    Raises:
        ModelError: it is in neither place, or at another revision.
    """
    here = _at(Path(wanted.path)) + ([] if models is None else list_pulled(models))
    named = [(folder, record) for folder, record in here if _is_named(record, wanted)]
    for folder, record in named:
        if record.version == wanted.revision:
            return folder
    place = "Its server was given no folder of models" if models is None else f"There is none in {models}"
    if not named:
        pull_it = command("brightrun model pull", wanted.hub_id or wanted.name)
        raise ModelError(
            f"This machine does not have the base model {wanted.name} at revision {wanted.revision}. {place}.",
            hint=f"On the worker's machine run `{pull_it}` and start its server with --models and the folder it was "
            "pulled into; then retry the job.",
            details={"model": wanted.name, "revision": wanted.revision},
        )
    found = ", ".join(sorted({record.version for _, record in named}))
    raise ModelError(
        f"This machine has the base model {wanted.name} at revision {found}; the job is for {wanted.revision}.",
        hint="Pull the same revision on both machines (`brightrun model pull NAME --again`), or start anew once "
        "the studio has the worker's.",
        details={"model": wanted.name, "revision": wanted.revision, "found": found},
    )


def _at(folder: Path) -> list[tuple[Path, ModelRecord]]:
    try:
        return [(folder, read_model_record(folder))]
    except ModelError:
        return []


def _is_named(record: ModelRecord, wanted: ModelRef) -> bool:
    same = record.name == wanted.name or (record.hub_id is not None and record.hub_id == wanted.hub_id)
    return same and not record.needs_conversion
