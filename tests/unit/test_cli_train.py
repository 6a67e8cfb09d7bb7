"""`brightrun train` up to the point where the worker starts: the plan, the frozen spec, and a folder found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brightrun.cli.start_run import ready_run
from brightrun.contract.job_spec import JobSpec
from brightrun.datasets.options import ReadingChoices
from brightrun.errors import RunFolderError
from brightrun.jobs.plan_run import RunRequest
from tests.unit.command_line import MODEL, CommandLine, pull_wee_model


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("home")
    pull_wee_model(tmp_path_factory.mktemp("source"), root)
    return root


@pytest.fixture
def cli(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.setenv("BRIGHTRUN_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def _plan(cli: CommandLine, sample_dataset: Path, *settings: str) -> dict[str, Any]:
    given = [part for setting in settings for part in ("--set", setting)]
    answer = cli("train", sample_dataset, "--model", MODEL, "--dry-run", "--json", *given)
    assert (answer.status, answer.err) == (0, "")
    plan: dict[str, Any] = answer.json["plan"]
    return plan


def test_a_dry_run_plans_and_writes_nothing(cli: CommandLine, sample_dataset: Path) -> None:
    plan = _plan(cli, sample_dataset)
    assert plan["answers_per_step"] == 16
    audit = cli("dataset", "audit", sample_dataset, "--model", MODEL, "--json").json
    split = cli("dataset", "split", sample_dataset, "--model", MODEL, "--json").json
    assert plan["examples"] == len(split["train"])
    assert plan["answers"] < audit["answers"]
    assert plan["tokens_total"] == 3 * plan["tokens_per_epoch"]
    assert plan["steps"] * 16 == pytest.approx(3 * plan["answers"], rel=0.15)
    assert cli.listing() == {}


def test_settings_change_the_plan(cli: CommandLine, sample_dataset: Path) -> None:
    usual = _plan(cli, sample_dataset)
    assert _plan(cli, sample_dataset, "max_steps=3")["steps"] == 3
    assert _plan(cli, sample_dataset, "num_epochs=1")["tokens_total"] == usual["tokens_per_epoch"]
    assert _plan(cli, sample_dataset, "r=32")["trainable_parameters"] == 2 * usual["trainable_parameters"]
    separate = _plan(cli, sample_dataset, "example_unit=answer")
    assert separate["examples"] == separate["answers"] == usual["answers"]
    assert separate["tokens_per_epoch"] > usual["tokens_per_epoch"]
    assert cli("train", sample_dataset, "--model", MODEL, "--dry-run", "--recipe", "quickstart").status == 0


def test_a_dry_run_tells_a_person_what_will_happen(cli: CommandLine, sample_dataset: Path) -> None:
    plan = _plan(cli, sample_dataset)
    shown = cli("train", sample_dataset, "--model", MODEL, "--dry-run").out
    assert f"{plan['steps']} of about 16 answers" in shown
    assert f"{plan['tokens_total']:,}" in shown


def _request(file: Path, **changes: Any) -> RunRequest:
    return RunRequest(**{"file": file, "recipe": "balanced", "overrides": {}, **changes})


def test_the_spec_is_frozen_and_found_again(cli: CommandLine, sample_dataset: Path) -> None:
    ready = ready_run(_request(sample_dataset), MODEL, cli.folder / "run")
    assert {path.name for path in ready.folder.root.iterdir()} == {"data", "job.json", "plan.json"}
    spec = JobSpec.load(cli.folder / "run" / "job.json")
    assert spec == ready.spec
    assert spec.hyperparameters.max_seq_length is not None
    assert spec.hyperparameters.max_seq_length >= ready.plan.longest_tokens
    before = cli.listing()
    again = ready_run(_request(sample_dataset), MODEL, cli.folder / "run")
    assert (again.resumed, again.spec, again.plan) == (True, ready.spec, ready.plan)
    assert cli.listing() == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"overrides": {"r": "8"}}, "r (16 there, 8 asked)"),
        ({"recipe": "aggressive"}, "learning_rate (0.0002 there, 0.0003 asked)"),
        ({"client_profile": "system_prompt"}, "client_profile (keep there, system_prompt asked)"),
        ({"choices": ReadingChoices(repair_json=True)}, "repair_json (False there, True asked)"),
    ],
)
def test_another_request_for_the_same_folder_is_refused_by_name(
    change: dict[str, Any], named: str, cli: CommandLine, sample_dataset: Path
) -> None:
    ready_run(_request(sample_dataset), MODEL, cli.folder / "run")
    before = cli.listing()
    with pytest.raises(RunFolderError) as caught:
        ready_run(_request(sample_dataset, **change), MODEL, cli.folder / "run")
    assert named in caught.value.message
    assert "--out" in caught.value.hint
    assert cli.listing() == before


def test_another_dataset_for_the_same_folder_is_refused(cli: CommandLine, sample_dataset: Path) -> None:
    ready_run(_request(sample_dataset), MODEL, cli.folder / "run")
    other = cli.folder / "other.json"
    other.write_text(json.dumps(json.loads(sample_dataset.read_text(encoding="utf-8"))), encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"the dataset \(lantern-care-sample\.json there\)"):
        ready_run(_request(other), MODEL, cli.folder / "run")
