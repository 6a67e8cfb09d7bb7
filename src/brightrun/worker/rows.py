"""One row of a step as tensors: its sequences joined without padding, or padded to one length."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass

import torch

from brightrun.chat.batches import Step
from brightrun.worker.sequences import Sequence

_NOT_LEARNT = -100


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids, positions and labels of shape (batch, length); the batch is 1 where the row is packed."""

    input_ids: list[list[int]]
    position_ids: list[list[int]]
    labels: list[list[int]]
    attention_mask: list[list[int]] | None
    tokens: int
    learnt_tokens: int

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


def build_rows(step: Step, sequences: Items[Sequence], *, packing: bool, pad_id: int) -> list[Row]:
    """The rows of a step.

    A packed row tells its sequences apart by positions that begin again at 0: with no attention mask given,
    transformers keeps them from attending to one another (tested: packed and single give the same loss).
    """
    build = _packed_row if packing else _padded_row
    return [build([sequences[index] for index in row], pad_id) for row in step.rows]


def _packed_row(parts: list[Sequence], _pad_id: int) -> Row:
    return Row(
        input_ids=[[token for part in parts for token in part.encoded.input_ids]],
        position_ids=[[position for part in parts for position in range(len(part.encoded.input_ids))]],
        labels=[[label for part in parts for label in part.encoded.labels()]],
        attention_mask=None,
        tokens=sum(part.size.tokens for part in parts),
        learnt_tokens=sum(part.size.learnt_tokens for part in parts),
    )


def _padded_row(parts: list[Sequence], pad_id: int) -> Row:
    width = max(part.size.tokens for part in parts)
    gaps = [width - part.size.tokens for part in parts]
    pairs = list(zip(parts, gaps, strict=True))
    return Row(
        input_ids=[part.encoded.input_ids + [pad_id] * gap for part, gap in pairs],
        position_ids=[[*range(width)] for _ in pairs],
        labels=[part.encoded.labels() + [_NOT_LEARNT] * gap for part, gap in pairs],
        attention_mask=[[1] * part.size.tokens + [0] * gap for part, gap in pairs],
        tokens=sum(part.size.tokens for part in parts),
        learnt_tokens=sum(part.size.learnt_tokens for part in parts),
    )
