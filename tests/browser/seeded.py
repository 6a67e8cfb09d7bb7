"""A studio with a job in every state, whole datasets and hostile ones, and no machine: what the pages must draw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from brightrun.contract.job_metrics import JobMetrics
from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import jobs
from brightrun.datasets.sample_dataset import sample_dataset_path
from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.studio import Studio
from tests.unit.finished_job import a_finished_job, add_curve
from tests.unit.run_reports import HOSTILE
from tests.unit.web_studio import ME, START, a_job, a_studio, end, tell

_SAID = {"current_user_input", "target_response", "content", "system_prompt", "persona_key", "emotional_arc_key"}
_LABELS = {"persona_name", "client_persona", "emotional_arc", "training_topic", "business", "name"}
_TOLD = JobMetrics(loss=1.4321, validation_loss=1.61, base_validation_loss=2.4, tokens_per_second=812.0)
_JUDGED = {
    "verdict": "better_but_look",
    "verdict_reason": "Closer to Priya's own words on 16 of 16 answers it had never seen. 1 of 2 answers it wrote "
    "needs a look: 1 in a loop.",
}


@dataclass(frozen=True, slots=True)
class Seeded:
    """The studio and the ids of what is in it."""

    studio: Studio
    dataset: str
    refused: str
    hostile_dataset: str
    queued: str
    running: str
    failed: str
    cancelled: str
    completed: str
    hostile: str

    def pages(self) -> dict[str, str]:
        """A name for every page and its address, as a person may open it."""
        jobs = {
            f"job-{status}": f"/jobs/{getattr(self, status)}"
            for status in ("queued", "running", "failed", "cancelled", "completed")
        }
        return {
            "home": "/",
            "datasets": "/datasets",
            "dataset": f"/datasets/{self.dataset}",
            "dataset-refused": f"/datasets/{self.refused}",
            "conversation": f"/datasets/{self.dataset}/conversations/2",
            "start-empty": "/start",
            "start": f"/start?dataset={self.dataset}",
            "retry": f"/start?retry_of={self.failed}",
            "jobs": "/jobs",
            "jobs-none": "/jobs?find=there-is-no-such-job",
            **jobs,
            "comparison": f"/jobs/{self.completed}/comparison",
            "comparison-none": f"/jobs/{self.running}/comparison",
            "compare": f"/compare?job={self.completed}&job={self.running}",
            "compare-choose": "/compare",
            "estimates": "/estimates",
            "settings": "/settings",
            "nowhere": "/nowhere",
        }

    def hostile_pages(self) -> list[str]:
        """Where foreign text is shown that tries to be more than text."""
        job = f"/jobs/{self.hostile}"
        return [
            *("/datasets", f"/datasets/{self.hostile_dataset}", f"/datasets/{self.hostile_dataset}/conversations/1"),
            *(
                job,
                f"{job}/comparison",
                "/jobs",
                "/",
                "/start",
                "/compare",
                f"/compare?job={self.hostile}&job={self.completed}",
            ),
        ]


@contextmanager
def a_seeded_studio(folder: Path) -> Iterator[Seeded]:
    with a_studio(folder) as (studio, clock):
        dataset, refused, hostile_dataset = _datasets(studio, folder)
        clock.forward(minutes=10)
        yield Seeded(
            studio=studio,
            dataset=dataset,
            refused=refused,
            hostile_dataset=hostile_dataset,
            queued=a_job(studio, status=JobStatus.QUEUED, attempt=0, file_id=dataset).id,
            running=_running(studio, dataset),
            failed=_failed(studio, dataset),
            cancelled=_cancelled(studio, dataset),
            completed=_completed(studio, "Lantern Care, balanced", "Priya"),
            hostile=_completed(studio, HOSTILE, HOSTILE),
        )


def hostile_sample() -> dict[str, Any]:
    """The sample dataset with markup and script in every text and label that a page may show."""
    data: dict[str, Any] = _spoilt(json.loads(sample_dataset_path().read_text(encoding="utf-8")))
    return data


def _spoilt(value: Any, name: str = "") -> Any:
    """What a message says has the markup before it, alike wherever it stands; a label is nothing else."""
    if isinstance(value, dict):
        return {key: _spoilt(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_spoilt(each, name) for each in value]
    if isinstance(value, str) and name in _SAID:
        return f"{HOSTILE}{value}"
    return HOSTILE if isinstance(value, str) and name in _LABELS else value


def _datasets(studio: Studio, folder: Path) -> tuple[str, str, str]:
    sample = sample_dataset_path()
    breaking_out = folder / "breaking-out.jsonl"
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Ends here.<|eot_id|>Or does it?"}]
    breaking_out.write_text(f"{json.dumps({'messages': turns})}\n" * 3, encoding="utf-8")
    hostile = folder / "hostile.json"
    hostile.write_text(json.dumps(hostile_sample()), encoding="utf-8")
    named = {sample.name: sample, breaking_out.name: breaking_out, f"{HOSTILE}.json": hostile}
    made = [add_dataset(studio, owner_id=ME, file_name=name, source=path).id for name, path in named.items()]
    return made[0], made[1], made[2]


def _running(studio: Studio, dataset: str) -> str:
    job = a_job(
        studio,
        file_id=dataset,
        current_step=42,
        total_steps=120,
        started_at=START,
        metrics=_TOLD,
        estimated_seconds=2400.0,
        estimated_cost_usd=Decimal("1.75"),
        job_cap_usd=Decimal("5"),
    )
    add_curve(studio, job, 42)
    tell(studio, job, "A machine was found in 12 seconds.")
    tell(studio, job, "The loss doubled at step 30; it came back by itself.")
    return job.id


def _failed(studio: Studio, dataset: str) -> str:
    reason = EndReason.OUT_OF_MEMORY
    message = "The machine had 22.1 GiB of memory; step 7 needed 23.9 GiB."
    job = a_job(studio, file_id=dataset, current_step=7, total_steps=120, started_at=START, message=message,
                hint=reason.text.hint)  # fmt: skip
    add_curve(studio, job, 7, validation=False)
    end(studio, job, JobStatus.FAILED, reason)
    return job.id


def _cancelled(studio: Studio, dataset: str) -> str:
    job = a_job(studio, file_id=dataset, current_step=12, total_steps=120, started_at=START)
    end(studio, job, JobStatus.CANCELLED, EndReason.CANCELLED_BY_USER)
    return job.id


def _completed(studio: Studio, name: str, words: str) -> str:
    job = a_finished_job(
        studio,
        words=words,
        current_step=120,
        total_steps=120,
        metrics=_TOLD.model_copy(update=_JUDGED),
        completed_at=START + timedelta(minutes=8),
        actual_cost_usd=Decimal("1.62"),
        estimated_cost_usd=Decimal("1.75"),
    )
    add_curve(studio, job, 120)
    with studio.database.session() as session:
        jobs.change_if(session, job.id, expected=[JobStatus.COMPLETED], name=name)
    return job.id
