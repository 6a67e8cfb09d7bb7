"""What the environment says: folders, addresses, secrets; typed, read once. Knows no other room."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from brightrun.errors import InputError

PREFIX = "BRIGHTRUN_"
ENV_FILE = ".env"
SECRET_LENGTH = 16
Provider = Literal["local_process", "static_worker"]
_USER = re.compile(r"//[^/@]*@")  # name and password inside an address


def default_home() -> Path:
    """`$XDG_DATA_HOME/brightrun`, else `~/.local/share/brightrun` (XDG base directories)."""
    data_home = os.environ.get("XDG_DATA_HOME", "")
    base = Path(data_home) if Path(data_home).is_absolute() else Path.home() / ".local" / "share"
    return base / "brightrun"


class Settings(BaseSettings):
    """The settings of this installation; each can be set in the environment or in a file named .env."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: Path = Field(default_factory=default_home, description="Folder for everything that is kept between runs.")
    models: Path = Field(Path(), description="Folder of the pulled base models; by default `models` in home.")
    hf_token: SecretStr | None = Field(
        None, validation_alias="HF_TOKEN", description="Token for gated models on the Hugging Face hub."
    )
    hf_endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices(f"{PREFIX}HF_ENDPOINT", "HF_ENDPOINT"),
        description="Address of the hub or of a mirror, without a slash at its end.",
    )
    storage: Path = Field(
        Path(), description="Folder of uploaded datasets and finished adapters; by default `storage` in home."
    )
    database_url: SecretStr | None = Field(
        None,
        description="The studio's database, sqlite:///file or postgresql://…; by default `studio.db` in home.",
    )
    compute: Provider = Field(
        "local_process", description="Where jobs run that do not say: local_process or static_worker."
    )
    runpod_endpoint_url: str | None = Field(
        None,
        validation_alias="RUNPOD_ENDPOINT_URL",
        description="Address of a worker server that runs already; sets up the provider static_worker.",
    )
    worker_token: SecretStr | None = Field(
        None, validation_alias="TRAINING_WORKER_TOKEN", description="Bearer token of that worker server."
    )
    worker_usd_per_hour: Decimal | None = Field(
        None, gt=0, lt=1_000_000, description="What an hour of that worker server costs; by default not known."
    )
    webhook_secret: SecretStr | None = Field(
        None,
        validation_alias="TRAINING_WEBHOOK_SECRET",
        min_length=SECRET_LENGTH,
        description="What every job's own secrets are derived from; by default made once and kept in `secret` in home.",
    )
    monthly_budget_usd: Decimal | None = Field(
        None,
        ge=0,
        lt=100_000_000,
        description="Dollars per calendar month (UTC) for owners who set no budget of their own.",
    )
    local_usd_per_hour: Decimal | None = Field(
        None, gt=0, lt=1_000_000, description="What an hour of this machine costs its owner; by default not known."
    )
    host: str = Field("127.0.0.1", description="Address that `brightrun serve` listens at.")
    port: int = Field(8700, ge=0, le=65535, description="Port that `brightrun serve` listens at; 0 takes a free one.")
    public_url: str | None = Field(
        None, description="Where others reach the studio, for example behind a proxy; everybody signs in then."
    )
    url: str = Field("", description="Studio that `brightrun job` speaks to; by default the one on this machine.")
    token: SecretStr | None = Field(
        None, description="API token for that studio, where it asks for one: brightrun token create."
    )

    cpu_benchmark_seconds: float = Field(
        10.0, gt=0, le=120, description="How long this processor is timed for a plan; the result is kept for a day."
    )

    @field_validator("home", "models", "storage")
    @classmethod
    def _without_tilde(cls, path: Path) -> Path:
        return path.expanduser()

    @field_validator("hf_endpoint", "runpod_endpoint_url", "public_url", "url")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        if address and not address.startswith(("http://", "https://")):
            raise ValueError("it must start with https:// or http://")
        return None if address is None else address.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _folders_below_home(cls, values: dict[str, object]) -> dict[str, object]:
        home = values.get("home")
        root = Path(str(home)) if home else default_home()
        for name in ("models", "storage"):
            if not values.get(name):
                values[name] = root / name
        return values

    @model_validator(mode="before")
    @classmethod
    def _studio_on_this_machine(cls, values: dict[str, object]) -> dict[str, object]:
        if not values.get("url"):
            values["url"] = f"http://127.0.0.1:{values.get('port') or cls.model_fields['port'].default}"
        return values


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as people see it. `value` is absent where nothing is set, and where it is a secret."""

    key: str
    meaning: str
    is_set: bool
    is_secret: bool
    value: str | None


def setting_rows(settings: Settings) -> list[SettingRow]:
    """Every setting with what it is now, in the order of the model."""
    given = {key.upper() for key, value, _ in _given() if value}
    rows = []
    for name, field in Settings.model_fields.items():
        keys = _keys(name)
        is_secret = SecretStr in (field.annotation, *get_args(field.annotation))
        value = getattr(settings, name)
        shown = None if value is None or is_secret else _USER.sub("//", str(value))
        is_set = value is not None if is_secret else not given.isdisjoint(keys)
        rows.append(SettingRow(keys[0], field.description or "", is_set, is_secret, shown))
    return rows


def read_settings() -> Settings:
    """The settings as environment and .env give them now.

    Raises:
        InputError: a BRIGHTRUN_ key is unknown, or a value cannot be used; values are never shown.
    """
    _refuse_unknown_keys()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else "settings"
        shown = key if key.isupper() else f"{PREFIX}{key.upper()}"
        raise InputError(
            f"The setting {shown} cannot be used: {first['msg']}.",
            hint=f"Change {shown} in the environment or in .env.",
        ) from None


def setting_keys() -> list[str]:
    """Every environment key that is read, sorted."""
    return sorted({key for name in Settings.model_fields for key in _keys(name)})


def _keys(name: str) -> list[str]:
    """The environment keys of a field; the first is its proper one."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [str(alias) if alias else f"{PREFIX}{name.upper()}"]


def _refuse_unknown_keys() -> None:
    known = setting_keys()
    for key, _, place in _given():
        if key.upper().startswith(PREFIX) and key.upper() not in known:
            near = get_close_matches(key.upper(), known, n=2, cutoff=0.5) or [k for k in known if k.startswith(PREFIX)]
            raise InputError(
                f"The setting {key} ({place}) is not known.",
                hint=f"Did you mean {' or '.join(near)}? Remove it otherwise.",
                details={"key": key, "place": place},
            )


def _given() -> Iterable[tuple[str, str | None, str]]:
    """Every key that is given, its value, and where."""
    yield from ((key, os.environ[key], "environment") for key in sorted(os.environ))
    yield from ((key, value, f"file {ENV_FILE}") for key, value in dotenv_values(ENV_FILE).items())
