"""Which validation answers base and tuned model are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from brightrun.contract.hyperparameters import DeviceKind, Hyperparameters

PROMPTS_AT_ONCE: dict[DeviceKind, int] = {"cpu": 16, "cuda": 8}
"""Prompts that are answered in one batch."""
FIRST_LOOK_TOKENS = 24
"""How much of an answer is asked for to see whether a training answer is being repeated."""
WHOLE_LOOK_TOKENS = 128
"""How much is asked for where it is: enough for 50 words in a row."""


ANSWER_LENGTHS = 1.25
"""An answer may have so many times the tokens of the longest one in the validation part."""
SAMPLING_SHARE = 0.2
"""Of the training's work, what the answers of base, prompted base and tuned model may take together."""
_MODELS_ASKED = 3
STEP_COST: dict[DeviceKind, float] = {"cpu": 40.0, "cuda": 80.0}
"""Trained tokens that take as long as one more token of every answer of a batch. Weights are read once for all of them,
so that their number hardly matters. CPU: `benchmarks/answers.py`, SmolLM2 135M on two cores: 39, 38 and 41 for 4, 8 and
16 answers (2026-12-01); CUDA: assumed, no GPU was measured."""
MOST_ANSWERS = 64
_SHORTEST_LIMIT, _LONGEST_LIMIT = 32, 4096
DEFAULT_ANSWERS, DEFAULT_TOKENS = 8, 256
"""Of a run whose settings were made by hand and name none."""


SETTLED_BY_DATA = ("sample_answers", "sample_tokens")
"""Settings that `settle_sampling` gives a value where they have none."""


def settle_sampling(
    hyperparameters: Hyperparameters, *, answer_tokens: Sequence[int], trained_on: int, kind: DeviceKind
) -> Hyperparameters:
    """The settings with `sample_answers` and `sample_tokens` as the data want them, where they are not set.

    As many whole batches are answered as `SAMPLING_SHARE` pays for, and one in any case.

    Args:
        answer_tokens: Tokens of every validation answer.
        trained_on: Tokens that training computes over all epochs.
        kind: What the run is computed on.
    """
    longest = max(answer_tokens, default=DEFAULT_TOKENS)
    limit = hyperparameters.sample_tokens
    if limit is None:
        limit = min(max(math.ceil(ANSWER_LENGTHS * longest), _SHORTEST_LIMIT), _LONGEST_LIMIT)
    answers = hyperparameters.sample_answers
    if answers is None:
        batches = int(SAMPLING_SHARE * trained_on / (_MODELS_ASKED * STEP_COST[kind] * limit))
        answers = min(max(batches, 1) * PROMPTS_AT_ONCE[kind], MOST_ANSWERS, max(len(answer_tokens), 1))
    return hyperparameters.model_copy(update={"sample_answers": answers, "sample_tokens": limit})


class Sampling(NamedTuple):
    """How many validation answers are asked for, and how long each may become in tokens."""

    answers: int
    tokens: int


def sampling_of(hyperparameters: Hyperparameters) -> Sampling:
    """What the settings say, or the usual where nobody settled them."""
    return Sampling(hyperparameters.sample_answers or DEFAULT_ANSWERS, hyperparameters.sample_tokens or DEFAULT_TOKENS)


class AnswerPlace(NamedTuple):
    """One answer: of a conversation's trained ones the `number`th, from 1."""

    number: int
    conversation_id: str


def sampled_answers(trained_answers: Mapping[str, int], count: int) -> list[AnswerPlace]:
    """Up to `count` answers: the first one of every conversation, then the second ones, and so on; ids in order.

    Args:
        trained_answers: Trained answers by conversation id.
        count: How many are asked for, `Hyperparameters.sample_answers`.
    """
    return sorted(_places(trained_answers.items()))[:count]


def _places(counts: Iterable[tuple[str, int]]) -> Iterable[AnswerPlace]:
    for conversation_id, answers in counts:
        for number in range(1, answers + 1):
            yield AnswerPlace(number, conversation_id)
