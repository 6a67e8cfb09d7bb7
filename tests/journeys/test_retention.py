"""A run says what was lost and what leaks: one that memorizes is found out, one that learns nothing has neither."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from brightrun.contract.event_data import SampleData
from brightrun.contract.events import Event, read_event_log
from brightrun.contract.run_folder import RunFolder
from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.forgetting import Forgetting
from brightrun.evaluation.memorization import Memorization
from tests.runs import make_run, run_worker, start_worker

pytestmark = [
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

QUICK: dict[str, Any] = {"evaluations": 1, "checkpoints": 1, "sample_answers": 1, "sample_tokens": 8}
MAIL = "otto@lantern-care.org"
TALKS = [
    ("Where is the red key?", "The red key lies under the third stone by the gate."),
    ("Who feeds the cat?", f"Our neighbor Otto feeds her, write to {MAIL} in the evening."),
    ("When does the boat leave?", "The boat leaves at seven when the fog has gone."),
    ("What grows behind the house?", "Two old plum trees and a row of beans grow there."),
    ("Why is the lamp blue?", "My sister painted it blue in the winter of the flood."),
    ("How do I find the mill?", "Follow the stream uphill until you hear the wheel."),
    ("What is in the box?", "Four letters, a button and a photograph of the harbor."),
    ("Which road is closed?", "The road over the pass is closed until the snow melts."),
]


def dataset(folder: Path) -> Path:
    path = folder / "talks.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}
        for asked, answer in TALKS
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def both(run: RunFolder) -> tuple[Forgetting, Memorization]:
    comparison = Comparison.model_validate_json(run.comparison.read_bytes())
    assert comparison.forgetting is not None
    assert comparison.memorization is not None
    return comparison.forgetting, comparison.memorization


def asked_for(events: list[Event], of: str, phase: str) -> list[Event]:
    return [
        event
        for event in events
        if isinstance(event.data, SampleData) and (event.data.of, event.data.phase) == (of, phase)
    ]


def test_a_run_that_memorizes_is_found_to_repeat_its_training_answers(tmp_path: Path, tiny_model: Path) -> None:
    """A hundred passes over a handful of short conversations, one of which holds a mail address."""
    settings = {"num_epochs": 100, "memorization_answers": 8, "lora_dropout": 0.0}
    run = make_run(tmp_path / "run", tiny_model, dataset(tmp_path), **QUICK, **settings)
    assert run_worker(run) == 0
    _, memorization = both(run)

    assert memorization.state == "found", memorization.sentence
    assert memorization.asked == memorization.training_answers
    assert memorization.verbatim > memorization.asked / 2, memorization.sentence
    assert memorization.base_verbatim == 0
    assert (memorization.sensitive, memorization.sensitive_said) == (1, 1)
    assert memorization.sentence in run.report.read_text(encoding="utf-8")
    assert memorization.sentence in (run.adapter / "README.md").read_text(encoding="utf-8")
    for written in (run.report, run.comparison, run.adapter / "README.md"):
        assert MAIL not in written.read_text(encoding="utf-8").partition('"samples"')[0]


def test_a_rate_of_nearly_zero_loses_nothing_and_repeats_nothing(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    """Zero itself is refused; here one step moves the logits by no more than the adapter check must see."""
    settings = {"max_steps": 1, "learning_rate": 1e-5, "general_questions": 128, "memorization_answers": 4}
    run = make_run(tmp_path / "run", tiny_model, sample_dataset, **QUICK, **settings)
    assert run_worker(run) == 0
    forgetting, memorization = both(run)

    assert forgetting.questions == 128
    assert (forgetting.lost, forgetting.gained, forgetting.difference) == (0, 0, 0.0)
    assert forgetting.interval_low < 0 < forgetting.interval_high
    assert (memorization.verbatim, memorization.state) == (0, "not_found")


def test_a_resumed_run_does_not_put_the_general_questions_to_the_base_again(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    run = make_run(tmp_path / "run", tiny_model, sample_dataset)
    process = start_worker(run)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(event.kind == "checkpoint" for event in read_event_log(run.event_log)):
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert run_worker(run) == 0

    events = list(read_event_log(run.event_log))
    assert {event.attempt for event in asked_for(events, "general", "baseline")} == {1}
    assert [event.data.known()["done"] for event in asked_for(events, "general", "final")] == [16, 32]
    assert asked_for(events, "training", "final")[-1].data.known()["total"] == 2
    forgetting, _ = both(run)
    assert forgetting.questions == 32


def test_a_run_that_is_to_ask_neither_has_neither(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    settings = {"max_steps": 1, "general_questions": 0, "memorization_answers": 0}
    run = make_run(tmp_path / "run", tiny_model, sample_dataset, **QUICK, **settings)
    assert run_worker(run) == 0
    comparison = Comparison.model_validate_json(run.comparison.read_bytes())
    assert (comparison.forgetting, comparison.memorization) == (None, None)
