"""A recipe and a person's own choices become the settings of a run. Of the data it knows one length."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from brightrun.catalogue.recipes import find_recipe
from brightrun.contract.hyperparameters import LLAMA_PROJECTIONS, Hyperparameters
from brightrun.errors import RecipeError

Override = str | int | float | bool | None
LENGTH_MULTIPLE = 64
"""A maximum chosen from the data is rounded up to this many tokens."""


_HABITS = {"lr": "learning_rate", "rank": "r", "max_length": "max_seq_length", "warmup_steps": "warmup_ratio"}


def resolve_hyperparameters(
    recipe: str, overrides: Mapping[str, Override], *, longest_tokens: int, context_length: int
) -> Hyperparameters:
    """The resolved settings of a run.

    Args:
        recipe: A recipe's name.
        overrides: Fields set by the person, as text or typed; text `none` clears an optional field, and
            `target_modules` is a list with commas.
        longest_tokens: The longest sequence of the data; it decides `max_seq_length` where that is not set.
        context_length: What the base model can hold, in tokens.

    Raises:
        RecipeError: unknown recipe or field, a value out of bounds, or more tokens than the model holds.
    """
    chosen: dict[str, Any] = dict(find_recipe(recipe).hyperparameters)
    for key, value in overrides.items():
        _require_field(key)
        chosen[key] = _parsed(key, value)
    try:
        resolved = Hyperparameters.model_validate(chosen)
    except ValidationError as error:
        raise _refusal(error, chosen) from error
    length = _resolved_length(resolved, longest_tokens, context_length)
    return resolved.model_copy(update={"max_seq_length": length})


def _require_field(key: str) -> None:
    known = list(Hyperparameters.model_fields)
    if key not in known:
        inside = [name for name in known if len(key) > 2 and key in name]
        habit = [_HABITS[key]] if key in _HABITS else []
        near = habit or inside or get_close_matches(key, known, n=3, cutoff=0.5) or known
        raise RecipeError(
            f"There is no setting '{key}'.", hint=f"Did you mean {', '.join(near)}?", details={"key": key}
        )


def _parsed(key: str, value: Override) -> object:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if key == "target_modules":
        return _modules(text)
    default = Hyperparameters.model_fields[key].default
    return None if default is None and text.lower() in {"", "none", "null", "auto"} else text


def _modules(text: str) -> list[str]:
    names = [name.strip(" '\"") for name in text.strip("[]()").split(",") if name.strip()]
    if names == ["all-linear"]:
        return list(LLAMA_PROJECTIONS)
    unknown = [name for name in names if name not in LLAMA_PROJECTIONS]
    if unknown:
        raise RecipeError(
            f"target_modules names no projection of a Llama model: {', '.join(unknown)}.",
            hint=f"Choose among {', '.join(LLAMA_PROJECTIONS)}, or all-linear.",
            details={"param": "hyperparameters.target_modules"},
        )
    return list(dict.fromkeys(names))


def _refusal(error: ValidationError, chosen: Mapping[str, object]) -> RecipeError:
    wrong = {str(each["loc"][0]) if each["loc"] else "recipe": each["msg"] for each in error.errors(include_url=False)}
    key, said = next(iter(wrong.items()))
    told = [{"param": f"hyperparameters.{name}", "message": f"Must be {allowed(name)}."} for name in wrong]
    return RecipeError(
        f"{key} = {chosen.get(key)!r} is not possible: {said[0].lower()}{said[1:]}.",
        hint=f"{key}: {allowed(key)}. {Hyperparameters.model_fields[key].description or ''}".strip(),
        details={"key": key, "value": str(chosen.get(key)), "param": f"hyperparameters.{key}", "errors": told},
    )


def allowed(key: str) -> str:
    """What a field may be, in words: its kind with bounds, or its choices."""
    schema = Hyperparameters.model_json_schema()["properties"][key]
    branches = [schema, *schema.get("anyOf", [])]
    merged = {name: value for branch in branches if branch.get("type") != "null" for name, value in branch.items()}
    if "enum" in merged:
        return "one of " + ", ".join(str(choice) for choice in merged["enum"])
    kinds = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list"}
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{word} {merged[name]}" for name, word in words.items() if name in merged]
    return " ".join([kinds.get(str(merged.get("type")), "text"), " and ".join(bounds)]).strip()


def _resolved_length(resolved: Hyperparameters, longest_tokens: int, context_length: int) -> int:
    asked = resolved.max_seq_length
    if asked is not None and asked > context_length:
        raise RecipeError(
            f"max_seq_length = {asked:,} is more than the base model holds: {context_length:,} tokens.",
            hint=f"Set max_seq_length to at most {context_length}, or leave it out.",
            details={"param": "hyperparameters.max_seq_length"},
        )
    if asked is None and longest_tokens > context_length and resolved.overlength_policy == "refuse":
        raise RecipeError(
            f"The longest sequence has {longest_tokens:,} tokens; the base model holds {context_length:,}.",
            hint="Choose a base model with a longer context, or leave long conversations out with "
            "--set overlength_policy=drop; they are listed in the ledger.",
        )
    return asked if asked is not None else min(fitting_length(longest_tokens), context_length)


def fitting_length(longest_tokens: int) -> int:
    """The maximum length that is taken where none is asked for: it holds the longest sequence."""
    return -(-max(longest_tokens, 1) // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
