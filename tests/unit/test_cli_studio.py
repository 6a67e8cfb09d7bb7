"""The commands that speak with a studio, those that make one, and what they do when it refuses or does not answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from brightrun.assembly import build_access, build_studio
from brightrun.cli.main import app as command_line
from brightrun.cli.reconciler import lock_home
from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.jobs.reconcile import reconcile_once
from brightrun.settings import Settings
from brightrun.web.access import LoopbackAccess
from brightrun.web.app import create_app
from tests.studio_world import OWNER, World
from tests.unit.command_line import MODEL, CommandLine, pull_wee_model, served
from tests.unit.test_datasets_builders import chat_record, said, write_lines

EVERYWHERE = "0.0.0.0"  # noqa: S104 what must not happen unguarded


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for key in list(os.environ):
        if key.startswith(("BRIGHTRUN_", "TRAINING_", "RUNPOD_", "HF_")):
            monkeypatch.delenv(key)
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BRIGHTRUN_URL", f"http://127.0.0.1:{_nobody_listens()}")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(tmp_path / "work", capsys)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A studio with simulated machines that answers at BRIGHTRUN_URL; its clock is turned by the test."""
    home = tmp_path / "studio"
    home.mkdir()
    pull_wee_model(tmp_path / "source", home)
    world = World(home)
    with served(create_app(world.studio, LoopbackAccess(OWNER))) as url:
        monkeypatch.setenv("BRIGHTRUN_URL", url)
        yield world


def _nobody_listens() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _start(cli: CommandLine, dataset: Path | str, *more: str) -> dict[str, Any]:
    said = cli("job", "start", dataset, "--model", MODEL, *more, "--json")
    assert said.status == 0, said.err
    started: dict[str, Any] = said.json
    return started


# A studio that answers


def test_a_job_from_a_file_to_the_adapter(cli: CommandLine, world: World, sample_dataset: Path) -> None:
    started = _start(cli, sample_dataset, "--set", "r=4", "--name", "a [red]name[/]", "--max-cost-usd", "3.5")
    assert (started["success"], started["status"]) == (True, "queued")
    job_id = started["training_job_id"]
    world.live(until=world.at_rest)

    shown = cli("job", "show", job_id, "--json").json
    assert (shown["status"], shown["hyperparameters"]["r"], shown["compute"]["max_cost_usd"]) == ("completed", 4, "3.5")
    assert "a [red]name[/]" in cli("job", "show", job_id).out
    assert job_id in cli("job", "list").out
    watched = cli("job", "watch", job_id)
    assert watched.status == 0
    assert "Completed" in watched.out
    assert "Validation loss of the untouched base" in watched.err
    assert cli("job", "watch", job_id, "--json").json["status"] == "completed"

    taken = cli("job", "download", job_id, "--out", "mine", "--json").json
    assert taken["files"] > 0
    assert (cli.folder / "mine" / "manifest.json").is_file()
    assert cli("job", "download", job_id, "--out", "mine.zip").status == 0
    assert (cli.folder / "mine.zip").stat().st_size > 0
    assert sorted(path.name for path in cli.folder.iterdir()) == ["mine", "mine.zip"]
    assert "is there already" in cli("job", "download", job_id, "--out", "mine").error()[0]


def test_a_job_at_its_cap_and_its_unverified_adapter(cli: CommandLine, world: World, sample_dataset: Path) -> None:
    job_id = _start(cli, sample_dataset)["training_job_id"]
    with world.database.session() as session:
        jobs.change_if(session, job_id, expected=[JobStatus.QUEUED], job_cap_usd=Decimal("0.10"))
    world.live(until=world.at_rest, seconds=1)

    watched = cli("job", "watch", job_id)
    assert watched.status == 1
    assert "The job's cap is reached: " in watched.err
    assert "error: The job is failed: The job reached its cap in dollars." in watched.err
    assert "hint: Raise the cap" in watched.err
    assert f"brightrun job download {job_id}" in watched.out
    shown = cli("job", "show", job_id).out
    assert "$0.10" in shown
    assert "partial" in shown
    taken = cli("job", "download", job_id, "--out", "early")
    assert taken.status == 0
    assert "Not verified:" in taken.out


def test_canceling_waits_for_the_adapter_where_it_is_wanted(
    cli: CommandLine, world: World, sample_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def a_second_goes_by(_seconds: float) -> None:
        world.clock.turn(5)
        reconcile_once(world.studio, owner="studio")

    job_id = _start(cli, sample_dataset)["training_job_id"]
    world.live(until=lambda: (world.job(job_id).current_step or 0) >= 5, seconds=1)
    monkeypatch.setattr("brightrun.cli.job.time.sleep", a_second_goes_by)
    said = cli("job", "cancel", job_id, "--export-on-stop")
    assert said.status == 0
    assert f"{job_id} is cancelled." in said.out
    assert f"brightrun job download {job_id}" in said.out
    assert cli("job", "show", job_id, "--json").json["adapter"] == "partial"

    other = _start(cli, sample_dataset)["training_job_id"]
    assert "No adapter could be kept" in cli("job", "cancel", other, "--export-on-stop").out


def test_the_budget_is_shown_and_set(cli: CommandLine, world: World) -> None:
    assert "no limit" in cli("budget", "show").out
    assert "Nothing is to be set" in cli("budget", "set").error()[0]
    assert "not an amount in dollars" in cli("budget", "set", "--month", "much").error()[0]
    both = cli("budget", "set", "--month", "120", "--default-job-cap", "9.5", "--json").json
    assert (both["monthly_budget_usd"], both["default_job_cap_usd"]) == (120.0, 9.5)
    one = cli("budget", "set", "--month", "none", "--json").json
    assert (one["monthly_budget_usd"], one["default_job_cap_usd"]) == (None, 9.5), "what is not named stays"
    shown = cli("budget", "set", "--month", "80").out
    assert "$80.00" in shown
    assert "$9.50" in shown


def test_how_plans_came_true(cli: CommandLine, world: World, sample_dataset: Path) -> None:
    assert "No job has run" in cli("plan", "estimate-accuracy").out
    job_id = _start(cli, sample_dataset, "--name", "a [red]name[/]")["training_job_id"]
    with world.database.session() as session:  # simulated runs have twelve steps, whatever was planned
        plan = world.job(job_id).plan
        assert plan is not None
        plan = plan.model_copy(update={"steps": 12})
        jobs.change_if(session, job_id, expected=[JobStatus.QUEUED], plan=plan)
    world.live(until=world.at_rest)
    drawn = cli("plan", "estimate-accuracy", "--svg", "drawn.svg")
    assert "[red]" in drawn.out
    assert "duration: " in drawn.out
    assert (cli.folder / "drawn.svg").read_text(encoding="utf-8").startswith("<svg")
    assert [job["job_id"] for job in cli("plan", "estimate-accuracy", "--json").json["jobs"]] == [job_id]
    refused = cli("plan", "estimate-accuracy", "--svg", "none.svg", "--quantity", "luck")
    assert refused.status != 0
    assert not (cli.folder / "none.svg").exists()


def test_the_same_bytes_are_uploaded_once_and_the_same_key_is_one_job(
    cli: CommandLine, world: World, sample_dataset: Path
) -> None:
    first = _start(cli, sample_dataset, "--idempotency-key", "k-1")
    assert _start(cli, sample_dataset, "--idempotency-key", "k-1") == first
    file_id = cli("job", "show", first["training_job_id"], "--json").json["training_file_id"]
    other = _start(cli, file_id)
    assert other["training_job_id"] != first["training_job_id"]
    refused = cli("job", "start", file_id, "--model", MODEL, "--idempotency-key", "k-1", "--name", "else")
    assert refused.status == 1
    assert "Idempotency-Key" in refused.error()[0]
    listed = cli("job", "list", "--limit", "1", "--json").json
    assert (len(listed["data"]), listed["has_more"]) == (1, True)
    after = cli("job", "list", "--after", listed["data"][0]["id"], "--json").json
    assert {job["id"] for job in listed["data"] + after["data"]} == {
        first["training_job_id"],
        other["training_job_id"],
    }


def test_cancel_then_retry(cli: CommandLine, world: World, sample_dataset: Path) -> None:
    job_id = _start(cli, sample_dataset)["training_job_id"]
    assert "is cancelled" in cli("job", "cancel", job_id).out
    assert cli("job", "cancel", job_id, "--json").json["status"] == "cancelled"
    ended = cli("job", "watch", job_id)
    assert ended.status == 1
    assert ended.err.splitlines()[-2].startswith("error: The job is cancelled:")
    assert cli("job", "watch", job_id, "--json").status == 1
    new = cli("job", "retry", job_id, "--set", "r=8", "--json").json
    assert (new["retry_of"], new["hyperparameters"]["r"]) == (job_id, 8)
    assert cli("job", "list", "--status", "cancelled", "--json").json["data"][0]["id"] == job_id
    world.live(until=world.at_rest)
    assert world.job(new["id"]).status is JobStatus.COMPLETED
    assert "cannot be retried" in cli("job", "retry", new["id"]).error()[0]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("job", "show", "nowhere"), 1, "There is no job nowhere."),
        (("job", "cancel", "../../x"), 2, "is not the id of a job"),
        (("job", "watch", "nowhere"), 1, "There is no job nowhere."),
        (("job", "download", "nowhere"), 1, "There is no job nowhere."),
        (("job", "start", "absent.json"), 2, "There is no file absent.json."),
        (("job", "start", "no-such-dataset"), 1, "no-such-dataset"),
        (("job", "start", "no-such-dataset", "--set", "r"), 2, "has no value"),
        (("job", "list", "--after", "nowhere"), 1, "nothing with the id"),
    ],
)
def test_what_is_refused_is_told_in_one_line_and_a_hint(
    words: tuple[str, ...], status: int, said: str, cli: CommandLine, world: World
) -> None:
    answer = cli(*words)
    message, hint = answer.error()
    assert (answer.status, answer.out) == (status, "")
    assert said in message
    assert hint
    told = cli(*words, "--json")
    assert told.json["error"]["message"] == message


def test_a_job_with_a_validation_file(cli: CommandLine, world: World, sample_dataset: Path) -> None:
    # One conversation is too little to be divided, and enough to validate.
    write_lines(cli.folder / "exam.jsonl", [chat_record(said("kites"))])
    started = _start(cli, sample_dataset, "--validation-file", "exam.jsonl")
    job = cli("job", "show", started["training_job_id"], "--json").json
    assert job["validation_file_id"] not in {None, job["training_file_id"]}
    assert job["validation_file_id"] in cli("job", "show", started["training_job_id"]).out
    again = _start(cli, job["training_file_id"], "--validation-file", job["validation_file_id"])
    shown = cli("job", "show", again["training_job_id"], "--json").json
    assert shown["validation_file_id"] == job["validation_file_id"]
    itself = cli("job", "start", sample_dataset, "--model", MODEL, "--validation-file", sample_dataset)
    assert itself.status != 0
    assert "cannot be its own validation dataset" in itself.error()[0]


def test_a_dataset_that_its_audit_refuses_starts_nothing(cli: CommandLine, world: World) -> None:
    (cli.folder / "bad.json").write_text("[1, 2", encoding="utf-8")
    answer = cli("job", "start", "bad.json", "--model", MODEL)
    assert answer.status == 2
    assert answer.error()[0]
    assert cli("job", "list", "--json").json["data"] == []


# A studio that does not answer


@pytest.mark.parametrize("words", [("list",), ("show", "x"), ("watch", "x"), ("cancel", "x"), ("start", "x")])
def test_nobody_there(words: tuple[str, ...], cli: CommandLine) -> None:
    answer = cli("job", *words)
    assert answer.status == 1
    message, hint = answer.error()
    assert message.startswith("The studio at http://127.0.0.1:")
    assert "brightrun serve" in hint


# Tokens, settings, doctor, serve


def test_a_token_is_shown_once_and_can_be_revoked(cli: CommandLine, tmp_path: Path) -> None:
    made = cli("token", "create", "laptop", "--json").json
    assert made["token"].startswith(made["prefix"])
    listed = cli("token", "list", "--json")
    assert made["token"] not in listed.out
    assert [row["id"] for row in listed.json["data"]] == [made["id"]]
    shown = cli("token", "list").out
    assert made["id"] in shown
    assert "live" in shown
    plain = cli("token", "create", "second")
    assert plain.out.startswith("brt_")
    assert len(plain.out.split()) == 1
    for path in (tmp_path / "home").rglob("*"):
        assert not path.is_file() or made["token"].encode() not in path.read_bytes()
    assert cli("token", "revoke", made["id"], "--json").json["revoked_now"] is True
    assert "before" in cli("token", "revoke", made["id"]).out
    assert "There is no token nowhere." in cli("token", "revoke", "nowhere").error()[0]
    assert "There is no token" in cli("token", "revoke", made["id"], "--owner", "else").error()[0]


def test_settings_list_every_key_and_no_secret(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_WEBHOOK_SECRET", "a-secret-of-twenty-letters")
    told = cli("settings", "--json")
    rows = {row["key"]: row for row in told.json["data"]}
    assert rows["TRAINING_WEBHOOK_SECRET"]["is_set"] is True
    assert rows["BRIGHTRUN_PORT"]["value"] == "8700"
    shown = cli("settings")
    assert "set, not shown" in shown.out
    assert "a-secret-of-twenty-letters" not in told.out + shown.out
    assert all(key in shown.out for key in rows)


def test_doctor_on_an_empty_machine_changes_nothing(cli: CommandLine, tmp_path: Path) -> None:
    told = cli("doctor", "--json")
    checks = {check["check"]: check for check in told.json["checks"]}
    assert {"python", "packages", "training stack", "disk", "memory", "settings", "home", "storage"} <= set(checks)
    assert {"webhook secret", "models", "compute local_process", "database", "studio"} <= set(checks)
    assert checks["models"]["outcome"] == "warn"
    assert "brightrun model pull" in checks["models"]["fix"]
    assert "brightrun serve" in checks["studio"]["fix"]
    assert all(check["fix"] for check in checks.values() if check["outcome"] != "ok")
    assert told.status == (0 if told.json["ok"] else 1)
    assert not (tmp_path / "home").exists()


def test_doctor_fails_where_something_is_broken(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNPOD_ENDPOINT_URL", f"http://127.0.0.1:{_nobody_listens()}")
    answer = cli("doctor")
    assert answer.status == 1
    assert "TRAINING_WORKER_TOKEN is not" in answer.out
    monkeypatch.setenv("TRAINING_WORKER_TOKEN", "a-token-nobody-sees")
    monkeypatch.setenv("BRIGHTRUN_COMPUTE", "static_worker")
    monkeypatch.setenv("BRIGHTRUN_DATABASE_URL", "sqlite:////proc/nowhere/studio.db")
    (tmp_path / "home").write_text("not a folder", encoding="utf-8")
    told = cli("doctor", "--json")
    checks = {check["check"]: check["outcome"] for check in told.json["checks"]}
    assert (told.status, told.json["ok"]) == (1, False)
    assert (checks["home"], checks["compute static_worker"]) == ("fail", "fail")
    assert "a-token-nobody-sees" not in told.out
    monkeypatch.setenv("BRIGHTRUN_UNHEARD_OF", "1")
    assert "BRIGHTRUN_UNHEARD_OF" in cli("doctor").out


def test_doctor_sees_a_running_studio_and_jobs_that_nobody_looks_after(
    cli: CommandLine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIGHTRUN_DATABASE_URL", world.database.url.render_as_string())
    checks = {check["check"]: check for check in cli("doctor", "--json").json["checks"]}
    assert (checks["studio"]["outcome"], checks["database"]["outcome"]) == ("ok", "ok")
    assert (checks["jobs"]["outcome"], checks["jobs"]["message"]) == ("ok", "none yet")
    world.clock.now = datetime(2020, 1, 1, tzinfo=UTC)
    world.add_job("job-1")
    checks = {check["check"]: check for check in cli("doctor", "--json").json["checks"]}
    assert checks["jobs"]["outcome"] == "warn"
    assert "1 queued; job-1" in checks["jobs"]["message"]


def test_doctor_knows_a_wrong_token_from_none(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(tmp_path, public_url="https://studio.example")
    studio = build_studio(settings)
    with served(create_app(studio, build_access(settings, studio))) as url:
        monkeypatch.setenv("BRIGHTRUN_URL", url)
        monkeypatch.setenv("BRIGHTRUN_HOST", EVERYWHERE)
        outcomes = [_outcomes(cli)]
        monkeypatch.setenv("BRIGHTRUN_TOKEN", "brt_wrong")
        outcomes.append(_outcomes(cli))
        monkeypatch.setenv("BRIGHTRUN_TOKEN", cli("token", "create", "me", "--json").json["token"])
        outcomes.append(_outcomes(cli))
        assert cli("job", "list").status == 0
    studio.database.close()
    assert [found["studio"] for found in outcomes] == ["warn", "fail", "ok"]
    assert [found["tokens"] for found in outcomes] == ["fail", "fail", "ok"]


def _outcomes(cli: CommandLine) -> dict[str, str]:
    return {check["check"]: check["outcome"] for check in cli("doctor", "--json").json["checks"]}


def test_serve_refuses_what_would_not_be_safe(cli: CommandLine, tmp_path: Path) -> None:
    open_to_all = cli("serve", "--host", EVERYWHERE, "--port", "0")
    assert open_to_all.status == 2
    assert "brightrun token create" in open_to_all.error()[1]
    with lock_home(tmp_path / "home"):
        assert "running already" in cli("serve", "--port", "0").error()[0]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = cli("serve", "--port", str(taken.getsockname()[1]))
    assert "--port" in busy.error()[1]
    assert "There is no address" in cli("serve", "--host", "no.such.host.invalid").error()[0]


def test_every_command_has_help() -> None:
    command: Any = get_command(command_line)
    for noun in ("serve", "job", "token", "doctor", "settings"):
        assert command.commands[noun].get_short_help_str(200)
    for verb in command.commands["job"].commands.values():
        assert verb.help
        assert all(parameter.help for parameter in verb.params if hasattr(parameter, "help"))


def _settings(tmp_path: Path, **changes: Any) -> Settings:
    return Settings.model_validate({"home": tmp_path / "home", **changes})
