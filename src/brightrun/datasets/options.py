"""How a file of conversations is to be read: what may be repaired, and what happens to the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from brightrun.errors import DatasetError

ColumnMeaning = Literal["prompt", "context", "answer", "system", "id", "persona", "arc", "topic", "weight", "ignore"]


def _as_called_now(value: Any) -> Any:
    """Until reasoning could be learned, the choice was to refuse it or to leave it out."""
    return "learn" if value == "refuse" else value


class RecordChoices(BaseModel):
    """What a person may decide about the records of a file, save for its columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repair_json: bool = Field(
        default=False,
        description=("Remove backslashes that stand outside strings when the file is not valid JSON, each logged."),
    )
    unreadable: Literal["refuse", "leave_out"] = Field(
        "refuse",
        description="Refuse a file with records that cannot be read, or leave those out, each in the repair log.",
    )
    merge_turns: bool = Field(
        default=False, description="Join turns of one side that follow one another, each merge in the repair log."
    )
    strip_markers: bool = Field(
        default=False,
        description="Take control strings off the ends of texts, and reasoning in tags off answers, each logged.",
    )
    preference: Literal["refuse", "train_on_preferred"] = Field(
        "refuse",
        description="Refuse records with a preferred and a rejected answer, or train on the preferred one.",
    )
    reasoning: Annotated[Literal["learn", "leave_out"], BeforeValidator(_as_called_now)] = Field(
        "learn",
        description="Learn the reasoning before answers where the base model has a place for it, or leave it out.",
    )
    part: str | None = Field(
        None, description="Which list, sheet or archive member holds the conversations, where the file has several."
    )
    choose: tuple[str, ...] = Field(
        (), description="Only these conversations: ids, numbers from 1, ranges such as 3-9, or words of their titles."
    )


class ReadingChoices(RecordChoices):
    """What the person who gives the file decided about its records; the same for every run made of it."""

    columns: Mapping[str, ColumnMeaning] = Field(
        default_factory=dict, description="What a column or key of the file means, where it cannot be guessed."
    )

    def reading_choices(self) -> ReadingChoices:
        """Only what concerns the file's records."""
        return ReadingChoices(**{name: getattr(self, name) for name in ReadingChoices.model_fields})


AS_WRITTEN = ReadingChoices()


def columns_of_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Columns and their meanings, of texts such as `question=prompt`. Raises DatasetError where one says no meaning."""
    meanings = get_args(ColumnMeaning)
    found = {}
    for pair in pairs:
        column, _, meaning = pair.rpartition("=")
        if not column.strip() or meaning.strip() not in meanings:
            raise DatasetError(
                f"{pair!r:.80} does not say what a column means.",
                hint=f"Write COLUMN=MEANING; meanings are {', '.join(meanings)}.",
                details={"param": "column"},
            )
        found[column.strip()] = meaning.strip()
    return found


class ReadOptions(ReadingChoices):
    """Decisions of the person who gives the file, and of the run that is made of it."""

    repair: bool = Field(
        default=True,
        description=("Turn escaped line breaks into real ones, each logged. Off: those answers are excluded."),
    )
    client_profile: Literal["keep", "system_prompt"] = Field(
        "keep",
        description="Leave the system prompt as it is, or append the client's persona and background to it.",
    )
    context_length: int | None = Field(
        None, ge=16, description="Longest text in tokens that the base model can read. Not set: not known yet."
    )
    max_seq_length: int | None = Field(
        None, ge=16, description="Longest example in tokens. Not set: as long as the data needs."
    )
    overlength_policy: Literal["refuse", "drop"] = Field(
        "refuse",
        description="Refuse the file if a conversation is longer, or leave that conversation out and log it.",
    )
