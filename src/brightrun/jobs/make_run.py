"""From a file, a base model and a recipe to a run's folder: audit first, then the plan, then the frozen spec."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from brightrun.catalogue.folders import read_model_record
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.audit import AuditReport
from brightrun.datasets.prepare import PreparedDataset
from brightrun.errors import BrightRunError, NotEnoughMemory, OverBudget, PlanRefused
from brightrun.files import write_model
from brightrun.jobs.base_model import BaseChoice
from brightrun.jobs.plan_run import Examine, PlanTarget, Progress, RunRequest, measure_data, plan_measured
from brightrun.planning.choice import GpuOffer
from brightrun.planning.job_plan import JobPlan

PLAN_NAME = "plan.json"


@dataclass(frozen=True, slots=True)
class MadeRun:
    """A run's folder with everything a worker needs."""

    folder: RunFolder
    spec: JobSpec
    plan: JobPlan
    offers: tuple[GpuOffer, ...]
    audit: AuditReport


def make_run(
    request: RunRequest,
    base: BaseChoice,
    folder: RunFolder,
    *,
    target: PlanTarget,
    job_id: str | None = None,
    source_name: str | None = None,
    examine: Examine | None = None,
    progress: Progress | None = None,
) -> MadeRun:
    """Prepare the data, settle the hyperparameters, plan, and write `job.json` last: without it there is no run.

    Args:
        base: A base model that was pulled.
        examine: As for `measure_data`.

    Raises:
        DatasetError, ModelError, RecipeError: what was asked for cannot be made.
        NotEnoughMemory: the plan does not fit the device; `details["plan"]` is the plan.
        OverBudget, PlanRefused: the plan does not fit its cap in dollars or hours; `details["plan"]` likewise.
        NotEnoughDisk
    """
    assert base.folder is not None, "only a base model that was pulled can be trained"
    folder.root.mkdir(parents=True, exist_ok=True)
    measured = measure_data(request, base, folder.data, examine=examine, progress=progress)
    planned = plan_measured(request, measured, target)
    require_fit(planned.plan)
    write_model(folder.root / PLAN_NAME, planned.plan)
    spec = JobSpec(
        job_id=job_id or str(uuid.uuid4()),
        recipe=request.recipe,
        hyperparameters=planned.hyperparameters,
        model=_model_ref(base.folder),
        dataset=_dataset_ref(planned.prepared, source_name or planned.prepared.source_name),
    )
    write_model(folder.spec, spec)
    return MadeRun(folder, spec, planned.plan, planned.offers, planned.prepared.audit)


def require_fit(plan: JobPlan) -> None:
    """Refuse a plan that failed a check, with the first fix as the hint and the plan as details.

    Raises:
        NotEnoughMemory, OverBudget, PlanRefused
    """
    failed = next((check for check in plan.checks if check.passed is False), None)
    if failed is None:
        return
    kinds: dict[str, type[BrightRunError]] = {"memory": NotEnoughMemory, "cap": OverBudget}
    error = kinds.get(failed.name, PlanRefused)
    words = f"This run {failed.words}" if failed.name == "memory" else failed.words[0].upper() + failed.words[1:]
    raise error(f"{words}.", hint=_hint(plan, error.default_hint), details={"plan": plan.model_dump(mode="json")})


def _hint(plan: JobPlan, usual: str) -> str:
    """The first change of settings that helps; else the usual words, and the machine that would do."""
    own = [fix.words for fix in plan.fixes if fix.hyperparameters]
    return own[0] if own else " ".join([usual, *(fix.words for fix in plan.fixes[:1])])


def _model_ref(folder: Path) -> ModelRef:
    record = read_model_record(folder)
    return ModelRef(name=record.name, hub_id=record.hub_id, revision=record.version, path=str(folder))


def _dataset_ref(prepared: PreparedDataset, source_name: str) -> DatasetRef:
    return DatasetRef(
        source_name=source_name,
        source_sha256=prepared.source_sha256,
        train_path="data/train.jsonl",
        train_sha256=prepared.train_sha256,
        validation_path="data/validation.jsonl",
        validation_sha256=prepared.validation_sha256,
        split_sha256=prepared.split_sha256,
    )
