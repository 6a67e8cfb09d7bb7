"""What works where: Windows is simulated in a process of its own, what macOS lacks is taken away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from brightrun import platforms
from brightrun.compute.tagged_processes import TAG, _carrying
from brightrun.errors import PlatformUnsupported
from brightrun.planning import cpu_benchmark

WITHOUT_POSIX = """
import os, shutil, signal, sys
import psutil, httpx  # third parties that look at sys.platform while they are imported

ABSENT = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
for name in ABSENT:
    sys.modules.pop(name, None)
for name in ("fork", "setsid", "killpg", "getuid", "geteuid", "fchmod", "sync", "sched_getaffinity", "O_DIRECTORY"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGSTOP"):
    delattr(signal, name)
import brightrun.cli.main as command
sys.platform = sys.argv.pop(1)
real_open = os.open
def open_file(path, *rest, **options):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))  # as Windows says of a folder
    return real_open(path, *rest, **options)
os.open = open_file
shutil._use_fd_functions = False
command.main()
"""
SOME_LETTERS = "Grüße aus 北京 👋"


def on_windows(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as Windows runs it: no POSIX modules, no folder opens, a pipe in code page 1252."""
    environment = {
        **os.environ, "BRIGHTRUN_HOME": str(folder / "home"), "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX, "win32", *words],
        cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three conversations with letters that code page 1252 lacks."""
    path = tmp_path / "chat.jsonl"
    lines = [
        {
            "messages": [
                {"role": "user", "content": f"{SOME_LETTERS} number {number}: what shall I do about the garden?"},
                {"role": "assistant", "content": f"{SOME_LETTERS} You could plant {number} more roses this spring."},
            ]
        }
        for number in range(3)
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_the_simulation_takes_away_what_windows_lacks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX.replace("command.main()", "import fcntl"), "win32"],
        cwd=tmp_path, capture_output=True, encoding="utf-8", check=False, timeout=60,
    )  # fmt: skip
    assert "No module named 'fcntl'" in done.stderr


@pytest.mark.parametrize("words", [("audit",), ("preview",), ("split",), ("prepare", "--out", "prepared")])
def test_dataset_commands_work_on_windows(dataset: Path, words: tuple[str, ...]) -> None:
    done = on_windows(dataset.parent, "dataset", words[0], str(dataset), *words[1:], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    if words[0] == "preview":
        assert SOME_LETTERS in done.stdout
    if words[0] == "prepare":
        assert (dataset.parent / "prepared" / "split.json").is_file()


def test_doctor_says_on_windows_what_works_there(tmp_path: Path) -> None:
    done = on_windows(tmp_path, "doctor", "--json")
    assert done.returncode == 0, done.stderr
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["platform"]["outcome"] == "warn"
    assert "Windows" in checks["platform"]["message"]
    assert "WSL 2" in checks["platform"]["fix"]
    assert "training stack" not in checks
    assert {"python", "packages", "disk", "memory", "studio"} <= set(checks)


@pytest.mark.parametrize(
    "words",
    [
        ("train", "chat.jsonl"), ("quickstart",), ("plan", "chat.jsonl"), ("serve", "--port", "0"), ("chat", "run"),
        ("model", "pull", "smollm2-135m-instruct"),
    ],
)  # fmt: skip
def test_what_trains_or_serves_says_in_one_sentence_that_windows_cannot(dataset: Path, words: tuple[str, ...]) -> None:
    done = on_windows(dataset.parent, *words, *([] if words[0] == "serve" else ["--json"]))
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert len(said) == 2, done.stderr
    assert said[0].endswith("is not supported on Windows.")
    assert "Linux, macOS or WSL 2" in said[1]
    if words[0] != "serve":
        assert json.loads(done.stdout)["error"]["code"] == "platform_unsupported"


def test_a_plan_for_a_gpu_elsewhere_is_arithmetic_and_works_on_windows(dataset: Path) -> None:
    words = ("--model", "llama-3-8b-instruct", "--gpu", "h100-pcie", "--set", "num_epochs=1", "--json")
    done = on_windows(dataset.parent, "plan", str(dataset), *words)
    assert done.returncode in {0, 2}, done.stderr  # three conversations may be too few; that is said in the plan
    assert "plan" in json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "works"), [("linux", True), ("darwin", True), ("freebsd14", True), ("win32", False)]
)  # fmt: skip
def test_training_works_on_every_system_but_windows(monkeypatch: pytest.MonkeyPatch, name: str, *, works: bool) -> None:
    monkeypatch.setattr(sys, "platform", name)
    assert platforms.supports(platforms.Ability.DATASETS)
    for ability in (platforms.Ability.TRAINING, platforms.Ability.STUDIO):
        assert platforms.supports(ability) is works
        if works:
            platforms.require(ability)
        else:
            with pytest.raises(PlatformUnsupported, match="not supported on Windows"):
                platforms.require(ability)


def test_a_worker_refuses_to_start_on_windows(tmp_path: Path) -> None:
    program = (
        "import psutil, sys, brightrun.worker.__main__ as worker; sys.platform = 'win32'; "
        f"sys.exit(worker.main(['run', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Training is not supported on Windows.\nhint: ")


# What macOS lacks


def test_a_processor_has_a_name_where_there_is_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_benchmark, "_CPUINFO", tmp_path / "absent")
    fake = tmp_path / "sysctl"
    fake.write_text('#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && echo "Apple M4"\n', encoding="ascii")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cpu_benchmark.processor_name() == "Apple M4"
    fake.unlink()
    assert cpu_benchmark.processor_name() not in {"", "Apple M4"}


class Silent(psutil.Process):
    """A program whose environment the system never shows, as macOS does with its own."""

    asked = 0

    def environ(self) -> dict[str, str]:
        type(self).asked += 1
        return {}


class Marked(psutil.Process):
    def environ(self) -> dict[str, str]:
        return {TAG: "train-job-1-1"}


def test_hundreds_of_programs_without_an_environment_cost_one_wait_and_not_hundreds() -> None:
    import time

    began = time.monotonic()
    found = list(_carrying([*(Silent() for _ in range(300)), Marked()], "train-job-1-1"))
    assert [type(process) for process in found] == [Marked]
    assert Silent.asked == 300 * 21
    assert time.monotonic() - began < 3  # each by itself: 300 times 20 ms and more


@pytest.mark.worker
@pytest.mark.parametrize(("name", "unit"), [("linux", 1024), ("darwin", 1)])
def test_a_peak_is_told_where_there_is_no_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, unit: int
) -> None:
    torch = pytest.importorskip("torch")
    import resource

    from brightrun.worker import memory

    monkeypatch.setattr(memory, "_SELF", tmp_path)
    monkeypatch.setattr(sys, "platform", name)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert memory.peak_memory_bytes(torch.device("cpu")) == pytest.approx(peak * unit, rel=0.05)


def test_a_worker_on_a_system_without_control_groups_knows_no_count_of_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brightrun.worker import supervise

    monkeypatch.setattr(supervise, "_OOM_COUNTER", tmp_path / "absent")
    assert supervise._oom_kills() is None
