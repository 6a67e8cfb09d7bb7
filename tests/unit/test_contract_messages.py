"""The messages have the shape of the golden files, and refuse what would be dangerous to take."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from brightrun.contract.event_data import StepData
from brightrun.contract.events import EndEvent, Event, StepEvent
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef
from brightrun.contract.messages import (
    ArtifactFile,
    ArtifactsReply,
    CheckpointFiles,
    ErrorDetail,
    ErrorReply,
    EventBatch,
    HealthReply,
    StartFile,
    StartRequest,
    StatusReply,
    StopRequest,
    WebhookReply,
)
from brightrun.contract.signatures import job_secret, sign, verify
from brightrun.contract.states import EndReason, JobStatus

GOLDEN = Path(__file__).parents[1] / "contract" / "golden"
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SHA = "ab" * 32


def _spec(job_id: str = "job-1") -> JobSpec:
    dataset = DatasetRef(
        source_name="care.json", source_sha256=SHA, train_path="data/train.jsonl", train_sha256=SHA,
        validation_path="data/validation.jsonl", validation_sha256=SHA, split_sha256=SHA,
    )  # fmt: skip
    model = ModelRef(name="tiny-llama", hub_id=None, revision="sha256:0", path="/models/tiny-llama")
    return JobSpec(
        job_id=job_id, recipe="balanced", hyperparameters=Hyperparameters.model_validate({}), model=model,
        dataset=dataset,
    )  # fmt: skip


def _events() -> list[Event]:
    step = {"loss": 1.25, "learning_rate": 1e-07, "grad_norm": 0.5, "tokens_per_second": 900.0, "epoch": 1.5}
    return [
        StepEvent(
            sequence=7, attempt=2, timestamp=AT, status=JobStatus.TRAINING, step=3, total_steps=9,
            data=StepData.model_validate(step),
        ),
        EndEvent(
            sequence=8, attempt=2, timestamp=AT + timedelta(seconds=1), status=JobStatus.FAILED,
            message="The run was interrupted.", reason=EndReason.INTERRUPTED,
        ),
    ]  # fmt: skip


MESSAGES: dict[str, BaseModel] = {
    "start_request": StartRequest(
        spec=_spec(), attempt=2, resume=True,
        files=(StartFile(name="data/train.jsonl", sha256=SHA, bytes=12, url="https://studio.example/x?token=t"),),
        webhook_url="https://studio.example/api/training/webhook", webhook_secret=SecretStr("whsec_c2VjcmV0"),
        deadline=AT, max_cost_usd=Decimal("12.5000"), price_usd_per_hour=Decimal("1.99"), paid_since=AT,
    ),
    "stop_request": StopRequest(export=True, graceful_stop_reason=EndReason.BUDGET_REACHED),
    "status_reply": StatusReply(
        job_id="job-1", attempt=2, fingerprint=SHA, status=JobStatus.FAILED, alive=False, events=tuple(_events()),
        last_sequence=8, artifacts=(ArtifactFile(name="adapter/adapter_model.safetensors", bytes=9, sha256=SHA),),
    ),
    "artifacts_reply": ArtifactsReply(
        job_id="job-1", artifacts=(),
        checkpoint=CheckpointFiles(
            step=4, files=(ArtifactFile(name="work/checkpoints/step-000004/optimizer.pt", bytes=9, sha256=SHA),)
        ),
    ),
    "health_reply": HealthReply(
        device="NVIDIA H200", device_memory_bytes=150_000_000_000, memory_available_bytes=64_000_000_000,
        disk_free_bytes=9_000_000_000, versions={"torch": "2.13.0"}, running_job="job-1",
    ),
    "event_batch": EventBatch.telling("job-1", 2, "machine-7", _events()),
    "event_batch_alive": EventBatch.alive("job-1", 2, "machine-7", last=None, at=AT),
    "webhook_reply": WebhookReply(continue_=False, acknowledged=8, reason="cancelled_by_user", export_on_stop=True),
    "error_reply": ErrorReply(
        error=ErrorDetail(message="No such job.", type="not_found_error", param=None, code="not_found")
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_message_is_written_and_read_as_its_golden_file(name: str) -> None:
    golden = (GOLDEN / f"{name}.json").read_text(encoding="utf-8")

    assert json.loads(MESSAGES[name].model_dump_json()) == json.loads(golden)
    assert type(MESSAGES[name]).model_validate_json(golden) == MESSAGES[name]


def test_the_golden_webhook_is_signed_right() -> None:
    golden: dict[str, Any] = json.loads((GOLDEN / "signed_webhook.json").read_text(encoding="utf-8"))
    secret = job_secret(golden["master"], golden["job_id"])

    assert secret == golden["secret"]
    assert sign(secret, golden["headers"]["webhook-id"], AT, golden["body"].encode()) == golden["headers"]
    verify(secret, golden["headers"], golden["body"].encode(), now=AT)


def test_the_specification_s_readers_find_the_newest_line_on_top() -> None:
    batch = EventBatch.telling("job-1", 2, "machine-7", _events())

    assert (batch.sequence, batch.status, batch.step, batch.total_steps) == (8, JobStatus.FAILED, 3, 9)
    assert batch.metrics.learning_rate == 1e-07
    assert batch.reason is EndReason.INTERRUPTED


def test_a_newer_studio_s_reply_is_still_read() -> None:
    reply = WebhookReply.model_validate_json('{"continue": true, "acknowledged": 3, "events": 1}')

    assert reply.continue_
    assert reply.acknowledged == 3


@pytest.mark.parametrize(
    "name",
    ["../x", "/data/x", "data", "data/", "data//x", "data/../job.json", "data/.x", "job.json", "events.jsonl",
     "data\\x", "data/a\0b", "data/x\n", "adapter/x", "data/" + "x" * 200],
)  # fmt: skip
def test_a_file_may_lie_under_data_or_work_only(name: str) -> None:
    with pytest.raises(ValidationError):
        StartFile(name=name, sha256=SHA, bytes=1)


@pytest.mark.parametrize("job_id", ["..", "a/b", "", ".hidden", "a\n", "x" * 101, "ä"])
def test_a_job_s_id_is_a_folder_s_name(job_id: str) -> None:
    with pytest.raises(ValidationError, match="job_id"):
        StartRequest(spec=_spec(job_id), attempt=1)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"webhook_url": "https://x.example/"}, "webhook_secret"),
        ({"max_cost_usd": "3"}, "price_usd_per_hour"),
        ({"webhook_url": "file:///etc/passwd", "webhook_secret": "whsec_YQ=="}, "pattern"),
    ],
)
def test_half_a_request_is_refused(given: dict[str, str], missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        StartRequest.model_validate({"spec": _spec().model_dump(), "attempt": 1, **given})


def test_the_secret_is_on_the_wire_and_nowhere_else() -> None:
    request = MESSAGES["start_request"]

    assert "whsec_c2VjcmV0" in request.model_dump_json()
    assert "whsec_c2VjcmV0" not in repr(request)
    assert "whsec_c2VjcmV0" not in str(request.model_dump())
