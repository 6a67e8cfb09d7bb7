"""Answers of base, prompted base and tuned model beside the consultant's own: habits, and which need a look."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from brightrun.evaluation.answer_facts import (
    FLAWS,
    AnswerFacts,
    Flaw,
    answer_facts,
    find_flaws,
    length_distance,
    text_facts,
)
from brightrun.evaluation.bootstrap import ratio_intervals, resampling_weights
from brightrun.evaluation.measurements import Generated, Measurement, SampleAnswer
from brightrun.evaluation.verdicts import MINIMUM_CONVERSATIONS
from brightrun.texts.names import capitalized_words

Habit = Literal[
    "finishes", "repetition", "loops", "length", "asks_back", "new_names", "helpline", "refuses", "markdown"
]


class HabitRow(Measurement):
    """One habit over all sampled answers. Shares from 0 to 1; `length` is in words.

    `gap` is how much farther the tuned model's answers are from the consultant's than the base's, as a mean over
    answers with its interval (absent with too few conversations); negative is closer. The intervals of all habits
    together hold in 95 %: one alone has 1 - 0.05 / 9, so that nine looks do not find a fault by chance (Bonferroni).
    `own` is absent where the consultant's answer has no such figure.
    """

    habit: Habit
    own: float | None
    base: float
    prompted: float | None
    tuned: float
    gap: float
    gap_low: float | None
    gap_high: float | None

    @property
    def is_worse(self) -> bool:
        """The tuned model's answers are farther from the consultant's, and chance does not explain it."""
        return self.gap_low is not None and self.gap_low > 0


class FlaggedAnswer(Measurement):
    """An answer of the tuned model that must be seen before anything is shown."""

    sample: int = Field(ge=0, description="Its place among the comparison's samples.")
    flaws: tuple[Flaw, ...] = Field(min_length=1, description="The worst first.")


class AnswerComparison(Measurement):
    """What the sampled answers are like. `conversations` is how many they come from."""

    answers: int
    conversations: int
    habits: tuple[HabitRow, ...]
    flagged: tuple[FlaggedAnswer, ...] = Field(description="The worst first.")
    base_flagged: int = Field(description="Answers of the base with any of the same flaws.")

    @property
    def worse(self) -> tuple[HabitRow, ...]:
        return tuple(row for row in self.habits if row.is_worse)

    @property
    def needs_a_look(self) -> bool:
        return bool(self.flagged or self.worse)


class _Facts(NamedTuple):
    conversation_id: str
    own: AnswerFacts
    base: AnswerFacts
    prompted: AnswerFacts | None
    tuned: AnswerFacts


class _Measure(NamedTuple):
    """A habit's value in one text, and how far an answer is from the consultant's own."""

    value: Callable[[AnswerFacts], float]
    distance: Callable[[AnswerFacts, AnswerFacts], float]


def _unlike(value: Callable[[AnswerFacts], float]) -> _Measure:
    return _Measure(value, lambda answer, own: abs(value(answer) - value(own)))


def _more(value: Callable[[AnswerFacts], float]) -> _Measure:
    return _Measure(value, lambda answer, own: max(value(answer) - value(own), 0.0))


def _names(facts: AnswerFacts) -> float:
    return float(bool(facts.new_names))


_MEASURES: Mapping[Habit, _Measure] = {
    "finishes": _Measure(
        lambda facts: float(facts.finished is not False),
        lambda answer, own: float("unfinished" in find_flaws(answer, own)),
    ),
    "repetition": _more(lambda facts: facts.repetition),
    "loops": _more(lambda facts: float(facts.loops)),
    "length": _Measure(lambda facts: float(facts.words), length_distance),
    "asks_back": _unlike(lambda facts: float(facts.asks_back)),
    "new_names": _Measure(_names, lambda answer, _own: _names(answer)),
    "helpline": _Measure(
        lambda facts: float(facts.helpline), lambda answer, own: float(own.helpline and not answer.helpline)
    ),
    "refuses": _more(lambda facts: float(facts.refuses)),
    "markdown": _unlike(lambda facts: float(facts.markdown)),
}


_CONFIDENCE = 1 - 0.05 / len(_MEASURES)


def compare_answers(
    samples: Sequence[SampleAnswer], *, known_names: Collection[str] | None, seed: int
) -> AnswerComparison | None:
    """Habits and flaws of the sampled answers; None without any.

    Args:
        known_names: Capitalized words of the dataset; None where capitals do not tell a name.
        seed: Of the intervals' resampling.
    """
    if not samples:
        return None
    facts = [_facts(sample, known_names) for sample in samples]
    by_flaw = list(FLAWS)
    flagged = [
        FlaggedAnswer(sample=index, flaws=flaws)
        for index, one in enumerate(facts)
        if (flaws := find_flaws(one.tuned, one.own))
    ]
    told = [habit for habit in _MEASURES if habit != "new_names" or known_names is not None]
    return AnswerComparison(
        answers=len(facts),
        conversations=len({one.conversation_id for one in facts}),
        habits=tuple(_row(habit, facts, seed) for habit in told),
        flagged=tuple(sorted(flagged, key=lambda one: (by_flaw.index(one.flaws[0]), -len(one.flaws), one.sample))),
        base_flagged=sum(bool(find_flaws(one.base, one.own)) for one in facts),
    )


def _facts(sample: SampleAnswer, known_names: Collection[str] | None) -> _Facts:
    first = sample.prompt[0]
    system = first.get("content", "") if first.get("role") == "system" else ""
    known = None
    if known_names is not None:
        prompt = "\n".join(message.get("content", "") for message in sample.prompt)
        known = {*known_names, *capitalized_words(prompt), *capitalized_words(sample.reference)}

    def of(answer: Generated) -> AnswerFacts:
        return answer_facts(answer, system=system, known_names=known)

    return _Facts(
        conversation_id=sample.conversation_id,
        own=text_facts(sample.reference, system=system),
        base=of(sample.base),
        prompted=None if sample.prompted is None else of(sample.prompted),
        tuned=of(sample.tuned),
    )


def _row(habit: Habit, facts: Sequence[_Facts], seed: int) -> HabitRow:
    value, distance = _MEASURES[habit]
    gaps = [distance(one.tuned, one.own) - distance(one.base, one.own) for one in facts]
    low, high = _interval([one.conversation_id for one in facts], gaps, seed)
    if low is not None and high is not None and habit != "length":  # a share changes by 1 at most
        low, high = max(low, -1.0), min(high, 1.0)
    prompted = [value(one.prompted) for one in facts if one.prompted is not None]
    by_hand = habit not in ("finishes", "new_names")  # a person finishes, and no name of theirs is invented
    return HabitRow(
        habit=habit,
        own=_mean([value(one.own) for one in facts]) if by_hand else None,
        base=_mean([value(one.base) for one in facts]),
        prompted=_mean(prompted) if prompted else None,
        tuned=_mean([value(one.tuned) for one in facts]),
        gap=_mean(gaps),
        gap_low=low,
        gap_high=high,
    )


def _interval(ids: Sequence[str], gaps: Sequence[float], seed: int) -> tuple[float | None, float | None]:
    """The interval of the mean gap, whole conversations resampled as for the loss."""
    totals: dict[str, list[float]] = {}
    for name, gap in zip(ids, gaps, strict=True):
        row = totals.setdefault(name, [0.0, 0.0])
        row[0] += gap
        row[1] += 1
    if len(totals) < MINIMUM_CONVERSATIONS:
        return None, None
    table = np.array([totals[name] for name in sorted(totals)], dtype=np.float64)
    weights = resampling_weights(len(table), seed=seed)
    low, high = ratio_intervals(table[None, :, 0], table[None, :, 1], weights, confidence=_CONFIDENCE)
    return float(low[0]), float(high[0])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
