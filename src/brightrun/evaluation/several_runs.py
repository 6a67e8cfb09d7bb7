"""Several runs beside each other: which one is best, where that is more than chance, and what each says to the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from brightrun.evaluation.comparison import AnswerScore, Comparison, loss_change
from brightrun.evaluation.measurements import Generated, SampleAnswer

_SEED = 0


class SamePrompt(NamedTuple):
    """A validation prompt that every run was asked; `tuned` are their answers in the order of the runs."""

    sample: SampleAnswer
    tuned: tuple[Generated, ...]


def best_run(comparisons: Sequence[Comparison | None]) -> int | None:
    """The place of the run that comes closest to the consultant's words; None where chance may have decided.

    It has to be better than each of the others by both intervals of a verdict, on the very same answers, which all
    were cut into the same tokens. A run whose answers need a look is never the best, nor one whose check failed.
    """
    measured = {place: one for place, one in enumerate(comparisons) if one is not None}
    if len(measured) < 2 or not _same_answers(list(measured.values())):
        return None
    first = min(measured, key=lambda place: measured[place].overall.tuned_loss)
    winner = measured[first]
    sound = winner.adapter_check.passed and winner.verdict == "better"
    beaten = all(_beats(winner, other) for place, other in measured.items() if place != first)
    return first if sound and beaten else None


def same_prompts(comparisons: Sequence[Comparison | None]) -> list[SamePrompt]:
    """The prompts that every run answered, in the first run's order; none where a run has no comparison."""
    known = [one for one in comparisons if one is not None]
    if len(known) < len(comparisons) or not known:
        return []
    by_run = [{_key(sample): sample for sample in one.samples} for one in known]
    return [
        SamePrompt(sample, tuple(samples[key].tuned for samples in by_run))
        for key, sample in by_run[0].items()
        if all(key in samples and samples[key].prompt == sample.prompt for samples in by_run)
    ]


def _same_answers(comparisons: Sequence[Comparison]) -> bool:
    answers = [{(*_key(score), score.trained_tokens) for score in one.scores} for one in comparisons]
    return all(some == answers[0] for some in answers)


def _beats(winner: Comparison, other: Comparison) -> bool:
    theirs = {_key(score): score.tuned_loss for score in other.scores}
    paired = [score.model_copy(update={"base_loss": theirs[_key(score)]}) for score in winner.scores]
    return loss_change(paired, seed=_SEED).verdict == "better"


def _key(one: AnswerScore | SampleAnswer) -> tuple[str, int]:
    return one.conversation_id, one.answer_number
