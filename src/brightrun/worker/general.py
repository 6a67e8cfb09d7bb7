"""Puts the general questions to a model: which answer it finds likeliest, without a judge."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch.nn.functional import cross_entropy

from brightrun.errors import LossNotFinite
from brightrun.runs.general_questions import QUESTIONS_AT_ONCE, EncodedQuestion, common_prefix
from brightrun.worker.load_model import LoadedBase


class QuestionLosses(BaseModel):
    """The mean loss of each answer of a question, in nats per token, the right answer's first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    losses: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """What a model has in mind behind a batch of questions.

    Attributes:
        cache: Keys and values, one row per question.
        mask: Which of those places hold a token, shape (questions, places).
        last: Hidden states at each question's last token, shape (questions, width).
    """

    cache: Any
    mask: torch.Tensor
    last: torch.Tensor


def ask_general(
    base: LoadedBase, model: Any, questions: Sequence[EncodedQuestion], *, between: Callable[[int], None]
) -> list[QuestionLosses]:
    """The losses of all answers, in the order of the questions.

    What all questions begin with is read once, and each question once for all of its answers. `model` is the base, or
    the base under an adapter. `between` is called before each batch with how many questions are answered, and at the
    end; what it raises ends the asking, and leaves the model as it was.

    Raises:
        LossNotFinite: a loss is NaN or infinite.
    """
    if not questions:
        return []
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    found: dict[str, QuestionLosses] = {}
    was_training = model.training
    model.eval()
    try:
        with base.inference():
            prefix = common_prefix(questions)
            beginning = _read_prefix(base, causal, prefix)
            for batch in _batches(questions):
                between(len(found))
                found.update((each.id, each) for each in _ask_batch(base, causal, batch, prefix, beginning))
    finally:
        model.train(was_training)
    between(len(found))
    return [found[question.question.id] for question in questions]


def _batches(questions: Sequence[EncodedQuestion]) -> list[list[EncodedQuestion]]:
    """Questions of like length together, so that little is padding."""
    ordered = sorted(questions, key=lambda each: (max(len(a.ids) for a in each.answers), len(each.shared)))
    return [ordered[start : start + QUESTIONS_AT_ONCE] for start in range(0, len(ordered), QUESTIONS_AT_ONCE)]


def _read_prefix(base: LoadedBase, causal: Any, prefix: tuple[int, ...]) -> Any:
    """The cache behind the tokens that every question begins with; None where there are none."""
    if not prefix:
        return None
    ids = torch.tensor([prefix], device=base.device)
    return causal.get_decoder()(input_ids=ids, use_cache=True).past_key_values


def _ask_batch(
    base: LoadedBase, causal: Any, batch: list[EncodedQuestion], prefix: tuple[int, ...], beginning: Any
) -> list[QuestionLosses]:
    read = _read_questions(base, causal, batch, len(prefix), beginning)
    rows = torch.tensor(
        [row for row, question in enumerate(batch) for _ in question.answers], device=base.device, dtype=torch.long
    )
    losses = iter(_answer_losses(base, causal, batch, read, rows))
    answered = [
        QuestionLosses(id=question.question.id, losses=tuple(next(losses) for _ in question.answers))
        for question in batch
    ]
    for question in answered:
        if not all(map(math.isfinite, question.losses)):
            raise LossNotFinite(
                f"The loss of an answer to the general question {question.id} is not a number.",
                hint="Lower the learning rate; if the untouched base was being asked, pull the base model again.",
                details={"question": question.id},
            )
    return answered


def _read_questions(base: LoadedBase, causal: Any, batch: list[EncodedQuestion], prefix: int, beginning: Any) -> _Read:
    """The questions padded on the left, behind what all begin with."""
    own = [question.shared[prefix:] for question in batch]
    width = max(map(len, own))
    ids = torch.tensor([[0] * (width - len(each)) + list(each) for each in own], device=base.device)
    filled = [[1] * prefix + [0] * (width - len(each)) + [1] * len(each) for each in own]
    mask = torch.tensor(filled, device=base.device)
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, prefix:]
    cache = copy.deepcopy(beginning)
    if cache is not None:
        cache.batch_select_indices(torch.zeros(len(batch), dtype=torch.long, device=base.device))
    output = causal.get_decoder()(
        input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True
    )
    return _Read(output.past_key_values, mask, output.last_hidden_state[:, -1])


def _answer_losses(
    base: LoadedBase, causal: Any, batch: list[EncodedQuestion], read: _Read, rows: torch.Tensor
) -> list[float]:
    """The mean loss of every answer, one after the other.

    The first token of an answer is predicted behind its question, each other one behind the token before it; the last
    one therefore need not be read.
    """
    answers = [answer for question in batch for answer in question.answers]
    width = max(len(answer.ids) for answer in answers)
    targets = torch.tensor([[*answer.ids, *[0] * (width - len(answer.ids))] for answer in answers], device=base.device)
    hidden = read.last[rows][:, None]
    if width > 1:
        follows = torch.tensor([[int(i < len(a.ids) - 1) for i in range(width - 1)] for a in answers])
        mask = torch.cat([read.mask[rows], follows.to(base.device)], dim=1)
        places = (mask.cumsum(dim=1) - 1)[:, read.mask.shape[1] :]
        read.cache.batch_select_indices(rows)
        output = causal.get_decoder()(
            input_ids=targets[:, :-1],
            attention_mask=mask,
            position_ids=places,
            past_key_values=read.cache,
            use_cache=True,
        )
        hidden = torch.cat([hidden, output.last_hidden_state], dim=1)
    scored = torch.tensor(
        [[answer.scored_from <= i < len(answer.ids) for i in range(width)] for answer in answers], device=base.device
    )
    logits = causal.get_output_embeddings()(hidden[scored]).float()
    sums = torch.zeros(len(answers), device=base.device)
    each = cross_entropy(logits, targets[scored], reduction="none")
    sums.index_add_(0, scored.nonzero()[:, 0], each)
    means: list[float] = (sums / scored.sum(dim=1)).tolist()
    return means
