"""The options that say how a file is read, the same for every command that reads one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any, get_args, get_type_hints

import typer

from brightrun.datasets.options import ColumnMeaning, ReadingChoices, columns_of_pairs


class LeaveOutChoice(StrEnum):
    """What happens to what cannot be read or trained on."""

    refuse = "refuse"
    leave_out = "leave-out"


class ReasoningChoice(StrEnum):
    """What happens to reasoning before answers."""

    learn = "learn"
    leave_out = "leave-out"


class PreferenceChoice(StrEnum):
    """What happens to records with a preferred and a rejected answer."""

    refuse = "refuse"
    train_on_preferred = "train-on-preferred"


def _options(
    repair_json: Annotated[
        bool, typer.Option("--repair-json", help="Remove stray backslashes that make the file invalid JSON.")
    ] = False,
    unreadable: Annotated[
        LeaveOutChoice, typer.Option(help="Refuse a file with unreadable records, or leave those out and log them.")
    ] = LeaveOutChoice.refuse,
    merge_turns: Annotated[
        bool, typer.Option("--merge-turns", help="Join turns of one side that follow one another, each logged.")
    ] = False,
    strip_markers: Annotated[
        bool, typer.Option("--strip-markers", help="Take control strings and reasoning off the ends of texts, logged.")
    ] = False,
    preference: Annotated[
        PreferenceChoice, typer.Option(help="Refuse preference records, or train on the preferred answers.")
    ] = PreferenceChoice.refuse,
    reasoning: Annotated[
        ReasoningChoice, typer.Option(help="Learn the reasoning before answers, or leave it out.")
    ] = ReasoningChoice.learn,
    part: Annotated[
        str | None, typer.Option(help="Which list, sheet or archive member, where the file has several.")
    ] = None,
    choose: Annotated[
        list[str] | None,
        typer.Option(metavar="WHICH", help="Only these conversations: ids, numbers, ranges, words of titles."),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="COLUMN=MEANING", help=f"What a column means: {', '.join(get_args(ColumnMeaning))}."
        ),
    ] = None,
) -> ReadingChoices:
    """The options as one value. Raises DatasetError where a column's meaning is unknown."""
    return ReadingChoices.model_validate(
        {
            "repair_json": repair_json,
            "unreadable": unreadable.value.replace("-", "_"),
            "merge_turns": merge_turns,
            "strip_markers": strip_markers,
            "preference": preference.value.replace("-", "_"),
            "reasoning": reasoning.value.replace("-", "_"),
            "part": part,
            "choose": tuple(choose or ()),
            "columns": columns_of_pairs(map_ or ()),
        }
    )


def with_reading_choices(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading, gathered into its argument `choices`."""
    reading = inspect.signature(_options).parameters

    @wraps(command)
    def wrapped(**given: Any) -> None:
        choices = _options(**{name: given.pop(name) for name in reading})
        command(**given, choices=choices)

    own = [each for each in inspect.signature(command).parameters.values() if each.name != "choices"]
    hints = {**get_type_hints(command, include_extras=True), **get_type_hints(_options, include_extras=True)}
    hints.pop("choices")
    hints["return"] = type(None)
    parameters = [*own, *reading.values()]
    wrapped.__annotations__ = hints
    wrapped.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(annotation=hints[each.name]) for each in parameters]
    )
    return wrapped
