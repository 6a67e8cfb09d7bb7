"""A newcomer at the command line: a model pulled, a run made, killed, repeated, compared and talked to."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from brightrun.contract.events import read_event_log
from brightrun.contract.job_spec import file_sha256
from brightrun.contract.manifest import verify_bundle

pytestmark = [pytest.mark.worker, pytest.mark.slow]

_SETTINGS = {
    "num_epochs": "2",
    "batch_size": "4",
    "gradient_accumulation_steps": "2",
    "learning_rate": "1e-2",
    "lora_dropout": "0.1",
    "validation_fraction": "0.25",
    "evaluations": "2",
    "checkpoints": "6",
    "sample_answers": "2",
    "sample_tokens": "8",
}


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody with an empty folder, a home of their own, and the sample dataset."""

    folder: Path
    dataset: Path

    def types(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*arguments), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def starts(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """The same in a process group of its own, as a terminal does."""
        return subprocess.Popen(
            _command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "BRIGHTRUN_HOME": str(self.folder / "home")}

    def train(self, out: str, **changes: str) -> list[str | Path]:
        settings = [f"{key}={value}" for key, value in {**_SETTINGS, **changes}.items()]
        given = [part for setting in settings for part in ("--set", setting)]
        return ["train", self.dataset, "--model", "tiny-llama", *given, "--out", out]


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "brightrun.cli", *map(str, arguments)]


def _json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> Newcomer:
    """Has pulled the tiny model from the folder it lies in."""
    somebody = Newcomer(tmp_path_factory.mktemp("newcomer"), sample_dataset)
    record = _json(somebody.types("model", "pull", tiny_model, "--name", "tiny-llama", "--json"))
    assert (record["name"], record["source"]) == ("tiny-llama", "folder")
    return somebody


@pytest.fixture(scope="module")
def told(newcomer: Newcomer) -> dict[str, Any]:
    """What the finished run in the folder `run` printed as JSON."""
    result: dict[str, Any] = _json(newcomer.types(*newcomer.train("run"), "--json"))
    return result


@pytest.fixture
def run(newcomer: Newcomer, told: dict[str, Any]) -> Path:
    return newcomer.folder / str(told["run"])


def test_one_command_makes_adapter_report_and_proof(told: dict[str, Any], run: Path) -> None:
    assert told["status"] == "completed"
    assert told["validation"]["tuned_loss"] < told["validation"]["base_loss"]
    assert verify_bundle(run / "adapter").job_id == told["job_id"]
    assert "<svg" in (run / "report.html").read_text(encoding="utf-8")
    events = list(read_event_log(run / "events.jsonl"))
    assert events[-1].status == "completed"
    plan = json.loads((run / "plan.json").read_text())
    assert max(event.step or 0 for event in events) == plan["steps"]
    planned, memory = plan["duration"]["expected_seconds"], told["estimate_error"]["memory"]
    assert told["estimate_error"]["duration"]["estimate"] == planned
    assert told["estimate_error"]["duration"]["actual"] >= (events[-1].timestamp - events[0].timestamp).total_seconds()
    assert memory["actual"] == max(event.data.known().get("memory_bytes", 0) for event in events)


def test_the_same_command_again_trains_nothing(newcomer: Newcomer, run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    again = newcomer.types(*newcomer.train("run"))
    assert again.returncode == 0
    assert "The run in run is finished already." in again.stderr
    assert "Made" in again.stdout
    assert "Took" not in again.stdout  # what this command took says nothing of the plan
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def test_another_setting_for_the_same_folder_is_refused(newcomer: Newcomer, run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    refused = newcomer.types(*newcomer.train("run", r="4"))
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[0] == "error: run holds another run; it differs in r (16 there, 4 asked)."
    assert refused.stderr.splitlines()[1].startswith("hint: Choose another folder with --out")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def test_killed_in_the_middle_the_same_command_completes(newcomer: Newcomer, run: Path) -> None:
    killed = newcomer.folder / "killed"
    _kill_at_step(newcomer, killed, step=4)
    assert not (killed / "adapter").exists()
    assert newcomer.types("compare", "killed").stderr.startswith("error: killed contains no finished run.")

    result = _json(newcomer.types(*newcomer.train("killed"), "--resume", "--json"))

    assert result["status"] == "completed"
    assert {event.attempt for event in read_event_log(killed / "events.jsonl")} == {1, 2}
    weights = "adapter/adapter_model.safetensors"
    assert file_sha256(killed / weights) == file_sha256(run / weights)


def _kill_at_step(newcomer: Newcomer, run: Path, *, step: int) -> None:
    process = newcomer.starts(*newcomer.train(run.name))
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(event.kind == "step" and event.step == step for event in read_event_log(run / "events.jsonl")):
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    assert process.wait() == -signal.SIGKILL, f"the run ended before step {step} was seen"


def test_compare_shows_both_sides(newcomer: Newcomer, told: dict[str, Any], run: Path) -> None:
    comparison = _json(newcomer.types("compare", run, "--json"))
    assert comparison["overall"] == told["validation"]
    assert comparison["adapter_check"]["adapter_off_equals_base"]
    assert comparison["adapter_check"]["adapter_on_differs"]
    assert len(comparison["samples"]) == 2
    shown = newcomer.types("compare", run, "--answers", "1").stdout
    assert comparison["overall"]["sentence"] in " ".join(shown.split())
    assert all(persona in shown for persona in comparison["by_persona"])


def test_chat_answers_as_base_and_as_tuned(newcomer: Newcomer, run: Path) -> None:
    asked = ("--prompt", "My father fell again.", "--max-tokens", "12", "--json")
    answers = _json(newcomer.types("chat", run, *asked))
    assert set(answers) == {"base", "tuned"}
    assert all(0 < answer["tokens"] <= 12 for answer in answers.values())
    assert answers["base"]["text"] != answers["tuned"]["text"]


def test_a_loss_that_is_not_a_number_stops_the_run_and_says_where(newcomer: Newcomer, tiny_model: Path) -> None:
    from safetensors.torch import load_file, save_file

    source = newcomer.folder / "overflowing"
    shutil.copytree(tiny_model, source)
    weights = load_file(source / "model.safetensors")
    weights["lm_head.weight"] *= 1e38
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    assert newcomer.types("model", "pull", "./overflowing").returncode == 0

    failed = newcomer.types("train", newcomer.dataset, "--model", "overflowing", "--out", "nan", "--json")

    assert failed.returncode == 1
    error = json.loads(failed.stdout)["error"]
    assert re.fullmatch(r"The loss of answer 1 of the validation conversation \S+ is nan\.", error["message"])
    assert "learning rate" in error["hint"]
    assert f"error: {error['message']}" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (newcomer.folder / "nan" / "adapter").exists()


def test_compare_refuses_an_adapter_that_was_changed(newcomer: Newcomer, run: Path) -> None:
    tampered = newcomer.folder / "tampered"
    shutil.copytree(run, tampered)
    weights = tampered / "adapter" / "adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)

    refused = newcomer.types("compare", tampered, "--json")

    assert refused.returncode == 2
    error = json.loads(refused.stdout)["error"]
    assert error["code"] == "bundle_damaged"
    assert "adapter_model.safetensors" in error["message"]
    assert newcomer.types("compare", run).returncode == 0
