"""Settings from the environment and .env: defaults, precedence, unknown keys, secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from brightrun.errors import InputError
from brightrun.settings import Settings, read_settings, setting_keys, setting_rows


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for key in list(os.environ):
        if key.startswith(("BRIGHTRUN_", "HF_", "XDG_", "TRAINING_", "RUNPOD_")):
            monkeypatch.delenv(key)
    monkeypatch.chdir(tmp_path)


def test_defaults_follow_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "anna"))
    assert read_settings().home == tmp_path / "anna" / ".local" / "share" / "brightrun"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = read_settings()
    assert settings.home == tmp_path / "data" / "brightrun"
    assert settings.models == tmp_path / "data" / "brightrun" / "models"
    assert settings.hf_token is None
    assert settings.hf_endpoint is None


def test_models_follow_home_unless_they_are_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "h"))
    assert read_settings().models == tmp_path / "h" / "models"
    monkeypatch.setenv("BRIGHTRUN_MODELS", str(tmp_path / "big-disk"))
    assert read_settings().models == tmp_path / "big-disk"


def test_a_tilde_is_the_home_of_the_person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BRIGHTRUN_HOME", "~/train")
    assert read_settings().home == tmp_path / "train"
    assert read_settings().models == tmp_path / "train" / "models"


def test_the_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BRIGHTRUN_HOME=/from/file\nHF_TOKEN=hf_file\nOTHER_TOOL=1\n")
    settings = read_settings()
    assert settings.home == Path("/from/file")
    assert settings.hf_token is not None
    assert settings.hf_token.get_secret_value() == "hf_file"
    monkeypatch.setenv("BRIGHTRUN_HOME", "/from/environment")
    assert read_settings().home == Path("/from/environment")


def test_an_empty_value_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "")
    assert read_settings().hf_token is None


@pytest.mark.parametrize("place", ["environment", "file"])
def test_an_unknown_key_is_refused_with_near_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    if place == "environment":
        monkeypatch.setenv("BRIGHTRUN_MODEL", "secret-value")
    else:
        (tmp_path / ".env").write_text("BRIGHTRUN_MODEL=secret-value\n")
    with pytest.raises(InputError, match="BRIGHTRUN_MODEL ") as caught:
        read_settings()
    assert "BRIGHTRUN_MODELS" in caught.value.hint
    assert "secret-value" not in str(caught.value.as_dict())
    assert place in caught.value.message


def test_a_bad_address_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIGHTRUN_HF_ENDPOINT", "user:password@mirror")
    with pytest.raises(InputError, match="https://") as caught:
        read_settings()
    assert "password" not in str(caught.value.as_dict())
    monkeypatch.setenv("BRIGHTRUN_HF_ENDPOINT", "https://mirror.example/")
    assert read_settings().hf_endpoint == "https://mirror.example"


def test_secrets_never_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    settings = read_settings()
    assert "hf_very_secret" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_every_field_has_a_description_and_a_key() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    assert {"BRIGHTRUN_HOME", "BRIGHTRUN_MODELS", "HF_TOKEN", "BRIGHTRUN_HF_ENDPOINT"} <= set(setting_keys())


def test_storage_follows_home_and_the_studio_is_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "h"))
    settings = read_settings()
    assert settings.storage == tmp_path / "h" / "storage"
    assert (settings.host, settings.port, settings.url) == ("127.0.0.1", 8700, "http://127.0.0.1:8700")
    assert settings.compute == "local_process"
    monkeypatch.setenv("BRIGHTRUN_PORT", "9001")
    assert read_settings().url == "http://127.0.0.1:9001"
    monkeypatch.setenv("BRIGHTRUN_URL", "https://studio.example/")
    monkeypatch.setenv("BRIGHTRUN_STORAGE", str(tmp_path / "s"))
    assert read_settings().url == "https://studio.example"
    assert read_settings().storage == tmp_path / "s"


_SECRETS = {
    "HF_TOKEN": "hf_very_secret_indeed",
    "BRIGHTRUN_DATABASE_URL": "postgresql://anna:database-secret@db/train",
    "TRAINING_WORKER_TOKEN": "worker-token-secret",
    "TRAINING_WEBHOOK_SECRET": "webhook-secret-0123456789",
    "BRIGHTRUN_TOKEN": "brt_token-secret",
}


def test_no_secret_shows_in_any_way_of_printing_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in _SECRETS.items():
        monkeypatch.setenv(key, value)
    settings = read_settings()
    shown = repr(settings) + str(settings) + settings.model_dump_json() + repr(setting_rows(settings))
    assert [value for value in _SECRETS.values() if value in shown] == []
    rows = {row.key: row for row in setting_rows(settings)}
    assert {key for key, row in rows.items() if row.is_secret} == set(_SECRETS)
    assert all(rows[key].is_set and rows[key].value is None for key in _SECRETS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("BRIGHTRUN_PORT", "70000"),
        ("BRIGHTRUN_COMPUTE", "moon"),
        ("BRIGHTRUN_PUBLIC_URL", "studio.example"),
        ("TRAINING_WEBHOOK_SECRET", "too-short"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_key(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(InputError, match=key) as caught:
        read_settings()
    assert value not in str(caught.value.as_dict())


def test_the_rows_say_what_is_set_and_what_is_a_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BRIGHTRUN_PORT=9001\nHF_ENDPOINT=https://anna:secret@mirror.example\n")
    monkeypatch.setenv("BRIGHTRUN_HOST", "")
    rows = {row.key: row for row in setting_rows(read_settings())}
    assert (rows["BRIGHTRUN_PORT"].is_set, rows["BRIGHTRUN_PORT"].value) == (True, "9001")
    assert (rows["BRIGHTRUN_HOST"].is_set, rows["BRIGHTRUN_HOST"].value) == (False, "127.0.0.1")
    assert (rows["BRIGHTRUN_TOKEN"].is_set, rows["BRIGHTRUN_TOKEN"].value) == (False, None)
    assert rows["BRIGHTRUN_HF_ENDPOINT"].value == "https://mirror.example"
    assert all(row.meaning for row in rows.values())
