"""What the environment says: folders and the hub's token, typed, read once. Knows no other room."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from brightrun.errors import InputError

PREFIX = "BRIGHTRUN_"
ENV_FILE = ".env"


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

    @field_validator("home", "models")
    @classmethod
    def _without_tilde(cls, path: Path) -> Path:
        return path.expanduser()

    @field_validator("hf_endpoint")
    @classmethod
    def _is_an_address(cls, address: str | None) -> str | None:
        if address is not None and not address.startswith(("http://", "https://")):
            raise ValueError("it must start with https:// or http://")
        return None if address is None else address.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _models_below_home(cls, values: dict[str, object]) -> dict[str, object]:
        if not values.get("models"):
            home = values.get("home")
            values["models"] = (Path(str(home)) if home else default_home()) / "models"
        return values


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
    keys: set[str] = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            keys.update(str(choice) for choice in alias.choices)
        else:
            keys.add(str(alias) if alias else f"{PREFIX}{name.upper()}")
    return sorted(keys)


def _refuse_unknown_keys() -> None:
    known = setting_keys()
    for key, place in _given_keys():
        if key.upper().startswith(PREFIX) and key.upper() not in known:
            near = get_close_matches(key.upper(), known, n=2, cutoff=0.5) or [k for k in known if k.startswith(PREFIX)]
            raise InputError(
                f"The setting {key} ({place}) is not known.",
                hint=f"Did you mean {' or '.join(near)}? Remove it otherwise.",
                details={"key": key, "place": place},
            )


def _given_keys() -> Iterable[tuple[str, str]]:
    yield from ((key, "environment") for key in sorted(os.environ))
    yield from ((key, f"file {ENV_FILE}") for key in dotenv_values(ENV_FILE))
