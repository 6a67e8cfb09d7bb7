"""`brightrun dataset`: what it prints for programs, what it writes, and what it keeps on its side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brightrun.datasets.options import ReadOptions
from brightrun.datasets.preview import preview_conversation
from brightrun.templating.llama3 import llama3_chat_model
from tests.unit.command_line import CommandLine

AUDIT_KEYS = {
    "format", "conversations", "turns", "answers", "trainable", "repaired", "excluded", "tokens",
    "trained_tokens", "longest_tokens", "overlength", "findings",
}  # fmt: skip
FINDING_KEYS = {"check", "severity", "count", "examples"}
PREPARED = {"train.jsonl", "validation.jsonl", "audit.json", "split.json", "repair_log.jsonl"}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_audit_of_the_sample_dataset(cli: CommandLine, sample_dataset: Path) -> None:
    answer = cli("dataset", "audit", sample_dataset, "--json")
    report = answer.json
    assert (answer.status, answer.err) == (0, "")
    assert report.keys() >= AUDIT_KEYS
    assert report["format"] == "brightrun-lora-v4"
    body = json.loads(sample_dataset.read_text(encoding="utf-8"))["conversations"]
    pairs = [pair for conversation in body for pair in conversation["training_pairs"]]
    answers = [pair for pair in pairs if pair["target_response"]]
    assert (report["conversations"], report["turns"], report["answers"]) == (len(body), len(pairs), len(answers))
    assert 0 < report["trained_tokens"] < report["tokens"]
    assert report["findings"]
    assert all(finding.keys() >= FINDING_KEYS for finding in report["findings"])
    assert cli.listing() == {}


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_audit_of_eq12(kind: str, cli: CommandLine, eq12_json: Path, eq12_jsonl: Path) -> None:
    report = cli("dataset", "audit", eq12_json if kind == "json" else eq12_jsonl, "--json").json
    assert report.keys() >= AUDIT_KEYS
    counts = ("conversations", "turns", "answers", "trainable", "tokens", "tokens_separate", "trained_tokens")
    assert [report[name] for name in counts] == [12, 89, 44, 44, 24_087, 57_859, 16_117]
    assert report["longest_tokens"] == 2_642


def test_audit_for_a_person_shows_the_same_figures(cli: CommandLine, sample_dataset: Path) -> None:
    report = cli("dataset", "audit", sample_dataset, "--json").json
    shown = cli("dataset", "audit", sample_dataset).out
    for name in ("conversations", "turns", "answers", "tokens", "trained_tokens", "longest_tokens"):
        assert f"{report[name]:,}" in shown
    assert "Ready to train. Of " in shown.splitlines()[-2]


def test_preview_pieces_are_the_whole_conversation(cli: CommandLine, sample_dataset: Path) -> None:
    shown = cli("dataset", "preview", sample_dataset, "--conversation", "3", "--json").json
    chat = llama3_chat_model()
    messages = preview_conversation(sample_dataset, "3", chat=chat, options=ReadOptions()).messages()
    assert "".join(piece["text"] for piece in shown["pieces"]) == chat.render(messages)
    trained = [piece["text"] for piece in shown["pieces"] if piece["trained"]]
    assert trained == [f"{message.content}<|eot_id|>" for message in messages if message.trained]
    assert len(trained) == shown["answers"]
    assert sum(len(chat._tokenizer.ids(text)) for text in trained) == shown["trained_tokens"]


def test_preview_finds_a_conversation_by_the_beginning_of_its_id(cli: CommandLine, sample_dataset: Path) -> None:
    third = cli("dataset", "preview", sample_dataset, "--conversation", "3", "--json").json
    again = cli("dataset", "preview", sample_dataset, "--conversation", third["conversation"][:9], "--json").json
    assert again == third
    assert cli("dataset", "preview", sample_dataset, "--conversation", "28").status == 2


def test_preview_for_a_person_holds_every_answer(cli: CommandLine, sample_dataset: Path) -> None:
    pieces = cli("dataset", "preview", sample_dataset, "--json").json["pieces"]
    shown = " ".join(cli("dataset", "preview", sample_dataset).out.split())
    assert all(" ".join(piece["text"].split()) in shown for piece in pieces if piece["trained"])


def test_prepare_writes_five_files_and_never_over_them(cli: CommandLine, sample_dataset: Path) -> None:
    prepared = cli("dataset", "prepare", sample_dataset, "--out", "prepared", "--json").json
    folder = cli.folder / "prepared"
    assert {path.name for path in folder.iterdir()} == PREPARED
    train, validation = _lines(folder / "train.jsonl"), _lines(folder / "validation.jsonl")
    assert [row["id"] for row in train] != []
    assert sorted(row["id"] for row in train) == prepared["split"]["train"]
    assert sorted(row["id"] for row in validation) == prepared["split"]["validation"]
    assert json.loads((folder / "split.json").read_text()) == prepared["split"]
    assert json.loads((folder / "audit.json").read_text()) == prepared["audit"]
    before = cli.listing()
    again = cli("dataset", "prepare", sample_dataset, "--out", "prepared", "--seed", "1")
    assert again.error()[0] == "prepared exists already."
    assert again.status == 2
    assert cli.listing() == before


def test_split_shows_what_prepare_would_write(cli: CommandLine, sample_dataset: Path) -> None:
    options = ("--validation-fraction", "0.25", "--seed", "5")
    shown = cli("dataset", "split", sample_dataset, *options, "--out", "split.json", "--json").json
    prepared = cli("dataset", "prepare", sample_dataset, *options, "--out", "prepared", "--json").json
    assert shown == prepared["split"] == json.loads((cli.folder / "split.json").read_text())
    assert {path.name for path in cli.folder.iterdir()} == {"split.json", "prepared"}


def test_split_with_a_previous_one_keeps_the_old_sides(cli: CommandLine, sample_dataset: Path) -> None:
    whole = json.loads(sample_dataset.read_text(encoding="utf-8"))
    first = {**whole, "conversations": whole["conversations"][:15]}
    (cli.folder / "first.json").write_text(json.dumps(first), encoding="utf-8")
    options = ("--validation-fraction", "0.3")
    old = cli("dataset", "split", "first.json", *options, "--seed", "1", "--out", "old.json", "--json").json
    anew = cli("dataset", "split", sample_dataset, *options, "--seed", "2", "--json").json
    assert not set(old["validation"]) <= set(anew["validation"]), "this seed tells nothing: choose another"

    kept = cli("dataset", "split", sample_dataset, *options, "--seed", "2", "--previous", "old.json", "--json").json

    assert set(old["validation"]) <= set(kept["validation"])
    assert set(old["train"]) <= set(kept["train"])
    assert len(kept["train"]) + len(kept["validation"]) == 27


def test_a_profile_in_the_system_prompt_is_trained_on_nowhere(cli: CommandLine, sample_dataset: Path) -> None:
    plain = cli("dataset", "preview", sample_dataset, "--json").json
    told = cli("dataset", "preview", sample_dataset, "--client-profile", "system_prompt", "--json").json
    assert told["tokens"] > plain["tokens"]
    assert told["trained_tokens"] == plain["trained_tokens"]
