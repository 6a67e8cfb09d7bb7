"""What bad input gets at the command line: the place, the fix, the status, and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil
import pytest

from tests.unit.command_line import MODEL, CommandLine, pull_wee_model, wee_model
from tests.unit.test_datasets_builders import (
    chat_record,
    three_conversations,
    v4_container,
    v4_conversation,
    write_json,
    write_lines,
)


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


class Bad(NamedTuple):
    """A bad file: how to write it, what the error says of the place, what the hint says of the fix."""

    write: Callable[[Path], object]
    place: str
    fix: str


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


def _record(value: object) -> Callable[[Path], object]:
    return lambda path: write_lines(path, [value])


def _roles_out_of_order(path: Path) -> None:
    container = three_conversations()
    container["conversations"][0]["training_pairs"][3]["conversation_history"][1]["role"] = "user"
    write_json(path, container)


def _all_excluded(path: Path) -> None:
    write_json(path, v4_container(*[v4_conversation(name, ["Hello.", "This is cut \\"]) for name in ("a", "b")]))


UNREADABLE = {
    "not JSON": Bad(_text('{"conversations": [\n  oops\n]}'), "line 2, column 3: not valid JSON", "Fix"),
    "empty": Bad(_text(""), "file is empty", "download"),
    "meta line only": Bad(_record({"_meta": {"total_pairs": 89}}), "holds only a `_meta` line", "no example"),
    "unknown format": Bad(_record({"rows": 1}), "in no format we know: at line 1 it has the keys `rows`", "--map"),
    "no answers": Bad(_record(chat_record(["Only me."])), "line 1: the conversation has no answers", "Remove"),
    "roles": Bad(_roles_out_of_order, "/conversations/0/training_pairs/3/conversation_history/1", "alternate"),
    "absent": Bad(lambda _path: None, "file", "Check the path"),
}
COMMANDS: dict[str, tuple[str, ...]] = {
    "audit": ("dataset", "audit", "file"),
    "preview": ("dataset", "preview", "file"),
    "prepare": ("dataset", "prepare", "file", "--out", "deep/below/prepared"),
    "split": ("dataset", "split", "file", "--out", "split.json"),
    "train": ("train", "file", "--out", "deep/below/run"),
    "dry run": ("train", "file", "--dry-run"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_read(case: str, command: str, cli: CommandLine) -> None:
    bad = UNREADABLE[case]
    bad.write(cli.folder / "file")
    before = cli.listing()

    answer = cli(*COMMANDS[command], "--model", MODEL)

    message, hint = answer.error()
    assert bad.place in message
    assert bad.fix in hint
    assert (answer.status, answer.out) == (2, "")
    assert cli.listing() == before


def test_every_problem_of_a_file_is_listed(cli: CommandLine) -> None:
    write_lines(cli.folder / "file", [chat_record(["Only me."]) for _ in range(30)])
    error, hint, *others = cli("dataset", "audit", "file", "--model", MODEL).err.splitlines()
    assert "line 1: the conversation has no answers (29 more problems)" in error
    assert hint.startswith("hint: ")
    assert others == [f"  line {number}: the conversation has no answers" for number in range(2, 31)]


@pytest.mark.parametrize("command", COMMANDS)
def test_with_json_the_error_is_json_too(command: str, cli: CommandLine) -> None:
    (cli.folder / "file").write_text('{"messages": ]}')
    answer = cli(*COMMANDS[command], "--model", MODEL, "--json")
    error = answer.json["error"]
    assert answer.status == 2
    assert (error["code"], error["details"]["line"], error["details"]["column"]) == ("invalid_training_file", 1, 14)
    assert (error["message"], error["hint"]) == answer.error()


class Refused(NamedTuple):
    """A file that is read and refused: how to write it, options that refuse it, the check, words of the fix."""

    write: Callable[[Path], object]
    options: tuple[str, ...]
    setting: tuple[str, ...]
    check: str
    fix: str


def _three(path: Path) -> object:
    return write_json(path, three_conversations())


REFUSED = {
    "too long": Refused(_three, ("--max-seq-length", "100"), ("--set", "max_seq_length=100"), "overlength", "drop"),
    "all excluded": Refused(_all_excluded, (), (), "no_trained_answers", "export"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_file_is_told_by_the_audit(case: str, cli: CommandLine) -> None:
    bad = REFUSED[case]
    bad.write(cli.folder / "file")
    before = cli.listing()
    answer = cli("dataset", "audit", "file", "--model", MODEL, "--json", *bad.options)
    errors = [finding for finding in answer.json["findings"] if finding["severity"] == "error"]
    assert (answer.status, answer.json["refused"]) == (2, True)
    assert [finding["check"] for finding in errors] == [bad.check]
    assert bad.fix in errors[0]["fix"]
    shown = cli("dataset", "audit", "file", "--model", MODEL, *bad.options)
    assert shown.status == 2
    assert shown.out.endswith("Refused: fix the errors above.\n")
    assert cli.listing() == before


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("command", ["prepare", "train", "dry run"])
def test_a_refused_file_is_neither_prepared_nor_trained_on(case: str, command: str, cli: CommandLine) -> None:
    bad = REFUSED[case]
    bad.write(cli.folder / "file")
    before = cli.listing()
    given = bad.options if command == "prepare" else bad.setting
    answer = cli(*COMMANDS[command], "--model", MODEL, *given)
    message, hint = answer.error()
    assert "was refused" in message
    assert bad.fix in hint
    assert answer.status == 2
    assert cli.listing() == before


def test_a_conversation_that_is_dropped_stands_in_the_repair_log(cli: CommandLine) -> None:
    long = ["Hello.", "word " * 3000 + "done."]
    write_json(
        cli.folder / "file", v4_container(*three_conversations()["conversations"], v4_conversation("long", long))
    )
    options = ("--max-seq-length", "2000", "--overlength-policy", "drop")
    assert cli("dataset", "prepare", "file", "--model", MODEL, "--out", "out", *options).status == 0
    repair_log = [json.loads(line) for line in (cli.folder / "out" / "repair_log.jsonl").read_text().splitlines()]
    dropped = [entry for entry in repair_log if entry["kind"] == "drop"]
    assert [(entry["conversation"], entry["limit"], entry["answers_lost"]) for entry in dropped] == [("long", 2000, 1)]
    assert dropped[0]["tokens"] > 3000


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (("--set", "learnin_rate=1"), "There is no setting 'learnin_rate'", "learning_rate"),
        (("--set", "learning_rate=7"), "learning_rate = '7' is not allowed", "at most 1.0"),
        (("--set", "learning_rate=fast"), "valid number", "above 0"),
        (("--set", "learning_rate"), "--set learning_rate has no value", "--set key=value"),
        (("--set", "target_modules=left_proj"), "left_proj", "q_proj"),
        (("--set", "target_modules=q_proj,v_proj,q_proj"), "it names q_proj more than once", "target_modules"),
        (("--set", "max_seq_length=100000"), "max_seq_length", "8192"),
        (("--recipe", "balancd"), "No recipe is called 'balancd'", "balanced"),
        (("--model", "llama-3-8b"), "No base model is called 'llama-3-8b'", "llama-3-8b-instruct"),
        (("--model", "smollm2-135m-instruct"), "is not on this machine", "brightrun model pull smollm2-135m-instruct"),
        (("--resume",), "There is no run in", "--out"),
        (("--hold-on",), "No such option", "--help"),
    ],
)
def test_a_request_that_cannot_be_granted(given: tuple[str, ...], message: str, hint: str, cli: CommandLine) -> None:
    _three(cli.folder / "file")
    before = cli.listing()
    answer = cli("train", "file", "--model", MODEL, "--out", "deep/run", *given)
    told = answer.error()
    assert message in told[0]
    assert hint in told[1]
    assert answer.status == 2
    assert cli.listing() == before


@pytest.mark.parametrize("command", ["prepare", "train"])
def test_a_folder_that_holds_something_else_is_left_alone(command: str, cli: CommandLine) -> None:
    _three(cli.folder / "file")
    place = cli.folder / "thesis"
    place.mkdir()
    (place / "chapter-1.txt").write_text("Years of work.")
    before = cli.listing()
    for out in ("thesis", "thesis/chapter-1.txt"):
        answer = cli(*COMMANDS[command][:-1], out, "--model", MODEL)
        message, hint = answer.error()
        assert out in message
        assert "--out" in hint
        assert answer.status == 2
    assert cli.listing() == before


def test_a_split_that_cannot_be_written_or_read(cli: CommandLine) -> None:
    _three(cli.folder / "file")
    before = cli.listing()
    answer = cli("dataset", "split", "file", "--model", MODEL, "--out", "nowhere/split.json")
    assert answer.error()[0] == "nowhere/split.json cannot be written."
    answer = cli("dataset", "split", "file", "--model", MODEL, "--previous", "file")
    assert answer.error()[0] == "file is not a split."
    assert answer.status == 2
    assert cli.listing() == before


@pytest.mark.parametrize("command", ["compare", "chat"])
def test_a_folder_without_a_run(command: str, cli: CommandLine) -> None:
    answer = cli(command, ".")
    assert answer.error() == (". contains no finished run.", "Give the folder that `brightrun train` wrote.")
    assert answer.status == 2
    assert cli.listing() == {}


def test_an_unknown_setting_in_the_environment(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIGHTRUN_HOM", "/anywhere")
    answer = cli("model", "list", "--json")
    message, hint = answer.error()
    assert message == "The setting BRIGHTRUN_HOM (environment) is not known."
    assert "BRIGHTRUN_HOME" in hint
    assert (answer.status, answer.json["error"]["details"]["key"]) == (2, "BRIGHTRUN_HOM")


@pytest.mark.parametrize(
    ("spoil", "message", "hint"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(bytes(256)), "sha256", "model pull"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), "has 5 bytes", "--again"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "chat_template.jinja is missing", "--again"),
    ],
)
def test_a_base_model_that_is_not_whole(
    spoil: Callable[[Path], Any], message: str, hint: str, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull_wee_model(cli.folder, cli.folder)
    spoil(cli.folder / "models" / MODEL)
    _three(cli.folder / "file")
    monkeypatch.setenv("BRIGHTRUN_HOME", str(cli.folder))
    before = cli.listing()
    answer = cli("train", "file", "--model", MODEL, "--out", "run")
    told = answer.error()
    assert message in told[0]
    assert hint in told[1]
    assert answer.status == 2
    assert cli.listing() == before


@pytest.mark.parametrize(
    ("missing", "message", "hint"),
    [
        ("chat_template.jinja", "has no chat template", "Choose the Instruct variant"),
        ("tokenizer.json", "has no tokenizer.json", "Hugging Face format"),
        ("model.safetensors", "lacks safetensors weights", "Download"),
    ],
)
def test_a_model_folder_that_cannot_be_pulled(
    missing: str, message: str, hint: str, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = wee_model(cli.folder / "mine")
    (source / missing).unlink()
    monkeypatch.setenv("BRIGHTRUN_HOME", str(cli.folder / "home"))
    before = cli.listing()
    answer = cli("model", "pull", "./mine")
    told = answer.error()
    assert message in told[0]
    assert hint in told[1]
    assert answer.status == 2
    assert cli.listing() == before


def test_too_little_disk_for_a_model(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("BRIGHTRUN_HOME", str(cli.folder / "home"))
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(total=1, used=1, free=1000))
    answer = cli("model", "pull", "smollm2-135m-instruct", "--json")
    assert "free" in answer.error()[0]
    assert (answer.status, answer.json["error"]["code"]) == (1, "disk_full")
    assert [name for name, content in cli.listing().items() if content is not None] == []


@pytest.mark.parametrize("command", ["train", "dry run"])
def test_too_little_memory_for_a_run(command: str, cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    _three(cli.folder / "file")
    before = cli.listing()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2_000_000))
    answer = cli(*COMMANDS[command], "--model", MODEL, "--json")
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (1, "out_of_memory")
    assert "of 0.0 GB free" in error["message"]
    assert error["details"]["plan"]["memory"]["total_bytes"] > 2_000_000
    assert "smaller" in answer.error()[1]
    assert cli.listing() == before


def test_debug_shows_the_whole_trace(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    from brightrun.cli.main import main
    from brightrun.errors import DatasetError

    monkeypatch.setattr("sys.argv", ["brightrun", "--debug", "dataset", "audit", "absent"])
    with pytest.raises(DatasetError, match="absent cannot be read"):
        main()
    assert cli.listing() == {}
