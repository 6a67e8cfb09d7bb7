"""The benchmark of this processor: real numbers, kept for a day, made again when old, short or of another machine."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from brightrun.catalogue.gpus import find_gpu
from brightrun.catalogue.models import find_model
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.files import write_model
from brightrun.planning.cpu_benchmark import CpuBenchmark, run_cpu_benchmark, thread_count
from brightrun.planning.this_machine import (
    CPU_BENCHMARK_NAME,
    current_cpu_benchmark,
    own_gpu,
    rented,
    saved_cpu_benchmark,
    this_machine,
    unknown,
)

SMOL = find_model("smollm2-135m-instruct")


@pytest.fixture(scope="module")
def benchmark() -> CpuBenchmark:
    return run_cpu_benchmark(0.3)


def test_a_processor_is_measured_in_a_moment(benchmark: CpuBenchmark) -> None:
    assert 1e8 < benchmark.matmul_flops_per_second < 1e14
    assert 1e7 < benchmark.fresh_bytes_per_second < 1e13
    assert 1e7 < benchmark.streamed_bytes_per_second < 1e13
    assert benchmark.slowest <= 1 <= benchmark.fastest
    assert benchmark.threads == thread_count()
    assert 0 < benchmark.seconds < 10


def test_threads_are_those_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert thread_count() >= 1


def test_several_threads_are_measured_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert run_cpu_benchmark(0.05).threads == 2


def test_a_benchmark_is_kept_and_used_again(tmp_path: Path) -> None:
    first = current_cpu_benchmark(tmp_path / "home", 0.05)
    assert current_cpu_benchmark(tmp_path / "home", 0.05) == first
    assert current_cpu_benchmark(tmp_path / "home", 0.05, again=True) != first


@pytest.mark.parametrize(
    "changes",
    [
        {"measured_at": datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=25)},
        {"measured_at": datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)},
        {"threads": 77},
        {"processor": "another"},
        {"seconds": 0.3},
    ],
    ids=["old", "of the future", "threads", "processor", "short"],
)
def test_a_benchmark_that_does_not_hold_is_not_used(
    changes: dict[str, object], benchmark: CpuBenchmark, tmp_path: Path
) -> None:
    good = benchmark.model_copy(update={"seconds": 10.0, "measured_at": datetime.datetime.now(datetime.UTC)})
    write_model(tmp_path / CPU_BENCHMARK_NAME, good)
    assert saved_cpu_benchmark(tmp_path, 10) == good
    write_model(tmp_path / CPU_BENCHMARK_NAME, good.model_copy(update=changes))
    assert saved_cpu_benchmark(tmp_path, 10) is None


def test_a_benchmark_that_others_disturbed_is_soon_made_again(benchmark: CpuBenchmark, tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for slowest, minutes, kept in ((0.9, 11, True), (0.5, 9, True), (0.5, 11, False)):
        measured_at = now - datetime.timedelta(minutes=minutes)
        changes = {"slowest": slowest, "fastest": 1.0, "seconds": 10.0, "measured_at": measured_at}
        write_model(tmp_path / CPU_BENCHMARK_NAME, benchmark.model_copy(update=changes))
        assert (saved_cpu_benchmark(tmp_path, 10) is not None) is kept


def test_a_damaged_file_is_no_benchmark(tmp_path: Path) -> None:
    (tmp_path / CPU_BENCHMARK_NAME).write_text("{}", encoding="utf-8")
    assert saved_cpu_benchmark(tmp_path, 1) is None
    assert saved_cpu_benchmark(tmp_path / "nowhere", 1) is None


def test_this_machine_is_its_processor_or_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if own_gpu() is None:
        here = this_machine(tmp_path, cpu_benchmark_seconds=0.05)(SMOL, Hyperparameters())
        assert (here.kind, here.gpu) == ("cpu", None)
        assert here.memory_bytes is not None
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA H200\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert own_gpu() == find_gpu("h200")
    assert this_machine(tmp_path, cpu_benchmark_seconds=0.05)(SMOL, Hyperparameters()).gpu == "h200"


def test_a_rented_gpu_is_planned_for_wherever_it_is() -> None:
    guess = rented(find_gpu("l40s"))(SMOL, Hyperparameters())
    assert (guess.kind, guess.gpu, guess.memory_bytes) == ("cuda", "l40s", find_gpu("l40s").memory_bytes)


def test_a_machine_that_nobody_described_is_not_refused_for_this_ones_memory(tmp_path: Path) -> None:
    guess = unknown(this_machine(tmp_path, cpu_benchmark_seconds=0.05))(SMOL, Hyperparameters())
    assert guess.memory_bytes is None
    assert guess.high_factor == pytest.approx(10)
    assert "not known" in guess.obtained
