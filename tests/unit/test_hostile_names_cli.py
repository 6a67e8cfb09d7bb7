"""Every command that takes or prints a name from data shows hostile ones as text, and prints commands that work."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from brightrun.cli.show import Screen, problems, results
from brightrun.cli.start_run import ready_run
from brightrun.cli.watch_job import JobScreen
from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.jobs.plan_run import RunRequest
from brightrun.plain_text import is_shown, visible
from brightrun.web.access import LoopbackAccess
from brightrun.web.app import create_app
from tests.studio_world import OWNER, World
from tests.unit.command_line import MODEL, CommandLine, Said, pull_wee_model, served, wee_model
from tests.unit.finished_job import bundle
from tests.unit.hostile_names import NAMES, fuzzed, path_named
from tests.unit.run_reports import report
from tests.unit.web_studio import a_job, a_studio

ALL = (*NAMES, *fuzzed(36, 4))
FEW = ("[/b] tag", "-dash", *fuzzed(7, 1))
SOME = (*FEW, *NAMES[6:10], "日" * 250)
_WORDS = ("river", "stone", "cloud", "paper", "glass", "honey")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("home")
    pull_wee_model(tmp_path_factory.mktemp("source"), root)
    return root


@pytest.fixture
def cli(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    for key in list(os.environ):
        if key.startswith(("BRIGHTRUN_", "TRAINING_", "RUNPOD_", "HF_")) and "BENCHMARK" not in key:
            monkeypatch.delenv(key)
    monkeypatch.setenv("BRIGHTRUN_HOME", str(home))
    for screen in (results, problems):  # wherever they were made: test runners set COLUMNS, too
        monkeypatch.setattr(screen, "width", 4000)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return CommandLine(folder, capsys)


def a_dataset(name: str, *, conversations: int = 6) -> Path:
    """A small file that is called so, and whose ids, personas, arcs and texts are."""
    path = path_named(name, ".jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [
        {"id": f"{name}{n}", "persona": name, "arc": f"arc {name}", "messages": _turns(f"{word} {name[:40]}")}
        for n, word in enumerate(_WORDS[:conversations])
    ]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def _turns(words: str) -> list[dict[str, str]]:
    answer = f"What is {words}? It is {words.split(maxsplit=1)[0] * 9}, and that is all there is to say."
    return [{"role": "user", "content": words}, {"role": "assistant", "content": answer}]


def plain(said: Said, *shown: str | Path, status: int = 0) -> Said:
    """What was said, after a look at it: nothing in it moves a cursor, and the names are in it as they are shown."""
    assert said.status == status, said.err
    assert [letter for letter in said.out + said.err if letter != "\n" and not is_shown(letter)] == []
    for name in shown:
        assert visible(str(name)) in said.out + said.err
    return said


def commands_in(said: Said) -> list[list[str]]:
    """The words of every command that was printed to be copied, as a shell reads them."""
    found = re.findall(r"(?<![`'\"\w])(brightrun [a-z].*?)(?: says why)?$", said.out + said.err, re.MULTILINE)
    return [_words(command) for command in found]


def _words(command: str) -> list[str]:
    script = f"printf '%s\\0' {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    return [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]


@pytest.mark.parametrize("name", ALL)
def test_datasets(name: str, cli: CommandLine) -> None:
    file, model = a_dataset(name), ("--model", MODEL)
    plain(cli("dataset", "audit", *model, "--", file), file.name)
    audited = plain(cli("dataset", "audit", *model, "--json", "--", file))
    assert audited.json["file_name"] == file.name
    previewed = plain(cli("dataset", "preview", *model, f"--conversation={name}3", "--", file), f"{name}3")
    said = f"paper {name[:40]}".replace("\t", "\n").split("\n")
    assert all(visible(line) in previewed.out for line in said)
    assert cli("dataset", "preview", *model, "--json", "--", file).json["conversation"] == f"{name}0"
    plain(cli("dataset", "split", *model, "--", file), name, f"arc {name}")
    split = path_named(name, ".split")
    assert name in cli("dataset", "split", *model, "--json", f"--out={split}", "--", file).json["strata"][0]["persona"]
    plain(cli("dataset", "split", *model, f"--previous={split}", "--", file), name)
    out = path_named(f"out {name}")
    plain(cli("dataset", "prepare", *model, f"--out={out}", "--", file), f"Written to {out}: ", file.name)
    plain(cli("dataset", "prepare", *model, f"--out={out}", "--", file), f"{out} exists already", status=2)
    absent = path_named(f"absent {name}")
    plain(cli("dataset", "audit", *model, "--", absent), absent, status=2)
    plain(cli("dataset", "split", *model, f"--previous={file}", "--", file), f"{file} is not a split", status=2)


@pytest.mark.parametrize("name", ALL)
def test_plans(name: str, cli: CommandLine) -> None:
    file, model = a_dataset(name), ("--model", MODEL)
    plain(cli("plan", *model, "--", file), "Plan")
    assert cli("plan", *model, "--json", "--", file).json["dataset_refused"] is False
    plain(cli("train", "--dry-run", *model, "--", file), file.name)
    absent = path_named(f"absent {name}")
    plain(cli("plan", *model, "--", absent), f"There is no file {absent}.", status=2)
    plain(cli("train", *model, "--", absent), f"There is no file {absent}.", status=2)
    refused = plain(cli("plan", *model, "--set=max_seq_length=16", "--", file), file.name, f"{name}2: ", status=2)
    assert len(refused.err.splitlines()) == 2
    plain(cli("plan", f"--model={name}", "--", file), name, status=2)
    plain(cli("train", f"--recipe={name}", *model, "--", file), name, status=2)
    plain(cli("train", f"--set={name}", *model, "--", file), status=2)
    plain(cli("plan", f"--gpu={name}", *model, "--", file), status=2)


@pytest.mark.parametrize("name", ALL)
def test_a_finished_run(name: str, cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, run = a_dataset(name), path_named(f"run {name}")
    model = ("--model", MODEL, f"--out={run}")
    _finish(name, file, run, tmp_path)

    compared = plain(cli("compare", "--", run), name)
    assert all(visible(line) in compared.out for line in f"Client LAST TURN {name}".replace("\t", "\n").split("\n"))
    plain(cli("compare", "--json", "--", run))
    trained = plain(cli("train", *model, "--", file), f"The run in {run} is finished already", run / "adapter")
    assert commands_in(trained) == [["brightrun", "chat", *(["--"] if str(run)[0] == "-" else []), str(run)]]
    (run / "adapter" / "README.md").write_text("other", encoding="utf-8")
    plain(cli("compare", "--", run), status=2)
    other = a_dataset(f"other {name}", conversations=5)
    plain(cli("train", *model, "--", other), run, f"the dataset ({file.name} there)", status=2)

    answering = tmp_path / "answering"
    answering.write_text(f"#!{sys.executable}\n{_ANSWERING}", encoding="utf-8")
    answering.chmod(0o755)
    monkeypatch.setattr("brightrun.cli.chat.sys.executable", str(answering))
    chatted = plain(cli("chat", f"--prompt={name}", "--", run))
    assert all(visible(line) in chatted.out for line in name.replace("\t", "\n").split("\n"))
    nowhere = path_named(f"nowhere {name}")
    for command in ("compare", "chat"):
        plain(cli(command, "--", nowhere), f"{nowhere} contains no finished run", status=2)


_ANSWERING = """
import json, sys
print("{}", flush=True)
for line in sys.stdin:
    asked = json.loads(line)["base"][-1]["content"]
    print(json.dumps({side: {"text": asked} for side in ("base", "tuned")}), flush=True)
"""


def _finish(name: str, file: Path, run: Path, scratch: Path) -> None:
    """A run of the file as the worker leaves it."""
    run.parent.mkdir(parents=True, exist_ok=True)
    made = ready_run(RunRequest(file, "balanced", {}), MODEL, run).folder
    comparison = report(words=name, label=name).comparison
    with a_studio(scratch) as (studio, _):
        files = bundle(a_job(studio), comparison)
    for path, content in files.items():
        (made.root / path).parent.mkdir(exist_ok=True)
        (made.root / path).write_bytes(content)
    made.comparison.write_text(comparison.model_dump_json(), encoding="utf-8")
    made.report.write_text("<html></html>", encoding="utf-8")


@pytest.mark.parametrize("name", ALL)
def test_models_tokens_settings(name: str, cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / path_named(f"home {name}")
    monkeypatch.setenv("BRIGHTRUN_HOME", str(place))
    plain(cli("settings"), place)
    doctored = cli("doctor")
    plain(doctored, f"{place} ", status=doctored.status)

    folder = Path.cwd() / path_named(f"model {name[:60]}")
    wee_model(folder)
    pulled = plain(cli("model", "pull", "--", folder))
    plain(cli("model", "list"), pulled.out.split(":")[0])
    plain(cli("model", "pull", "--", name), status=2)
    plain(cli("model", "pull", f"--name={name}", "--", folder), name, status=2)

    plain(cli("token", "create", f"--owner={name}", "--", name))
    plain(cli("token", "list", f"--owner={name}"), name)
    (token,) = cli("token", "list", f"--owner={name}", "--json").json["data"]
    assert token["name"] == name
    plain(cli("token", "revoke", "--", name), name[:80], status=1)
    plain(cli("token", "revoke", f"--owner={name}", token["id"]), "It is revoked.")
    plain(cli("budget", "set", f"--month={name}"), status=1)
    plain(cli("serve", f"--host={name}", "--port", "0"), name, status=2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """A studio with simulated machines, and where it answers."""
    root = tmp_path_factory.mktemp("studio")
    pull_wee_model(tmp_path_factory.mktemp("source"), root)
    world = World(root)
    with served(create_app(world.studio, LoopbackAccess(OWNER))) as url:
        yield world, url


@pytest.mark.parametrize("name", SOME)
def test_jobs(name: str, cli: CommandLine, world: tuple[World, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIGHTRUN_URL", world[1])
    called = name[:200]
    file = a_dataset(name)
    started = plain(cli("job", "start", "--model", MODEL, f"--name={called}", "--", file))
    ((*_, job),) = commands_in(started)
    uploaded = world[0].job(job).spec["dataset"]["source_name"]
    assert (
        uploaded
        == "".join(letter if is_shown(letter) else "_" for letter in file.name.replace("\\", "/")).split("/")[-1]
    )
    plain(cli("job", "show", job), called)
    assert cli("job", "show", job, "--json").json["name"] == called
    plain(cli("job", "list"), called)
    plain(cli("job", "cancel", job))
    plain(cli("job", "watch", job), status=1)
    screen = Screen(file=io.StringIO(), width=4000)
    screen.print(JobScreen(cli("job", "show", job, "--json").json))
    assert visible(called) in screen.file.getvalue()  # type: ignore[attr-defined]
    plain(cli("job", "start", "--model", MODEL, "--", path_named(f"absent {name}", ".x")), status=2)
    for verb in ("show", "watch", "cancel", "retry", "download"):
        plain(cli("job", verb, "--", f"[/b]{name}"), "is not the id of a job", status=2)


@pytest.mark.parametrize("name", FEW)
def test_a_job_to_its_end(
    name: str, cli: CommandLine, world: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIGHTRUN_URL", world[1])
    file = a_dataset(name)
    job = cli("job", "start", "--model", MODEL, f"--name={name}", "--json", "--", file).json["training_job_id"]
    with world[0].database.session() as session:  # simulated runs have twelve steps, whatever was planned
        plan = world[0].job(job).plan
        assert plan is not None
        jobs.change_if(session, job, expected=[JobStatus.QUEUED], plan=plan.model_copy(update={"steps": 12}))
    world[0].live(until=world[0].at_rest)
    watched = plain(cli("job", "watch", job), "Completed")
    assert commands_in(watched) == [["brightrun", "job", "download", job]]
    out = path_named(f"adapter {name}")
    out.parent.mkdir(parents=True, exist_ok=True)
    plain(cli("job", "download", f"--out={out}", job), f"{out}: ")
    plain(cli("job", "download", f"--out={out}", job), f"{out} is there already", status=2)
    svg = path_named(name, ".svg")
    plain(cli("plan", "estimate-accuracy", f"--svg={svg}"), name, f"Drawn: {svg}")


def test_a_name_that_is_not_utf_8_is_refused(cli: CommandLine) -> None:
    said = plain(cli("dataset", "audit", "no\udcff.jsonl"), status=2)
    assert said.error()[0] == r"no\udcff.jsonl is not UTF-8."
    assert (
        cli("dataset", "audit", "--json", "no\udcff.jsonl").json["error"]["message"] == "no\udcff.jsonl is not UTF-8."
    )


def test_a_name_that_no_file_can_have_is_refused(cli: CommandLine) -> None:
    for words in (["dataset", "audit", "x" * 300], ["train", "x" * 300], ["model", "pull", "x" * 300], ["-" * 300]):
        assert len(plain(cli(*words), status=2).err.splitlines()) == 2


def test_a_file_that_looks_like_an_option_is_told_how_to_be_given(cli: CommandLine) -> None:
    a_dataset("-dash it's")
    message, hint = cli("dataset", "audit", "-dash it's.jsonl").error()
    assert "No such option" in message
    assert _words(hint.partition(": ")[2]) == ["./-dash it's.jsonl"]


def test_a_trace_is_text_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "brightrun.cli", "--debug", "dataset", "audit", "[/b]\x1b[2J"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert r"[/b]\x1b[2J cannot be read" in done.stderr
    assert "\x1b" not in done.stderr


if shutil.which("bash") is None:
    pytestmark = pytest.mark.skip(reason="there is no bash here to read commands back")
