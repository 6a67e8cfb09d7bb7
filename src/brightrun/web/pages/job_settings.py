"""A job's settings as a table and as a form: every field of Hyperparameters with its meaning and its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import annotated_types
from pydantic.fields import FieldInfo

from brightrun.catalogue.recipes import load_recipes
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.format import spoken_value

FIRST_FIELDS = ("num_epochs", "learning_rate", "r", "lora_alpha", "lora_dropout", "batch_size")


@dataclass(frozen=True, slots=True)
class HyperparameterRow:
    """`by_recipe` is what the recipe alone would say where that is something else."""

    name: str
    value: str
    meaning: str
    by_recipe: str | None


@dataclass(frozen=True, slots=True)
class SettingField:
    """A setting in a form. `choices` for a select; `low` and `high` bound a number, whole ones have step 1."""

    name: str
    kind: Literal["number", "choice", "text"]
    value: str
    meaning: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    step: str = "any"


def setting_rows(settings: Mapping[str, Any], recipe: str) -> list[HyperparameterRow]:
    """The settings of a job, in the order of the contract; those it does not know of are left out."""
    found = load_recipes().get(recipe)
    usual = None if found is None else Hyperparameters.model_validate(found.hyperparameters)
    rows = []
    for name, field in Hyperparameters.model_fields.items():
        if name not in settings:
            continue
        value = spoken_value(settings[name])
        chosen_by_data = name == "max_seq_length" and getattr(usual, name, None) is None
        expected = None if usual is None or chosen_by_data else spoken_value(getattr(usual, name))
        rows.append(HyperparameterRow(name, value, field.description or "", expected if expected != value else None))
    return rows


def setting_fields(settings: Mapping[str, Any]) -> list[SettingField]:
    """The fields of a form that changes settings, the most usual ones first."""
    names = [*FIRST_FIELDS, *(name for name in Hyperparameters.model_fields if name not in FIRST_FIELDS)]
    return [_field(name, Hyperparameters.model_fields[name], settings.get(name)) for name in names]


def _field(name: str, field: FieldInfo, value: Any) -> SettingField:
    meaning = field.description or ""
    kinds = _kinds(field.annotation)
    choices = _choices(field.annotation)
    if bool in kinds:
        return SettingField(name, "choice", str(bool(value)).lower(), meaning, ("true", "false"))
    if choices:
        return SettingField(name, "choice", str(value), meaning, choices)
    if kinds & {int, float}:
        low = _bound(field.metadata, ("ge", "gt"))
        high = _bound(field.metadata, ("le", "lt"))
        step = "any" if float in kinds else "1"
        return SettingField(name, "number", _plain(value), meaning, (), low, high, step)
    return SettingField(name, "text", ",".join(value or ()), meaning)


def _kinds(annotation: Any) -> set[Any]:
    return set(get_args(annotation) or (annotation,))


def _choices(annotation: Any) -> tuple[str, ...]:
    arguments = get_args(annotation)
    return tuple(arguments) if arguments and all(isinstance(one, str) for one in arguments) else ()


def _bound(metadata: Sequence[Any], names: tuple[str, str]) -> float | None:
    """The bound of a number field, itself allowed or not: a browser's form knows no difference."""
    for constraint in metadata:
        if isinstance(constraint, annotated_types.Ge | annotated_types.Gt | annotated_types.Le | annotated_types.Lt):
            for name in names:
                if (found := getattr(constraint, name, None)) is not None:
                    return float(found)
    return None


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
