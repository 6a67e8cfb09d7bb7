"""One row of a step as tensors: its sequences joined without padding, or padded to one length."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass

import torch

from brightrun.runs.examples import TokenizedExample
from brightrun.templating.batches import Step
from brightrun.templating.chat_model import IGNORE_INDEX


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Token ids, positions and labels of shape (batch, length); the batch is 1 where the row is packed."""

    input_ids: list[list[int]]
    position_ids: list[list[int]]
    labels: list[list[int]]
    attention_mask: list[list[int]] | None
    tokens: int
    trained_tokens: int

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
    """The rows of a step.

    A packed row tells its sequences apart by positions that begin again at 0: with no attention mask given,
    transformers keeps them from attending to one another (tested: packed and single give the same loss).
    """
    build = _packed if packing else _padded
    return [build([examples[index] for index in micro_batch], pad_id) for micro_batch in step.micro_batches]


def _packed(parts: list[TokenizedExample], _pad_id: int) -> MicroBatch:
    return MicroBatch(
        input_ids=[[token for part in parts for token in part.encoded.input_ids]],
        position_ids=[[position for part in parts for position in range(len(part.encoded.input_ids))]],
        labels=[[label for part in parts for label in part.encoded.labels()]],
        attention_mask=None,
        tokens=sum(part.size.tokens for part in parts),
        trained_tokens=sum(part.size.trained_tokens for part in parts),
    )


def _padded(parts: list[TokenizedExample], pad_id: int) -> MicroBatch:
    width = max(part.size.tokens for part in parts)
    gaps = [width - part.size.tokens for part in parts]
    pairs = list(zip(parts, gaps, strict=True))
    return MicroBatch(
        input_ids=[part.encoded.input_ids + [pad_id] * gap for part, gap in pairs],
        position_ids=[[*range(width)] for _ in pairs],
        labels=[part.encoded.labels() + [IGNORE_INDEX] * gap for part, gap in pairs],
        attention_mask=[[1] * part.size.tokens + [0] * gap for part, gap in pairs],
        tokens=sum(part.size.tokens for part in parts),
        trained_tokens=sum(part.size.trained_tokens for part in parts),
    )
