"""A whole plan for tests of what is done with plans; its figures are round and mean nothing."""

from __future__ import annotations

from typing import Any

from brightrun.planning.durations import Duration, in_sequence
from brightrun.planning.job_plan import PHASES, JobPlan
from brightrun.runs.memory import MemoryEstimate

SECONDS = {
    "provisioning": 10.0, "preprocessing": 20.0, "model_loaded": 30.0, "training": 100.0, "evaluating": 40.0,
    "uploading": 5.0,
}  # fmt: skip


def make_plan(**changes: Any) -> JobPlan:
    """A plan of ten steps for a processor: 205 s in all, each phase within half and twice its time, 2 GB of memory."""
    phases = {phase: seconds(SECONDS[phase]) for phase in PHASES}
    values: dict[str, Any] = {
        "examples": 8, "answers": 16, "tokens_per_epoch": 1000, "trained_tokens_per_epoch": 500, "steps": 10,
        "tokens_total": 1000, "padding_tokens": 0, "longest_tokens": 200, "largest_micro_batch_tokens": 400,
        "answers_per_step": 4, "trainable_parameters": 1000, "training": seconds(80.0), "evaluation": seconds(10.0),
        "memory": MemoryEstimate(
            parts=(), total_bytes=2_000_000_000, low_bytes=1_800_000_000, high_bytes=2_300_000_000, obtained="a test"
        ),
        "memory_available_bytes": None, "device": "cpu", "device_name": "CPU (2 cores)", "fits": None,
        "base_model": "tiny-llama", "gpu": None, "phases": phases, "duration": in_sequence(phases.values()),
        "tokens_per_second": 12.5, "checkpoint_seconds": 10.0, "restart_seconds": 30.0,
    }  # fmt: skip
    return JobPlan(**values | changes)


def seconds(expected: float) -> Duration:
    return Duration(
        expected_seconds=expected, low_seconds=expected / 2, high_seconds=expected * 2, obtained="assumed for a test"
    )
