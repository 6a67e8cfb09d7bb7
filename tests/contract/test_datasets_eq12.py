"""The real dataset EQ-12: its figures, from the container and from the JSONL, under the Llama 3 tokenizer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from brightrun.datasets.audit import AuditReport, ReadOptions, audit_dataset
from brightrun.datasets.checks.content import content_checks
from brightrun.datasets.prepare import prepare_dataset
from brightrun.errors import DatasetError
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.llama3 import llama3_chat_model


@cache
def llama3() -> ChatModel:
    return llama3_chat_model()


@pytest.fixture(params=["json", "jsonl"])
def source(request: pytest.FixtureRequest, eq12_json: Path, eq12_jsonl: Path) -> Path:
    return eq12_json if request.param == "json" else eq12_jsonl


@pytest.fixture
def report(source: Path) -> AuditReport:
    return audit_dataset(source, chat=llama3())


def test_counts(report: AuditReport) -> None:
    assert (report.conversations, report.turns, report.answers, report.trainable) == (12, 89, 44, 44)
    assert (report.repaired, report.excluded, report.dropped, report.overlength) == (0, 0, 0, 0)
    assert not report.refused


def test_tokens(report: AuditReport) -> None:
    assert report.tokens == 24_087
    assert report.tokens_separate == 57_859
    assert report.trained_tokens == 16_117
    assert report.longest_tokens == 2_642


def test_format_is_told(source: Path, report: AuditReport) -> None:
    assert report.format == ("brightrun-lora-v4" if source.suffix == ".json" else "brightrun-lora-v4-jsonl")
    assert report.personas == {"anxious_planner": 4, "overwhelmed_avoider": 4, "pragmatic_optimist": 4}
    assert report.arcs == {"confusion_to_clarity": 9, "crisis_to_referral": 3}


def test_findings(report: AuditReport) -> None:
    found = {item.check: item for item in report.findings}
    assert {item.check for item in report.findings if item.severity == "warning"} == {"unprompted_name"}
    assert "Marcus" in found["unprompted_name"].explanation
    assert found["unanswered_end"].count == 1
    assert found["emotional_context"].count == 44
    assert report.crisis_answers.before == report.crisis_answers.after == 9


def test_no_text_is_spoiled(report: AuditReport) -> None:
    """Its consultants quote what clients may write, with places to fill in, and name toll-free helplines."""
    built = {type(check).__module__.rpartition(".")[2] for check in content_checks(llama3())}
    assert len(built) > 10
    assert not built & {item.check for item in report.findings}


def test_every_answer_uses_a_prompted_name_once_the_profile_is_given(source: Path) -> None:
    options = ReadOptions(client_profile="system_prompt")
    profiled = audit_dataset(source, chat=llama3(), options=options)
    assert "unprompted_name" not in {item.check for item in profiled.findings}
    assert profiled.trained_tokens == 16_117


def test_at_2048_tokens_seven_conversations_are_named(source: Path, tmp_path: Path) -> None:
    options = ReadOptions(max_seq_length=2048)
    with pytest.raises(DatasetError) as caught:
        prepare_dataset(source, tmp_path / "out", chat=llama3(), options=options, validation_fraction=0.1, seed=42)
    assert caught.value.message.count("the limit is 2048") == 7
    assert "max_seq_length to 2642" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
    assert audit_dataset(source, chat=llama3(), options=ReadOptions(max_seq_length=4096)).overlength == 0


def test_both_files_prepare_the_same_bytes(eq12_json: Path, eq12_jsonl: Path, tmp_path: Path) -> None:
    prepared = [
        prepare_dataset(
            path, tmp_path / path.suffix, chat=llama3(), options=ReadOptions(), validation_fraction=0.2, seed=42
        )
        for path in (eq12_json, eq12_jsonl)
    ]
    assert prepared[0].train_sha256 == prepared[1].train_sha256
    assert prepared[0].validation_sha256 == prepared[1].validation_sha256
    assert prepared[0].split_sha256 == prepared[1].split_sha256
