"""A person asks base and tuned model something of their own: loaded when first asked, unloaded when nobody does."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from brightrun.catalogue.dollars import usd
from brightrun.catalogue.folders import list_pulled
from brightrun.catalogue.gpus import Gpu, GpuPrice, load_gpus
from brightrun.catalogue.models import load_models
from brightrun.compute.base import Chat
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import JobStatus
from brightrun.database import artifacts
from brightrun.database.tables import TrainingJob
from brightrun.errors import Conflict, NoMachine
from brightrun.files import write_model
from brightrun.jobs.ingest import BUNDLE
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio

SCRATCH_PREFIX = ".trying-"
IDLE_SECONDS = 300.0
ANSWER_SECONDS = 240.0
_ROOM = 1.2  # times the weights, for what answering needs beside them


class Question(BaseModel):
    """What both models are asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(min_length=1, max_length=8000)
    system: str | None = Field(None, max_length=8000, description="Instructions; absent: the dataset's own.")
    max_tokens: int = Field(200, ge=1, le=512, description="Longest answer in tokens.")


@dataclass(slots=True)
class _Loaded:
    job_id: str
    folder: Path
    chat: Chat
    system: str | None
    used_at: float = field(default_factory=time.monotonic)


class Playground:
    """One pair of models per studio; asking about another job replaces it.

    Args:
        idle_seconds: After so long without a question the models are unloaded.
        monotonic: Seconds, always rising.
    """

    def __init__(
        self, studio: Studio, *, idle_seconds: float = IDLE_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._studio, self._idle_seconds, self._monotonic = studio, idle_seconds, monotonic
        self._loaded: _Loaded | None = None
        self._busy = threading.Lock()
        self._timer: threading.Timer | None = None

    def require_possible(self, job: TrainingJob) -> Path:
        """Folder of the base model on this machine.

        Raises:
            Conflict: the job has no proven adapter.
            NoMachine: no machine that is up holds the model; says what one would cost.
        """
        if job.status is not JobStatus.COMPLETED:
            raise Conflict(f"A job that is {job.status.value} has no models to ask.", hint="Wait until it completed.")
        wanted = JobSpec.model_validate(job.spec).model
        for folder, record in list_pulled(self._studio.models) if self._studio.open_chat is not None else ():
            if record.name == wanted.name and record.version == wanted.revision and not record.needs_conversion:
                _require_memory(record.total_bytes, wanted.name)
                return folder
        raise NoMachine(
            f"No machine is up that holds {wanted.name}.", hint=_what_it_would_cost(wanted.name), details={}
        )

    def ask(self, owner_id: str, job_id: str, question: Question) -> dict[str, Any]:
        """`{"base": answer, "tuned": answer}`, as evaluation.measurements.Generated.

        Raises:
            NotFound: the owner has no such job.
            Conflict: it has no adapter, or somebody else asks just now.
            NoMachine, ComputeError
        """
        with self._studio.database.reading() as session:
            job = owned(session, owner_id, job_id)
        model = self.require_possible(job)
        if not self._busy.acquire(blocking=False):
            raise Conflict("Another question is being answered.", hint="Wait for its answer and ask again.")
        try:
            loaded = self._ready(job, model)
            system = loaded.system if question.system is None else question.system
            opening = [{"role": "system", "content": system}] if system else []
            messages = [*opening, {"role": "user", "content": question.prompt}]
            request = {"base": messages, "tuned": messages, "max_tokens": question.max_tokens}
            return loaded.chat.ask(request, seconds=ANSWER_SECONDS)
        finally:
            if self._loaded is not None:
                self._loaded.used_at = self._monotonic()
            self._watch()
            self._busy.release()

    @property
    def loaded_job(self) -> str | None:
        """Whose models are loaded."""
        loaded = self._loaded
        return loaded.job_id if loaded is not None and loaded.chat.is_alive else None

    def unload_if_idle(self) -> None:
        """Unload what was not asked for long; while a question is being answered nothing happens."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            if self._loaded is not None and self._monotonic() - self._loaded.used_at >= self._idle_seconds:
                self._unload()
            else:
                self._watch()
        finally:
            self._busy.release()

    def close(self) -> None:
        """Unload at once; a question that is being answered fails."""
        if self._timer is not None:
            self._timer.cancel()
        self._unload()

    def _ready(self, job: TrainingJob, model: Path) -> _Loaded:
        if self._loaded is not None and self._loaded.job_id == job.id and self._loaded.chat.is_alive:
            return self._loaded
        self._unload()
        assert self._studio.open_chat is not None
        folder = Path(tempfile.mkdtemp(dir=self._studio.home, prefix=SCRATCH_PREFIX))
        try:
            system = self._prepare_folder(job, model, RunFolder(folder))
            self._loaded = _Loaded(job.id, folder, self._studio.open_chat(folder), system, self._monotonic())
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self._loaded

    def _prepare_folder(self, job: TrainingJob, model: Path, run: RunFolder) -> str | None:
        """Bring the delivered adapter and its spec into a folder; the dataset's own instructions."""
        with self._studio.database.reading() as session:
            rows = [row for row in artifacts.list_for_job(session, job.id) if row.name.startswith(BUNDLE)]
        for row in rows:
            target = run.root / row.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._studio.storage.open(row.storage_path) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        verify_bundle(run.adapter)
        spec = JobSpec.model_validate(job.spec)
        spec = spec.model_copy(update={"model": spec.model.model_copy(update={"path": str(model)})})
        write_model(run.spec, spec)
        return _own_instructions(run.adapter / "golden_prompts.json")

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._loaded is not None:
            self._timer = threading.Timer(self._idle_seconds, self.unload_if_idle)
            self._timer.daemon = True
            self._timer.start()

    def _unload(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.chat.close()
            shutil.rmtree(loaded.folder, ignore_errors=True)


def _own_instructions(golden: Path) -> str | None:
    prompts = json.loads(golden.read_text(encoding="utf-8"))
    first = prompts[0]["messages"][0] if prompts and prompts[0]["messages"] else {}
    return str(first["content"]) if first.get("role") == "system" else None


def _require_memory(model_bytes: int, name: str) -> None:
    """Weights of 16 bits become 32 on a processor; a machine that begins to swap would answer nobody."""
    import psutil

    free = psutil.virtual_memory().available
    if 2 * model_bytes * _ROOM > free:
        raise NoMachine(
            f"{name} needs about {2 * model_bytes * _ROOM / 1e9:.0f} GB to answer, and {free / 1e9:.0f} GB are free.",
            hint=_what_it_would_cost(name),
        )


def _what_it_would_cost(name: str) -> str:
    own = "Download the adapter and ask it where the model is: brightrun chat."
    entry = load_models().get(name)
    offer = None if entry is None else cheapest_gpu(int(entry.parameters * 2 * _ROOM))
    if entry is None or offer is None:
        return own
    gpu, price = offer
    day = "" if price.date is None else f", as of {price.date.isoformat()}"
    return f"{own} A {gpu.title} could hold it in 16 bits and costs {usd(price.usd_per_hour)} an hour{day}."


def cheapest_gpu(needed_bytes: int) -> tuple[Gpu, GpuPrice] | None:
    """The cheapest card with so much memory at its newest recorded price; None where no card has it."""
    offers = [
        (gpu, price)
        for gpu in load_gpus().values()
        if gpu.memory_bytes >= needed_bytes and (price := gpu.latest_price()) is not None
    ]
    return min(offers, key=lambda offer: offer[1].usd_per_hour, default=None)
