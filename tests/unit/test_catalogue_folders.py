"""A pulled model's folder: its record, what verification finds, and what planning reads from it."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path

import pytest

from brightrun.catalogue.folders import (
    ModelRecord,
    find_pulled,
    list_pulled,
    read_model_record,
    verify_model_folder,
    write_model_record,
)
from brightrun.catalogue.hashes import record_files
from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.catalogue.models import find_model
from brightrun.errors import ModelError

CONFIG = {
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "tiny"
    (folder / ".cache").mkdir(parents=True)
    (folder / ".cache" / "noise").write_bytes(b"not part of the model")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "model.safetensors").write_bytes(b"weights" * 100)
    record = ModelRecord(
        name="tiny",
        hub_id="Someone/Tiny",
        revision="a" * 40,
        source="hub",
        license="MIT",
        pulled_at=datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC),
        files=record_files(folder),
    )
    write_model_record(folder, record)
    return folder


def test_a_record_comes_back_as_it_was_written(pulled: Path) -> None:
    record = read_model_record(pulled)
    assert [file.name for file in record.files] == ["config.json", "model.safetensors"]
    assert record.files[1].sha256 == hashlib.sha256(b"weights" * 100).hexdigest()
    assert record.total_bytes == 700 + len(json.dumps(CONFIG))
    assert sorted(path.name for path in pulled.iterdir() if not path.name.startswith(".")) == [
        "brightrun-model.json",
        "config.json",
        "model.safetensors",
    ]


def test_a_whole_folder_is_verified_and_its_hashing_is_told(pulled: Path) -> None:
    told: list[tuple[int, int, str]] = []
    record = verify_model_folder(pulled, hashes=True, progress=lambda *what: told.append(what))
    assert told[-1] == (record.total_bytes, record.total_bytes, "checking model.safetensors")


def test_a_missing_file_and_a_wrong_size_are_always_found(pulled: Path) -> None:
    (pulled / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"model.safetensors has 7 bytes, expected 700"):
        verify_model_folder(pulled)
    (pulled / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model.safetensors is missing"):
        verify_model_folder(pulled)


def test_a_wrong_hash_is_found_on_request_and_names_file_and_both_hashes(pulled: Path) -> None:
    (pulled / "model.safetensors").write_bytes(b"WEIGHTS" * 100)
    verify_model_folder(pulled)
    with pytest.raises(ModelError) as caught:
        verify_model_folder(pulled, hashes=True)
    message = caught.value.message
    assert "model.safetensors" in message
    assert hashlib.sha256(b"WEIGHTS" * 100).hexdigest() in message
    assert hashlib.sha256(b"weights" * 100).hexdigest() in message
    assert "model pull --again tiny" in caught.value.hint


def test_a_folder_without_or_with_a_broken_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a pulled model"):
        read_model_record(tmp_path)
    (tmp_path / "brightrun-model.json").write_text('{"name": "half')
    with pytest.raises(ModelError, match="cannot be read"):
        read_model_record(tmp_path)


def test_pulled_models_are_found_by_name_and_hub_id(pulled: Path) -> None:
    home = pulled.parent
    (home / ".pulling-tiny-x").mkdir()
    (home / "broken").mkdir()
    (home / "broken" / "brightrun-model.json").write_text("{}")
    assert [folder for folder, _ in list_pulled(home)] == [pulled]
    assert find_pulled("tiny", home) == pulled
    assert find_pulled("someone/tiny", home) == pulled
    assert find_pulled("other", home) is None
    assert find_pulled("tiny", home / "absent") is None


def test_shapes_of_an_unknown_model_come_from_its_config(pulled: Path) -> None:
    entry = entry_of_folder(pulled)
    assert (entry.name, entry.source, entry.head_dim, entry.context_length) == ("tiny", "folder", 16, 512)
    attention, inner = 64 * 64 * 2 + 64 * 32 * 2, 3 * 64 * 128
    assert entry.parameters == 300 * 64 + 2 * (attention + inner) + 5 * 64


def test_a_known_name_brings_the_catalogues_entry(pulled: Path) -> None:
    record = read_model_record(pulled).model_copy(update={"name": "llama-3-8b-instruct"})
    write_model_record(pulled, record)
    assert entry_of_folder(pulled) is find_model("llama-3-8b-instruct")


@pytest.mark.parametrize("text", ["[]", "{}", "not json", '{"num_hidden_layers": "many"}'])
def test_a_config_of_another_kind_is_refused(pulled: Path, text: str) -> None:
    (pulled / "config.json").write_text(text)
    with pytest.raises(ModelError, match="does not describe a model of the Llama kind"):
        entry_of_folder(pulled)
