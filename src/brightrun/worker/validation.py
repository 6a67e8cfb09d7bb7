"""Validation loss, answer by answer: what the proof is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from brightrun.errors import LossNotFinite
from brightrun.runs.examples import TokenizedExample
from brightrun.worker.load_model import LoadedBase


@dataclass(frozen=True, slots=True)
class AnswerLoss:
    """Mean loss of one validation answer, in nats per trained token; `answer_number` counts from 1."""

    conversation_id: str
    answer_number: int
    trained_tokens: int
    loss: float


def measure_losses(
    base: LoadedBase, model: Any, examples: Items[TokenizedExample], *, between: Callable[[], None] = lambda: None
) -> list[AnswerLoss]:
    """The loss of every answer of the validation sequences, one conversation at a time.

    The output head is applied to the trained positions only: the logits of a whole conversation under a vocabulary of
    128,256 would be the largest tensor of the run. `model` is the base, or the base under an adapter. `between` is
    called before each conversation; what it raises ends the measuring, and leaves the model as it was.

    Raises:
        LossNotFinite: a loss is NaN or infinite.
    """
    was_training = model.training
    model.eval()
    losses = []
    try:
        with base.inference():
            for example in examples:
                between()
                losses.extend(_conversation_losses(base, model, example))
    finally:
        model.train(was_training)
    _check_finite(losses)
    return losses


def mean_loss(losses: Items[AnswerLoss]) -> float:
    """Mean over trained tokens, as training's own loss is."""
    tokens = sum(loss.trained_tokens for loss in losses)
    return sum(loss.loss * loss.trained_tokens for loss in losses) / tokens


def _check_finite(losses: Items[AnswerLoss]) -> None:
    for answer in losses:
        if not math.isfinite(answer.loss):
            raise LossNotFinite(
                f"The loss of answer {answer.answer_number} of the validation conversation {answer.conversation_id} "
                f"is {answer.loss}.",
                hint="Lower the learning rate; if the untouched base was being asked, pull the base model again.",
                details={"conversation": answer.conversation_id, "answer": answer.answer_number},
            )


def _conversation_losses(base: LoadedBase, model: Any, example: TokenizedExample) -> list[AnswerLoss]:
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    ids = torch.tensor([example.encoded.input_ids], device=base.device)
    several = len(example.encoded.sequence_starts) > 1
    places = torch.tensor([example.encoded.position_ids], device=base.device) if several else None
    hidden = causal.get_decoder()(input_ids=ids, position_ids=places, use_cache=False).last_hidden_state[0]
    losses = []
    for number, (start, end) in enumerate(example.encoded.answer_spans, start=1):
        # The token at position i is predicted from the hidden state at i - 1.
        logits = causal.get_output_embeddings()(hidden[start - 1 : end - 1]).float()
        loss = cross_entropy(logits, ids[0, start:end])
        losses.append(AnswerLoss(example.conversation_id, number, end - start, float(loss)))
    return losses
