"""A job is planned and submitted: audit and plan first, then the frozen spec, one row and one event."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from brightrun.catalogue.dollars import usd
from brightrun.catalogue.folders import find_pulled, read_model_record
from brightrun.catalogue.gpus import find_gpu
from brightrun.catalogue.models import find_model
from brightrun.contract.compute import ComputeRequest, JobCompute
from brightrun.contract.event_data import StatusData
from brightrun.contract.job_spec import canonical_sha256
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import JobStatus
from brightrun.database import events, files, jobs
from brightrun.database.tables import TrainingFile, TrainingJob
from brightrun.errors import IdempotencyConflict, InputError, ModelError, NotFound
from brightrun.jobs.add_dataset import choices_of, fetch_dataset
from brightrun.jobs.base_model import BaseChoice, any_base, pulled_base
from brightrun.jobs.examine_once import ValidationDataset, examine_once
from brightrun.jobs.history import calibrate_plan
from brightrun.jobs.make_run import MadeRun, make_run
from brightrun.jobs.ownership import owned_file
from brightrun.jobs.plan_run import Examine, MeasuredData, Planned, PlanTarget, RunRequest, measure_data, plan_measured
from brightrun.jobs.resolve_cap import resolve_cap
from brightrun.jobs.studio import Studio
from brightrun.plain_text import command
from brightrun.planning.choice import gpu_price
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.this_machine import rented, this_machine, unknown

QUICK_BENCHMARK_SECONDS = 0.3
"""A request does not wait for a whole benchmark; `brightrun serve` makes one when it starts."""


_FILE_ID = r"^[A-Za-z0-9_-]{1,64}$"


class JobRequest(BaseModel):
    """The body of `POST /api/training/start-job`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    training_file_id: str = Field(pattern=_FILE_ID)
    validation_file_id: str | None = Field(
        None,
        pattern=_FILE_ID,
        description="A dataset whose conversations are all kept for validation, and none of the training dataset's. "
        "It is read by its own choices; where the two overlap, the job is refused. Absent: validation_fraction of the "
        "training dataset is kept.",
    )
    base_model: str = Field("smollm2-135m-instruct", max_length=200)
    recipe: str = Field("balanced", max_length=64)
    hyperparameters: dict[str, Any] = Field(default_factory=dict, description="Single settings of the recipe.")
    compute: ComputeRequest = ComputeRequest()
    name: str | None = Field(None, max_length=200)

    def sha256(self) -> str:
        """Tells bodies apart; what did not exist before is left out where it is not used, so that keys stay good."""
        left_out = {"validation_file_id"} if self.validation_file_id is None else None
        return canonical_sha256(self.model_dump(mode="json", exclude=left_out))


@dataclass(frozen=True, slots=True)
class _Datasets:
    """The rows that a request names."""

    training: TrainingFile
    validation: TrainingFile | None

    def run_request(self, request: JobRequest) -> RunRequest:
        return RunRequest(
            Path(self.training.file_name),
            request.recipe,
            request.hyperparameters,
            choices=choices_of(self.training),
            validation_file=None if self.validation is None else Path(self.validation.file_name),
        )

    def key(self) -> tuple[str | None, ...]:
        """What decides their contents; how the training dataset is read stands in the request."""
        other = self.validation
        if other is None:
            return (self.training.sha256,)
        return (self.training.sha256, other.sha256, other.file_name, choices_of(other).model_dump_json())


def plan_job(studio: Studio, request: JobRequest, *, owner_id: str) -> Planned:
    """What the job would be, also where it would be refused; stores nothing. The base model need not be pulled.

    Where the owner set no price for the provider, a named GPU is counted at its listed one.

    Raises:
        NotFound: the owner has no such dataset.
        DatasetError, ModelError, RecipeError: the job cannot be planned.
        InputError: there is no such provider or GPU, or the dataset is to validate itself.
    """
    target = target_for(studio, request.compute, owner_id=owner_id, to_launch=False)
    if target.price is None and request.compute.gpu_type is not None:
        listed = gpu_price(find_gpu(request.compute.gpu_type), instance_type=request.compute.instance_type)
        target = replace(target, price=listed)
    datasets = _datasets(studio, request, owner_id)
    model = _model_key(studio, request.base_model)
    base = studio.cache.get(model, lambda: any_base(request.base_model, studio.models))
    run_request = datasets.run_request(request)
    key = (*datasets.key(), model, run_request.data_settings(base.entry.context_length))
    measured = studio.cache.get(key, lambda: _measure(studio, run_request, base, datasets))
    return plan_measured(run_request, measured, target)


def _model_key(studio: Studio, name: str) -> tuple[str, ...]:
    """Which tokenizer and template a base model's name means now."""
    folder = find_pulled(name, studio.models)
    return (name, "not pulled") if folder is None else (name, str(folder), read_model_record(folder).model_dump_json())


def _datasets(studio: Studio, request: JobRequest, owner_id: str) -> _Datasets:
    other = request.validation_file_id
    if other == request.training_file_id:
        raise InputError(
            "A dataset cannot be its own validation dataset.",
            hint="Name another one, or none: then a part of it is kept aside.",
            details={"param": "validation_file_id"},
        )
    with studio.database.reading() as session:
        training = owned_file(session, owner_id, request.training_file_id)
        return _Datasets(training, None if other is None else owned_file(session, owner_id, other))


def _measure(studio: Studio, request: RunRequest, base: BaseChoice, datasets: _Datasets) -> MeasuredData:
    with _scratch(studio) as scratch:
        return measure_data(request, base, scratch / "data", examine=_examine(studio, base, datasets))


def _examine(studio: Studio, base: BaseChoice, datasets: _Datasets) -> Examine:
    file, other = datasets.training, datasets.validation
    validation = None
    if other is not None:
        # Under its own name: what is said of its conversations calls it so.
        source = _source(studio, other, f"validation/{other.file_name}")
        validation = ValidationDataset(other.sha256, choices_of(other), source)
    return lambda options: examine_once(
        studio, file.sha256, base.chat, options, source=_source(studio, file, "dataset"), validation=validation
    )


def _source(studio: Studio, file: TrainingFile, name: str) -> Callable[[Path], Path]:
    def fetch(scratch: Path) -> Path:
        target = scratch / name
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch_dataset(studio, owner_id=file.owner_id, file_id=file.id, target=target)
        return target

    return fetch


def target_for(studio: Studio, compute: ComputeRequest, *, owner_id: str, to_launch: bool = True) -> PlanTarget:
    """The machine, its price and the caps of a request, and what the owner's earlier runs taught.

    A GPU that is named is planned for as the catalogue knows it, wherever it is; but a job that is launched on this
    very machine gets what this machine has. The price is the provider's as the owner set it. Without one it is not
    known: what others pay for such a GPU is not what this costs.

    Raises:
        InputError: there is no such provider or GPU.
    """
    provider = compute.provider or studio.default_compute
    is_here = studio.compute(provider).shares_disk
    gpu = None if compute.gpu_type is None else find_gpu(compute.gpu_type)
    here = this_machine(studio.home, cpu_benchmark_seconds=QUICK_BENCHMARK_SECONDS)
    elsewhere = unknown(here) if gpu is None else rented(gpu)
    machine = here if is_here and (to_launch or gpu is None) else elsewhere
    own = studio.usd_per_hour.get(provider)
    price = None
    if own is not None:
        source = f"set for {provider} by the owner"
        price = HourlyPrice(usd_per_hour=own, source=source, instance_type=compute.instance_type)
    return PlanTarget(
        machine=machine,
        price=price,
        instance_type=compute.instance_type,
        max_cost_usd=compute.max_cost_usd,
        max_duration_hours=compute.max_duration_hours,
        calibrate=partial(calibrate_plan, studio, owner_id),
    )


def submit_job(
    studio: Studio,
    request: JobRequest,
    *,
    owner_id: str,
    idempotency_key: str | None = None,
    retry_of: str | None = None,
    prepare: Callable[[MadeRun], None] | None = None,
) -> TrainingJob:
    """Make the job's folder and row; with a key that was used before, the job of then.

    `furnish` may put more into the folder before anyone can see the job.

    Raises:
        NotFound: the owner has no such dataset.
        DatasetError, ModelError, RecipeError, InputError: the job cannot be made.
        NotEnoughMemory, PlanRefused: it would not fit the machine's memory, or max_duration_hours.
        IdempotencyConflict: the key was used with another body.
        PriceUnknown, OverBudget: see `resolve_cap`.
    """
    body_hash = request.sha256()
    studio.compute(request.compute.provider or studio.default_compute)
    if (known := _known(studio, owner_id, idempotency_key, body_hash)) is not None:
        return known
    target = target_for(studio, request.compute, owner_id=owner_id)
    datasets, base = _datasets(studio, request, owner_id), _pulled(studio, request.base_model)
    job_id = str(uuid.uuid4())
    with _scratch(studio) as scratch:
        made = make_run(
            datasets.run_request(request), base, RunFolder(scratch / "run"), target=target, job_id=job_id,
            source_name=datasets.training.file_name, examine=_examine(studio, base, datasets),
        )  # fmt: skip
        if prepare is not None:
            prepare(made)
        final = studio.run_folder(job_id).root
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made.folder.root, final)
    row = _row(studio, request, made, datasets, job_id)
    row.idempotency_key, row.idempotency_hash, row.retry_of = idempotency_key, body_hash, retry_of
    try:
        return _store(studio, row, body_hash)
    except BaseException:
        shutil.rmtree(final, ignore_errors=True)
        raise


def _store(studio: Studio, row: TrainingJob, body_hash: str) -> TrainingJob:
    made_id = row.id
    with studio.database.session() as session:
        for file_id in filter(None, (row.training_file_id, row.validation_file_id)):
            if files.get_for_use(session, file_id, owner_id=row.owner_id) is None:
                raise NotFound(f"There is no dataset {file_id}.")
        key = row.idempotency_key
        if key is None or jobs.find_by_key(session, owner_id=row.owner_id, key=key) is None:
            resolve_cap(session, studio, row)
        stored, new = jobs.add(session, row)
        if new:
            events.append_own(
                session, job_id=stored.id, data=StatusData(), status=JobStatus.QUEUED, happened_at=stored.created_at,
                message=_submitted(stored),
            )  # fmt: skip
    if not new:  # another request with the same key came first
        shutil.rmtree(studio.run_folder(made_id).root, ignore_errors=True)
        _require_same(stored, body_hash)
    return stored


def _submitted(job: TrainingJob) -> str:
    cap = "" if job.job_cap_usd is None else f" It may cost {usd(job.job_cap_usd)} at most."
    return f"The job was submitted.{cap}"


def _known(studio: Studio, owner_id: str, key: str | None, body_hash: str) -> TrainingJob | None:
    if key is None:
        return None
    with studio.database.reading() as session:
        known = jobs.find_by_key(session, owner_id=owner_id, key=key)
    if known is not None:
        _require_same(known, body_hash)
    return known


def _require_same(job: TrainingJob, body_hash: str) -> None:
    if job.idempotency_hash != body_hash:
        raise IdempotencyConflict("This Idempotency-Key was used before, with another body.")


@contextmanager
def _scratch(studio: Studio) -> Iterator[Path]:
    """A folder beside the run folders, gone afterwards with what was not moved out of it."""
    studio.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=studio.home, prefix=".making-", ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def _pulled(studio: Studio, name: str) -> BaseChoice:
    folder = _model_folder(studio, name)
    return studio.cache.get(_model_key(studio, name), lambda: pulled_base(folder))


def _model_folder(studio: Studio, name: str) -> Path:
    folder = find_pulled(name, studio.models)
    if folder is None:
        known = find_model(name).name
        hint = f"Pull it: {command('brightrun model pull', known)}"
        raise ModelError(f"The base model {known} is not here.", hint=hint)
    if read_model_record(folder).needs_conversion:
        hint = f"Pull it again: {command('brightrun model pull', name)}"
        raise ModelError(f"{name} was pulled but not converted.", hint=hint)
    return folder


def _row(studio: Studio, request: JobRequest, made: MadeRun, datasets: _Datasets, job_id: str) -> TrainingJob:
    now, file, other = studio.clock(), datasets.training, datasets.validation
    provider = request.compute.provider or studio.default_compute
    return TrainingJob(
        id=job_id,
        owner_id=file.owner_id,
        training_file_id=file.id,
        validation_file_id=None if other is None else other.id,
        name=request.name or f"{made.spec.model.name} on {file.file_name}",
        status=JobStatus.QUEUED,
        spec=made.spec.model_dump(mode="json"),
        base_model=made.spec.model.name,
        recipe=made.spec.recipe,
        hyperparameters=made.spec.hyperparameters.model_dump(mode="json"),
        compute=JobCompute(**{**dict(request.compute), "provider": provider}),
        total_steps=made.plan.steps,
        attempt=0,
        created_at=now,
        status_changed_at=now,
        next_check_at=now,
        plan=made.plan,
        estimated_seconds=made.plan.duration.expected_seconds,
        estimated_cost_usd=made.plan.cost.expected_usd if made.plan.cost else None,
    )
