"""`brightrun plan`: for a person and for programs, for models that were not pulled, for machines that are elsewhere."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from brightrun.cli.this_device import benchmark_in_background
from brightrun.datasets.audit import audit_dataset
from brightrun.datasets.options import ReadOptions
from brightrun.planning.specification import job_of_the_specification, memory_of_the_specification
from brightrun.planning.this_machine import own_gpu, saved_cpu_benchmark
from brightrun.settings import read_settings
from brightrun.templating.llama3 import llama3_chat_model
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


def test_a_person_reads_tokens_steps_memory_time_and_gpus(cli: CommandLine, sample_dataset: Path) -> None:
    said = cli("plan", sample_dataset, "--model", MODEL)
    assert (said.status, said.err) == (0, "")
    for words in ("tokens per epoch", "steps", "Memory", "Phases", "GPUs for this job", "h100-pcie", "in all"):
        assert words in said.out, words
    assert "cost" not in said.out.split("Phases")[0]  # this machine has no price
    assert cli.listing() == {}


def test_plan_file_is_the_same_command(cli: CommandLine, sample_dataset: Path) -> None:
    short = cli("plan", "--model", MODEL, sample_dataset, "--json").json
    long = cli("plan", "file", sample_dataset, "--model", MODEL, "--json").json
    assert short["plan"]["steps"] == long["plan"]["steps"] > 0


def test_the_plan_is_that_of_the_training(cli: CommandLine, sample_dataset: Path) -> None:
    planned = cli("plan", sample_dataset, "--model", MODEL, "--set", "num_epochs=2", "--json").json["plan"]
    trained = cli("train", sample_dataset, "--model", MODEL, "--set", "num_epochs=2", "--dry-run", "--json").json[
        "plan"
    ]
    for name in (
        "steps",
        "tokens_total",
        "trained_tokens_per_epoch",
        "largest_micro_batch_tokens",
        "memory",
        "examples",
    ):
        assert planned[name] == trained[name], name


def test_a_llama_3_is_planned_without_being_pulled(cli: CommandLine, sample_dataset: Path) -> None:
    answer = cli("plan", sample_dataset, "--model", "llama-3-70b-instruct", "--gpu", "h100-pcie", "--json").json
    plan = answer["plan"]
    audit = audit_dataset(sample_dataset, chat=llama3_chat_model(), options=ReadOptions())
    validation_share = 1 - plan["tokens_per_epoch"] / audit.tokens
    assert 0.02 < validation_share < 0.4  # 8 of 27 conversations
    assert plan["trainable_parameters"] == 207_093_760
    assert (plan["gpu"], plan["fits"]) == ("h100-pcie", True)
    assert plan["cost"]["usd_per_hour"] == 2.89
    assert plan["cost"]["price_date"] == "2026-11-09"
    assert 0 < plan["cost"]["low_usd"] < plan["cost"]["expected_usd"] < plan["cost"]["high_usd"]
    offers = answer["gpus"]
    assert [offer["fits"] for offer in offers] == sorted((offer["fits"] for offer in offers), reverse=True)


def test_a_gpu_that_is_too_small_is_refused_with_one_that_holds_it(cli: CommandLine, sample_dataset: Path) -> None:
    said = cli("plan", sample_dataset, "--model", "llama-3-70b-instruct", "--gpu", "rtx-4090")
    assert said.status == 2
    assert "refused" in said.out
    assert "What would help" in said.out
    assert "A100" in said.out.split("What would help")[1]


def test_a_cap_below_the_expected_cost_is_refused(cli: CommandLine, sample_dataset: Path) -> None:
    given = ("plan", sample_dataset, "--model", "llama-3-70b-instruct", "--gpu", "h200", "--json", "--max-cost")
    assert cli(*given, "0.01").json["refused"] is True
    assert cli(*given, "500").json["refused"] is False


@pytest.mark.parametrize(
    ("modules", "message", "hint"),
    [
        ("q_proj,kproj", "no projection of a Llama model: kproj", "k_proj"),
        ("q_proj,q_proj", "more than once", "layers"),
    ],
)
def test_layers_that_are_unknown_or_named_twice_are_refused(
    cli: CommandLine, sample_dataset: Path, modules: str, message: str, hint: str
) -> None:
    said = cli("plan", sample_dataset, "--model", MODEL, "--set", f"target_modules={modules}")
    assert said.status == 2
    assert message in said.error()[0]
    assert hint in said.error()[1]


def test_too_little_memory_names_a_setting_that_helps(
    cli: CommandLine, sample_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("plan", sample_dataset, "--model", MODEL, "--set", "batch_size=64", "--json")
    needed = cli(*given).json["plan"]["memory"]["total_bytes"]
    free = type("Memory", (), {"available": needed - 5_000_000})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    refused = cli(*given)
    assert refused.status == 2
    changes = next(fix["hyperparameters"] for fix in refused.json["plan"]["fixes"] if fix["hyperparameters"])
    settings = [part for name, value in changes.items() for part in ("--set", f"{name}={value}")]
    assert cli("plan", sample_dataset, "--model", MODEL, *settings, "--json").json["refused"] is False


def test_the_cpu_benchmark_is_shown_and_kept(cli: CommandLine) -> None:
    assert cli("plan", "cpu-benchmark", "--json").json["matmul_flops_per_second"] > 1e8
    assert "GFLOP/s" in cli("plan", "cpu-benchmark").out


def test_a_studio_times_its_processor_when_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "home"))
    settings = read_settings()
    if own_gpu() is None:
        benchmark_in_background(settings).join(60)
        assert saved_cpu_benchmark(settings.home, settings.cpu_benchmark_seconds) is not None
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "file"))
    benchmark_in_background(read_settings()).join(60)  # a home that is no folder ends in nothing


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("absent.json",), "no file absent.json"),
        (("absent.json", "--gpu", "h100"), "no file absent.json"),
        (("FILE", "--gpu", "h900"), "No GPU is called 'h900'"),
        (("FILE", "--model", "smollm2-135m-instruct"), "tokenizer of smollm2-135m-instruct is not on this machine"),
        (("FILE", "--model", "gpt-9"), "No base model is called 'gpt-9'"),
        (("FILE", "--model", MODEL, "--recipe", "bold"), "No recipe is called 'bold'"),
    ],
)
def test_what_cannot_be_planned_says_why(
    words: tuple[str, ...], said: str, cli: CommandLine, sample_dataset: Path
) -> None:
    answer = cli("plan", *(str(sample_dataset) if word == "FILE" else word for word in words))
    assert answer.status == 2
    assert said in answer.error()[0]
    assert answer.error()[1]


def test_our_figures_stand_beside_the_specifications(cli: CommandLine) -> None:
    out = cli("plan", "specification").out
    for words in ("39.52", "207,093,760", "35 (INT4)", "81", "$80 to", "10 to 15 h"):
        assert words in out, words


def test_the_figures_of_the_specifications_job_are_pinned() -> None:
    """The base and the adapter exactly, the total within its band of the training notes' 62 GB."""
    memory = memory_of_the_specification()
    assert memory.bytes_of("projections", "embeddings", "norms") / 1e9 == pytest.approx(39.52, abs=0.005)
    assert memory.low_bytes < 62e9 < memory.high_bytes
    plan = job_of_the_specification("h100-pcie")
    assert plan.trainable_parameters == 207_093_760
    assert plan.tokens_per_epoch == 218 * 1886
    assert plan.cost is not None
    assert plan.cost.high_usd < 25  # the cheapest of the specification's dollars
    assert plan.duration.high_seconds < 10 * 3600


def test_the_audit_and_the_plan_say_it(cli: CommandLine, sample_dataset: Path) -> None:
    rests = "The verdict will rest on 8 conversations"
    assert rests in " ".join(cli("dataset", "audit", sample_dataset).out.split())
    planned = cli("plan", sample_dataset, "--model", "llama-3-8b-instruct", "--gpu", "h100-pcie", "--json").json
    assert planned["verdict"]["conversations"] == 8
    assert planned["verdict"]["sentence"].startswith(rests)
