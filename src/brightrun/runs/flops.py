"""Floating point operations of a run, counted from shapes. Knows no machine.

Counts follow the product's training notes, section 2.2: two operations per weight and token in a product; the
backward pass of a frozen weight needs only the gradient of its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brightrun.catalogue.models import BaseModelEntry
from brightrun.templating.batches import ExampleSize, Step


@dataclass(frozen=True, slots=True)
class MicroBatchSize:
    """One forward pass: its sequences' sizes, and the tokens computed, padding included."""

    sizes: tuple[ExampleSize, ...]
    computed_tokens: int

    @property
    def tokens(self) -> int:
        """Real tokens."""
        return sum(size.tokens for size in self.sizes)

    @property
    def trained_tokens(self) -> int:
        """Tokens with loss."""
        return sum(size.trained_tokens for size in self.sizes)

    @property
    def is_joined(self) -> bool:
        """Several sequences one after the other, without padding."""
        return len(self.sizes) > 1 and self.computed_tokens == self.tokens

    @property
    def is_masked(self) -> bool:
        """Whether attention needs a mask: sequences joined or padded to one length."""
        return len(self.sizes) > 1


def make_micro_batch(sizes: Sequence[ExampleSize], *, packing: bool) -> MicroBatchSize:
    """A row as the trainer computes it: joined without padding, or padded to the longest."""
    tokens = sum(size.tokens for size in sizes)
    padded = len(sizes) * max(size.tokens for size in sizes)
    return MicroBatchSize(tuple(sizes), tokens if packing else padded)


def micro_batches_of(steps: Sequence[Step], sizes: Sequence[ExampleSize], *, packing: bool) -> list[MicroBatchSize]:
    """Every row of every step, as the trainer computes them."""
    return [
        make_micro_batch([sizes[index] for index in micro_batch], packing=packing)
        for step in steps
        for micro_batch in step.micro_batches
    ]


def micro_batch_flops(
    micro_batch: MicroBatchSize,
    entry: BaseModelEntry,
    adapter: int,
    *,
    gradient_checkpointing: bool,
    every_position_scored: bool,
) -> tuple[float, float]:
    """Operations of one row, forward and backward: in products of matrices, and in attention.

    Frozen weights 4 (6 with recomputation), adapter weights 6 (8), output head 6 per scored position:
    forward, its recomputation by tiles, the gradient of its input. Attention 3.5 (4.5) times its forward.
    """
    again = 1 if gradient_checkpointing else 0
    per_token = (4 + 2 * again) * entry.linear_parameters + (6 + 2 * again) * adapter
    scored = micro_batch.computed_tokens if every_position_scored else micro_batch.trained_tokens
    head = 6 * entry.head_parameters * scored
    attention_flops = (3.5 + again) * _attention_forward(micro_batch, entry, dense=every_position_scored)
    return float(micro_batch.computed_tokens * per_token + head), float(attention_flops)


def forward_flops(micro_batch: MicroBatchSize, entry: BaseModelEntry, adapter: int) -> tuple[float, float]:
    """Operations of one row where only its loss is wanted, or one token after it: products, and attention."""
    per_token = 2 * (entry.linear_parameters + adapter)
    head = 2 * entry.head_parameters * micro_batch.trained_tokens
    return float(micro_batch.computed_tokens * per_token + head), _attention_forward(micro_batch, entry, dense=False)


def _attention_forward(micro_batch: MicroBatchSize, entry: BaseModelEntry, *, dense: bool) -> float:
    """Scores and weighted values: causal half, or all of a joined row where no kernel knows its borders."""
    width = entry.layers * entry.heads * entry.head_dim
    if dense and micro_batch.is_joined:
        return 4.0 * width * micro_batch.tokens**2
    return 2.0 * width * sum(size.tokens**2 for size in micro_batch.sizes)
