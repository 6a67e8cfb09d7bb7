"""`brightrun model`: what is known, what is here, and how a folder gets here."""

from __future__ import annotations

from pathlib import Path

import pytest

from brightrun.catalogue.models import load_models
from tests.unit.command_line import MODEL, CommandLine, wee_model


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def test_a_fresh_machine_knows_the_catalogue_and_has_nothing(cli: CommandLine) -> None:
    rows = cli("model", "list", "--json").json["data"]
    assert [row["name"] for row in rows] == list(load_models())
    assert not any(row["pulled"] for row in rows)
    assert cli.listing() == {}


def test_a_folder_is_pulled_listed_and_counted_with(cli: CommandLine, sample_dataset: Path) -> None:
    source = wee_model(cli.folder / "mine")
    record = cli("model", "pull", source, "--name", MODEL, "--json").json
    assert record["name"] == MODEL
    assert {file["name"] for file in record["files"]} == {path.name for path in source.iterdir()}
    rows = {row["name"]: row for row in cli("model", "list", "--json").json["data"]}
    assert rows[MODEL]["pulled"] is True
    assert f"{MODEL} " in cli("model", "list").out
    audit = cli("dataset", "audit", sample_dataset, "--model", MODEL, "--json").json
    assert audit["tokenizer"] == MODEL
    assert audit["tokens"] != cli("dataset", "audit", sample_dataset, "--json").json["tokens"]


def test_what_was_pulled_is_told_to_a_person(cli: CommandLine) -> None:
    wee_model(cli.folder / "mine")
    told = cli("model", "pull", "./mine")
    assert told.status == 0
    assert told.out.splitlines()[0].startswith("mine: 5 files")


def test_a_name_nobody_knows(cli: CommandLine) -> None:
    answer = cli("model", "pull", "smollm2", "--json")
    assert answer.status == 2
    assert "smollm2-135m-instruct" in answer.error()[1]
    assert answer.json["error"]["code"] == "model_unusable"
    assert cli.listing() == {}


def test_a_path_that_is_no_folder_is_not_taken_for_a_name(cli: CommandLine) -> None:
    message, hint = cli("model", "pull", "./nowhere").error()
    assert message == f"{cli.folder / 'nowhere'} is not a folder."
    assert "config.json" in hint
    assert cli.listing() == {}


@pytest.mark.parametrize("name", ["../up", "UPPER"])
def test_a_name_that_cannot_be_a_folders(name: str, cli: CommandLine) -> None:
    wee_model(cli.folder / "mine")
    before = cli.listing()
    answer = cli("model", "pull", "./mine", "--name", name)
    assert "cannot be named" in answer.error()[0]
    assert answer.status == 2
    assert cli.listing() == before
