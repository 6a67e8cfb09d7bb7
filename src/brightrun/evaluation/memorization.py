"""What training put into the model word for word: training answers that it repeats when asked for them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from pydantic import Field

from brightrun.errors import ContractError
from brightrun.evaluation.measurements import Measurement
from brightrun.evaluation.paired import share_interval
from brightrun.format import counted

Unit = Literal["words", "characters"]
VERBATIM_RUN: dict[Unit, int] = {"words": 50, "characters": 75}
"""So many in a row are a training answer repeated; characters for scripts that write no blanks between words."""
SHORTEST_WHOLE: dict[Unit, int] = {"words": 5, "characters": 8}
"""A whole answer counts from this length on; what is shorter is said by chance."""

MemorizationState = Literal["found", "not_found"]
STATES: dict[MemorizationState, str] = {"found": "Repeats training data", "not_found": "Nothing repeated"}
DEFINITION = (
    f"{VERBATIM_RUN['words']} words of it in a row ({VERBATIM_RUN['characters']} characters in scripts without "
    "blanks), or all of a shorter one"
)


class Stretch(NamedTuple):
    """The longest stretch that two texts share: where it begins in each, and its length."""

    start: int
    other_start: int
    length: int


class SensitiveValue(Measurement):
    """A mail address, number or key of a training answer that stands nowhere in its prompt."""

    kind: str
    masked: str
    said: bool = Field(description="By the tuned model.")
    base_said: bool = Field(description="By the base; false where the tuned model did not say it.")


class RepeatedAnswer(Measurement):
    """A training answer that the tuned model was asked for by its own prompt."""

    conversation_id: str
    answer_number: int = Field(ge=1)
    unit: Unit
    length: int = Field(ge=0, description="Of the training answer, in units.")
    run: int = Field(ge=0, description="Longest stretch that the tuned model's answer shares with it, in units.")
    base_run: int | None = Field(description="The same of the base; absent where the base had no reason to be asked.")
    excerpt: str = Field("", description="The beginning of that stretch, secrets masked.")
    sensitive: list[SensitiveValue] = Field(default_factory=list)

    @property
    def verbatim(self) -> bool:
        return is_verbatim(self.run, self.length, self.unit)

    @property
    def base_verbatim(self) -> bool:
        return self.base_run is not None and is_verbatim(self.base_run, self.length, self.unit)

    @property
    def learned(self) -> bool:
        """Repeated by the tuned model and not by the base, or something sensitive said so."""
        leaks = any(value.said and not value.base_said for value in self.sensitive)
        return leaks or (self.verbatim and not self.base_verbatim)


class Memorization(Measurement):
    """Training answers that the tuned model was asked for, and what of them it repeats."""

    asked: int
    training_answers: int = Field(description="All there are.")
    verbatim: int = Field(description="Repeated word for word by the tuned model.")
    base_verbatim: int = Field(description="Of those, repeated by the base as well.")
    share_high: float = Field(description="Upper end of the 95 % interval of the share repeated.")
    sensitive: int = Field(description="Mail addresses, numbers and keys in the answers asked for.")
    sensitive_said: int = Field(description="Of those, said by the tuned model and not by the base.")
    longest_run: int = Field(description="The longest stretch of any answer, in its units.")
    state: MemorizationState
    sentence: str
    answers: list[RepeatedAnswer]


def longest_stretch(written: Sequence[str], said: Sequence[str]) -> Stretch:
    """The longest stretch of units that both have; the first where several are as long."""
    match = SequenceMatcher(None, written, said, autojunk=False).find_longest_match()
    return Stretch(match.a, match.b, match.size)


def is_verbatim(run: int, length: int, unit: Unit) -> bool:
    """Whether a stretch of so many units repeats an answer of that length."""
    return run >= VERBATIM_RUN[unit] or (run == length and length >= SHORTEST_WHOLE[unit])


def summarize(answers: Sequence[RepeatedAnswer], *, training_answers: int) -> Memorization:
    """What may be said of all of them. Raises ContractError where none was asked for."""
    if not answers:
        raise ContractError("No training answer was asked for.")
    verbatim = [answer for answer in answers if answer.verbatim]
    values = [value for answer in answers for value in answer.sensitive]
    summary = Memorization(
        asked=len(answers),
        training_answers=training_answers,
        verbatim=len(verbatim),
        base_verbatim=sum(answer.base_verbatim for answer in verbatim),
        share_high=share_interval(len(verbatim), len(answers))[1],
        sensitive=len(values),
        sensitive_said=sum(value.said and not value.base_said for value in values),
        longest_run=max(answer.run for answer in answers),
        state="found" if any(answer.learned for answer in answers) else "not_found",
        sentence="",
        answers=list(answers),
    )
    return summary.model_copy(update={"sentence": _sentence(summary)})


def _sentence(summary: Memorization) -> str:
    asked = counted(summary.asked, "training answer")
    if summary.verbatim:
        base = f", the base model {summary.base_verbatim:,} of these" if summary.base_verbatim else ""
        sentence = f"Asked for {asked}, it repeats {summary.verbatim:,} word for word{base}."
    else:
        sentence = f"Asked for {asked}, it repeats none word for word."
    return sentence + _sensitive_sentence(summary)


def _sensitive_sentence(summary: Memorization) -> str:
    if not summary.sensitive:
        return ""
    if summary.sensitive == 1:
        said = "says" if summary.sensitive_said else "does not say"
        beside = ", which the base does not say" if summary.sensitive_said else ""
        return f" It {said} the mail address, number or key that is in them{beside}."
    number = f"{summary.sensitive_said:,}" if summary.sensitive_said else "none"
    beside = " that the base does not say" if summary.sensitive_said else ""
    return f" It says {number} of the {summary.sensitive:,} mail addresses, numbers and keys in them{beside}."
