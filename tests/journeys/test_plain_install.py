"""A plain install, without the training stack, imports every room but the worker, audits and plans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a fresh environment with the package built and installed as a user would."""
    folder = tmp_path_factory.mktemp("plain")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(REPOSITORY / "constraints.txt")]
    subprocess.run([*install, str(REPOSITORY)], check=True, capture_output=True, text=True)
    return python


def _run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BRIGHTRUN_HOME": str(cwd / "home")}
    return subprocess.run(
        [str(python), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_no_torch_is_installed_and_every_other_room_imports(plain: Path, tmp_path: Path) -> None:
    script = """
import importlib, importlib.util, pkgutil, sys, brightrun
for name in ("torch", "transformers", "trl", "peft"):
    assert importlib.util.find_spec(name) is None, name
found = [module.name for module in pkgutil.walk_packages(brightrun.__path__, "brightrun.")]
# The migrations' own environment runs inside alembic only.
names = [name for name in found if not name.startswith(("brightrun.worker", "brightrun.database.migrations"))]
for name in names:
    importlib.import_module(name)
assert "torch" not in sys.modules
print(len(names))
"""
    done = _run(plain, "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 80


def test_the_packaged_sample_is_audited_with_the_llama_3_tokenizer(plain: Path, tmp_path: Path) -> None:
    where = "from brightrun.datasets.sample_dataset import sample_dataset_path as p; print(p())"
    sample = _run(plain, "-c", where, cwd=tmp_path).stdout.strip()
    assert str(REPOSITORY) not in sample

    done = _run(plain, "-m", "brightrun.cli", "dataset", "audit", sample, "--json", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["conversations"], report["turns"], report["answers"]) == (27, 171, 83)
    assert report["tokenizer"] == "Llama 3"


def test_training_says_what_is_missing(plain: Path, tmp_path: Path) -> None:
    done = _run(plain, "-m", "brightrun.cli", "quickstart", cwd=tmp_path)

    assert done.returncode == 1
    assert "training stack" in done.stderr
    assert "pip install" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_this_environment_is_another(plain: Path) -> None:
    assert Path(sys.prefix) not in plain.parents
