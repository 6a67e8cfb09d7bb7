"""One row of a step as tensors: its sequences joined without padding, or padded to one length."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass
from itertools import pairwise

import torch

from brightrun.runs.examples import TokenizedExample
from brightrun.templating.batches import Step
from brightrun.templating.chat_model import IGNORE_INDEX


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Token ids, positions and labels of shape (batch, length); the batch is 1 where the row is packed.

    `weights` has one for each trained token, in order; None where all count 1.
    """

    input_ids: list[list[int]]
    position_ids: list[list[int]]
    labels: list[list[int]]
    attention_mask: list[list[int]] | None
    tokens: int
    trained_tokens: int
    weights: list[float] | None = None

    def tensors(self, device: torch.device) -> dict[str, torch.Tensor]:
        """What the model's forward takes."""
        parts: dict[str, list[list[int]]] = {
            "input_ids": self.input_ids,
            "position_ids": self.position_ids,
            "labels": self.labels,
        }
        if self.attention_mask is not None:
            parts["attention_mask"] = self.attention_mask
        return {name: torch.tensor(value, device=device) for name, value in parts.items()}


def build_micro_batches(
    step: Step, examples: Items[TokenizedExample], *, packing: bool, pad_id: int
) -> list[MicroBatch]:
    """The rows of a step. Padded rows hold one sequence each.

    A packed row tells its sequences apart by positions that begin again at 0: with no attention mask given,
    transformers keeps them from attending to one another (tested: packed and single give the same loss).
    """
    build = _packed if packing else _padded
    return [build([examples[index] for index in micro_batch], pad_id) for micro_batch in step.micro_batches]


def _packed(parts: list[TokenizedExample], _pad_id: int) -> MicroBatch:
    return MicroBatch(
        input_ids=[[token for part in parts for token in part.encoded.input_ids]],
        position_ids=[[position for part in parts for position in part.encoded.position_ids]],
        labels=[[label for part in parts for label in part.encoded.labels()]],
        attention_mask=None,
        tokens=sum(part.size.tokens for part in parts),
        trained_tokens=sum(part.size.trained_tokens for part in parts),
        weights=_weights(parts),
    )


def _padded(parts: list[TokenizedExample], pad_id: int) -> MicroBatch:
    rows = [row for part in parts for row in _sequences(part)]
    width = max(len(ids) for ids, _ in rows)
    return MicroBatch(
        input_ids=[ids + [pad_id] * (width - len(ids)) for ids, _ in rows],
        position_ids=[[*range(width)] for _ in rows],
        labels=[labels + [IGNORE_INDEX] * (width - len(labels)) for _, labels in rows],
        attention_mask=[[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in rows],
        tokens=sum(part.size.tokens for part in parts),
        trained_tokens=sum(part.size.trained_tokens for part in parts),
        weights=_weights(parts),
    )


def _sequences(part: TokenizedExample) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of each of the example's sequences."""
    ids, labels = part.encoded.input_ids, part.encoded.labels()
    cuts = pairwise((*part.encoded.sequence_starts, len(ids)))
    return [(ids[start:end], labels[start:end]) for start, end in cuts]


def _weights(parts: list[TokenizedExample]) -> list[float] | None:
    if not any(part.encoded.answer_weights for part in parts):
        return None
    return [weight for part in parts for weight in part.encoded.token_weights()]
