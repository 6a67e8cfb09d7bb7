"""Base against tuned model on validation answers: figures, intervals and a verdict that may be "unclear".

Knows measurements only; nothing of how they were made or how they will be shown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from brightrun.contract.earlier_names import with_current_names
from brightrun.contract.verdicts import Verdict
from brightrun.errors import ContractError, LossNotFinite
from brightrun.evaluation.answer_comparison import AnswerComparison, compare_answers
from brightrun.evaluation.bootstrap import Floats
from brightrun.evaluation.forgetting import Forgetting
from brightrun.evaluation.measurements import (
    AdapterCheck,
    AnswerScore,
    Generated,
    LossChange,
    SampleAnswer,
)
from brightrun.evaluation.memorization import Memorization
from brightrun.evaluation.prompting import Prompting, compare_prompting
from brightrun.evaluation.sentences import change_sentence, failed_check_sentence, owner_sentence
from brightrun.evaluation.verdicts import METHOD, IntervalMethod, judge

__all__ = [
    "AdapterCheck",
    "AnswerScore",
    "Comparison",
    "Generated",
    "LossChange",
    "SampleAnswer",
    "compare",
    "loss_change",
]

UNLABELLED = "unlabelled"
_MAX_LOSS = 700.0  # exp() of more is not a number any more


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Comparison(_Frozen):
    """Everything measured before and after, and what may be said of it."""

    overall: LossChange
    by_persona: dict[str, LossChange]
    by_arc: dict[str, LossChange]
    samples: list[SampleAnswer]
    base_stopped: int = Field(description="Sample answers of the base that ended by themselves.")
    tuned_stopped: int
    adapter_check: AdapterCheck
    scores: list[AnswerScore]
    interval_method: IntervalMethod = Field(
        "expanded_percentile", description="How the intervals were made; files of version 0.1 do not name theirs."
    )
    answers: AnswerComparison | None = Field(
        None, description="What the sampled answers are like; absent in files of version 0.1."
    )
    prompting: Prompting | None = Field(
        None, description="The base that is shown real conversations; absent where it was not asked so."
    )
    consultant: str | None = Field(None, description="Whose words they are, where the dataset names them.")
    forgetting: Forgetting | None = Field(None, description="General questions; absent where none was asked.")
    memorization: Memorization | None = Field(
        None, description="Training answers repeated; absent where none was asked for."
    )

    @property
    def verdict(self) -> Verdict:
        """What may be claimed of the run: a better loss whose answers do not hold up must be looked at first."""
        spoils = (self.answers is not None and self.answers.needs_a_look) or self._leaks is not None
        return "better_but_look" if self.overall.verdict == "better" and spoils else self.overall.verdict

    @property
    def reason(self) -> str:
        """The verdict's reason in plain words."""
        said = owner_sentence(self.overall, self.answers, passed=self.adapter_check.passed, consultant=self.consultant)
        return said if self._leaks is None else f"{said} {self._leaks.sentence}"

    @property
    def _leaks(self) -> Memorization | None:
        """What it repeats of its training answers, where something private is among it."""
        return self.memorization if self.memorization is not None and self.memorization.sensitive_said else None

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, document: Any) -> Any:
        return with_current_names(document)


class PromptedWith(NamedTuple):
    """What the prompted base was shown before every prompt: conversations of the training part, and their tokens."""

    conversations: int
    tokens: int


def compare(
    scores: Sequence[AnswerScore],
    samples: Sequence[SampleAnswer],
    adapter_check: AdapterCheck,
    *,
    seed: int,
    shown: PromptedWith | None = None,
    known_names: Collection[str] | None = None,
    consultant: str | None = None,
) -> Comparison:
    """Compare base and tuned model; the order of the scores does not matter.

    Args:
        shown: To the prompted base, where it was asked.
        known_names: Capitalized words of the dataset; None where capitals do not tell a name.
        consultant: Their name, where the dataset has it.

    Where the proof fails, nothing is claimed: verdicts of better and worse become unclear and say why.

    Raises:
        LossNotFinite: a loss is NaN, infinite, or too large for a perplexity.
        ContractError: no scores, an answer scored twice, a negative loss, or a base loss of exactly zero.
    """
    ordered = sorted(scores, key=lambda score: (score.conversation_id, score.answer_number))
    _check(ordered)

    def judged(some: Sequence[AnswerScore]) -> LossChange:
        change = loss_change(some, seed=seed)
        return change if adapter_check.passed else _failed_check(change)

    return Comparison(
        overall=judged(ordered),
        by_persona=_grouped(ordered, lambda score: score.persona, judged),
        by_arc=_grouped(ordered, lambda score: score.arc, judged),
        samples=list(samples),
        base_stopped=sum(sample.base.stopped for sample in samples),
        tuned_stopped=sum(sample.tuned.stopped for sample in samples),
        adapter_check=adapter_check,
        scores=list(scores),
        interval_method=METHOD,
        answers=compare_answers(samples, known_names=known_names, seed=seed),
        prompting=None
        if shown is None
        else compare_prompting(ordered, judged, shown=shown.conversations, shown_tokens=shown.tokens),
        consultant=consultant,
    )


def loss_change(scores: Sequence[AnswerScore], *, seed: int) -> LossChange:
    """The change over these answers.

    What is claimed of it is for `verdicts` to say; the seed is that of its resampling.
    """
    table = _sums_by_conversation(scores)
    difference, answers, tokens, base_total, tuned_total = table.sum(axis=0).tolist()
    if base_total <= 0.0:
        raise ContractError(
            "The base model's validation loss is exactly zero.",
            hint="No token was scored; check that the answers' tokens are unmasked.",
        )
    (judgment,) = judge(table[None], seed=seed)
    base_loss, tuned_loss = base_total / tokens, tuned_total / tokens
    improved = sum(score.tuned_loss < score.base_loss for score in scores)
    unchanged = sum(score.tuned_loss == score.base_loss for score in scores)
    change = LossChange(
        conversations=len(table),
        answers=len(scores),
        trained_tokens=int(tokens),
        base_loss=base_loss,
        tuned_loss=tuned_loss,
        base_perplexity=math.exp(base_loss),
        tuned_perplexity=math.exp(tuned_loss),
        relative_change=tuned_total / base_total - 1.0,
        relative_low=judgment.relative_low,
        relative_high=judgment.relative_high,
        mean_difference=difference / answers,
        interval_low=judgment.low,
        interval_high=judgment.high,
        win_rate=(improved + unchanged / 2) / len(scores),
        improved=improved,
        unchanged=unchanged,
        verdict=judgment.verdict,
        sentence="",
    )
    return change.model_copy(update={"sentence": change_sentence(change)})


def _sums_by_conversation(scores: Sequence[AnswerScore]) -> Floats:
    """One row per conversation, with the columns of `verdicts`."""
    rows: dict[str, list[float]] = defaultdict(lambda: [0.0] * 5)
    for score in scores:
        row = rows[score.conversation_id]
        row[0] += score.tuned_loss - score.base_loss
        row[1] += 1
        row[2] += score.trained_tokens
        row[3] += score.base_loss * score.trained_tokens
        row[4] += score.tuned_loss * score.trained_tokens
    return np.array(list(rows.values()), dtype=np.float64).reshape(len(rows), 5)


def _grouped(
    scores: Sequence[AnswerScore],
    key: Callable[[AnswerScore], str | None],
    judged: Callable[[Sequence[AnswerScore]], LossChange],
) -> dict[str, LossChange]:
    """One change per label, in alphabetical order, those without a label last."""
    groups: dict[str, list[AnswerScore]] = defaultdict(list)
    for score in scores:
        groups[key(score) or UNLABELLED].append(score)
    names = sorted(groups, key=lambda name: (name == UNLABELLED, name))
    return {name: judged(groups[name]) for name in names}


def _failed_check(change: LossChange) -> LossChange:
    verdict = "too_few" if change.verdict == "too_few" else "unclear"
    return change.model_copy(update={"verdict": verdict, "sentence": failed_check_sentence(change)})


def _check(scores: Sequence[AnswerScore]) -> None:
    if not scores:
        raise ContractError(
            "There are no validation answers to compare.",
            hint="Hold out at least one conversation with an answer.",
        )
    seen: set[tuple[str, int]] = set()
    for score in scores:
        place = f"Answer {score.answer_number} of validation conversation {score.conversation_id}"
        if (score.conversation_id, score.answer_number) in seen:
            raise ContractError(f"{place} was scored twice.", hint="Number the answers of a conversation from 1.")
        seen.add((score.conversation_id, score.answer_number))
        _check_loss(score.base_loss, f"{place}: the base model's loss")
        _check_loss(score.tuned_loss, f"{place}: the tuned model's loss")


def _check_loss(loss: float, place: str) -> None:
    if not math.isfinite(loss) or loss > _MAX_LOSS:
        raise LossNotFinite(f"{place} is {loss}.")
    if loss < 0:
        raise ContractError(f"{place} is {loss}, below zero.", hint="Give the mean negative log-likelihood in nats.")
