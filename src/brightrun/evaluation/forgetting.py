"""What training took away: the general questions that base and tuned model answer rightly, one beside the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from brightrun.errors import ContractError
from brightrun.evaluation.measurements import Measurement
from brightrun.evaluation.paired import paired_interval
from brightrun.format import counted
from brightrun.runs.general_questions import KINDS, QuestionKind

MINIMUM_QUESTIONS = 32
"""Of fewer, one in five may be lost and the interval still reach zero."""

ForgettingState = Literal["kept", "lost", "too_few"]
STATES: dict[ForgettingState, str] = {"kept": "No clear loss", "lost": "Lost some", "too_few": "Too few to say"}


class QuestionScore(Measurement):
    """A general question put to both models. A model's answer is the one whose mean loss is the lowest."""

    id: str
    kind: QuestionKind
    question: str
    answers: int = Field(ge=2, description="How many answers it chose from.")
    right: str
    base_answer: str
    tuned_answer: str

    @property
    def base_right(self) -> bool:
        return self.base_answer == self.right

    @property
    def tuned_right(self) -> bool:
        return self.tuned_answer == self.right


class KindChange(Measurement):
    """Right answers to the questions of one kind."""

    kind: QuestionKind
    questions: int
    base_right: int
    tuned_right: int

    @property
    def gain(self) -> int:
        """How many more are right than before; below zero, how many fewer."""
        return self.tuned_right - self.base_right


class Forgetting(Measurement):
    """General questions answered rightly before and after training."""

    questions: int
    base_right: int
    tuned_right: int
    lost: int = Field(description="Right before, wrong after.")
    gained: int = Field(description="Wrong before, right after.")
    by_chance: float = Field(description="How many guessing would answer rightly.")
    difference: float = Field(description="Change of the share answered rightly; negative is a loss.")
    interval_low: float = Field(description="95 % interval of the difference.")
    interval_high: float
    state: ForgettingState
    sentence: str
    by_kind: list[KindChange]
    scores: list[QuestionScore]

    def lost_questions(self) -> list[QuestionScore]:
        """Those right before and wrong after."""
        return [score for score in self.scores if score.base_right and not score.tuned_right]


def compare_general(scores: Sequence[QuestionScore]) -> Forgetting:
    """The change over these questions, every one a cluster of its own.

    Raises:
        ContractError: no question was asked, or one of them twice.
    """
    if not scores or len({score.id for score in scores}) < len(scores):
        raise ContractError("No general question was asked, or one of them twice.")
    lost = sum(score.base_right and not score.tuned_right for score in scores)
    gained = sum(score.tuned_right and not score.base_right for score in scores)
    low, high = paired_interval(gained, lost, len(scores))
    change = Forgetting(
        questions=len(scores),
        base_right=sum(score.base_right for score in scores),
        tuned_right=sum(score.tuned_right for score in scores),
        lost=lost,
        gained=gained,
        by_chance=sum(1 / score.answers for score in scores),
        difference=(gained - lost) / len(scores),
        interval_low=low,
        interval_high=high,
        state="too_few" if len(scores) < MINIMUM_QUESTIONS or _guesses(scores) else "lost" if high < 0 else "kept",
        sentence="",
        by_kind=[_of_kind(kind, scores) for kind in KINDS if any(score.kind == kind for score in scores)],
        scores=list(scores),
    )
    return change.model_copy(update={"sentence": _sentence(change)})


def _guesses(scores: Sequence[QuestionScore]) -> bool:
    """Whether the base is right no more often than guessing is in 95 % of cases: then there is nothing to lose."""
    chances = [1 / score.answers for score in scores]
    spread = math.sqrt(sum(chance * (1 - chance) for chance in chances))
    return sum(score.base_right for score in scores) <= sum(chances) + 1.645 * spread


def _of_kind(kind: QuestionKind, scores: Sequence[QuestionScore]) -> KindChange:
    some = [score for score in scores if score.kind == kind]
    return KindChange(
        kind=kind,
        questions=len(some),
        base_right=sum(score.base_right for score in some),
        tuned_right=sum(score.tuned_right for score in some),
    )


def _sentence(change: Forgetting) -> str:
    asked = counted(change.questions, "general question")
    before = f"{change.base_right:,} before"
    if change.state == "too_few" and change.questions >= MINIMUM_QUESTIONS:
        return (
            f"The base model answers {change.base_right:,} of {asked} rightly, and guessing would answer "
            f"{change.by_chance:.0f}: there is too little to lose. The tuned model answers {change.tuned_right:,}."
        )
    still = f"{change.tuned_right:,} of {asked} rightly, {before}"
    if change.state == "too_few":
        return f"It answers {still}: too few were asked to tell a loss from chance."
    if change.state == "kept":
        return f"It still answers {still}: no clear loss."
    sentence = f"It answers {still}: some of what it knew is lost"
    worst, *others = sorted(change.by_kind, key=lambda kind: kind.gain)
    if all(worst.gain < kind.gain for kind in others):
        sentence += f", most of it in {worst.kind} ({worst.base_right} before, {worst.tuned_right} now)"
    return f"{sentence}."
