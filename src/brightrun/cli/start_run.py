"""Makes the folder of a run a person asked for, or finds it as the same command left it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from brightrun.catalogue.folders import verify_model_folder
from brightrun.catalogue.models import BaseModelEntry
from brightrun.cli.models import pulled_model
from brightrun.cli.show import byte_progress
from brightrun.cli.this_device import this_machine
from brightrun.contract.job_spec import JobSpec, file_sha256
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.audit import AuditReport
from brightrun.datasets.new_folder import check_folder, new_folder
from brightrun.datasets.prepare import SPLIT
from brightrun.datasets.split import Split
from brightrun.errors import DatasetError, RunFolderError
from brightrun.evaluation.outlook import Outlook, verdict_outlook
from brightrun.jobs.base_model import pulled_base
from brightrun.jobs.make_run import PLAN_NAME, make_run
from brightrun.jobs.plan_run import PlanTarget, RunRequest
from brightrun.planning.job_plan import JobPlan
from brightrun.runs.prompts import SETTLED_BY_DATA


@dataclass(frozen=True, slots=True)
class ReadyRun:
    """A run's folder whose spec is written; `resumed` where an earlier command had begun it."""

    folder: RunFolder
    spec: JobSpec
    plan: JobPlan
    audit: AuditReport
    resumed: bool
    outlook: Outlook


def ready_run(request: RunRequest, model: str, out: Path) -> ReadyRun:
    """Make the run's folder, whole or not at all, or find it as the same command left it.

    Raises:
        RunFolderError: the folder holds another run, or something that is no run.
        NotEnoughMemory: the plan does not fit this machine; `details["plan"]` is the plan.
        DatasetError, ModelError, RecipeError
    """
    folder = RunFolder(out)
    if not request.file.is_file():
        raise DatasetError(f"There is no file {request.file}.", hint="Check the path; it is read from this folder.")
    model_folder, entry = pulled_model(model)
    if folder.spec.exists():
        return _found_again(request, folder, entry)
    check_folder(out, (), "a run")
    with byte_progress(f"Checking {entry.name}") as progress:
        verify_model_folder(model_folder, hashes=True, progress=progress)
    with new_folder(out) as staging, byte_progress(f"Auditing {request.file.name}") as progress:
        made = make_run(
            request,
            pulled_base(model_folder),
            RunFolder(staging),
            target=PlanTarget(this_machine()),
            progress=progress,
        )
    return ReadyRun(folder, made.spec, made.plan, made.audit, resumed=False, outlook=_outlook(folder, made.audit))


def _found_again(request: RunRequest, folder: RunFolder, entry: BaseModelEntry) -> ReadyRun:
    """The run an earlier command began, if it is the one asked for now."""
    spec = JobSpec.load(folder.spec)
    audit = AuditReport.model_validate_json((folder.data / "audit.json").read_bytes())
    differences = []
    if file_sha256(request.file) != spec.dataset.source_sha256:
        differences.append(f"the dataset ({spec.dataset.source_name} there)")
    if entry.name != spec.model.name:
        differences.append(f"the base model ({spec.model.name} there)")
    validation_file = None if request.validation_file is None else file_sha256(request.validation_file)
    if validation_file != audit.validation_file_sha256:
        differences.append(f"the validation file ({audit.validation_file or 'none'} there)")
    then, now_asked = audit.options.reading_choices().model_dump(), request.choices.model_dump()
    then["client_profile"], now_asked["client_profile"] = audit.options.client_profile, request.client_profile
    for name, before in then.items():
        asked = now_asked[name]
        if asked != before:
            differences.append(f"{name} ({before} there, {asked} asked)")
    there = spec.hyperparameters.model_dump()
    now = request.resolve(audit.longest_tokens, entry.context_length).model_dump()
    asked_for = [name for name in now if not (name in SETTLED_BY_DATA and now[name] is None)]
    differences += [
        f"{name} ({there[name]} there, {now[name]} asked)" for name in asked_for if now[name] != there[name]
    ]
    if differences:
        raise RunFolderError(
            f"{folder.root} holds another run; it differs in {', '.join(differences)}.",
            hint="Choose another folder with --out, or repeat the first command to go on with that run.",
        )
    plan = _read_plan(folder)
    return ReadyRun(folder, spec, plan, audit, resumed=True, outlook=_outlook(folder, audit))


def _outlook(folder: RunFolder, audit: AuditReport) -> Outlook:
    """What the comparison at the end could say, from the split that the run was made with."""
    split = Split.model_validate_json((folder.data / SPLIT).read_bytes())
    kept, trained = len(split.validation), len(split.train)
    return verdict_outlook(kept, out_of=kept + trained if audit.validation_file is None else None)


def _read_plan(folder: RunFolder) -> JobPlan:
    try:
        return JobPlan.model_validate_json((folder.root / PLAN_NAME).read_bytes())
    except (OSError, ValidationError) as error:
        raise RunFolderError(
            f"The plan in {folder.root} cannot be read.",
            hint="It may be of an older version. Start again in another folder with --out.",
        ) from error
