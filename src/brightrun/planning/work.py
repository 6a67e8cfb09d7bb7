"""What a row, a loss or an answer asks of a machine: operations, bytes, launches. Knows no machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from brightrun.catalogue.models import BaseModelEntry
from brightrun.contract.hyperparameters import Hyperparameters, Precision
from brightrun.runs.activations import saved_per_token
from brightrun.runs.flops import MicroBatchSize, forward_flops, micro_batch_flops
from brightrun.runs.memory import NF4_BYTES

FORWARD_SHARE = 1 / 3
"""Of a training step's traffic, what its forward pass alone causes; two thirds are the backward pass's."""
DROPOUT_KERNEL_LAUNCHES = 0.3
"""More operations in a layer with dropout before every adapter, as a share of those without; fitted."""


@dataclass(frozen=True, slots=True)
class Work:
    """Amounts that take time; two of them add up.

    `matmul_flops` and `attention_flops` are floating point operations. `elementwise_bytes`, `head_bytes` and
    `dropped_bytes` are bytes of numbers that are stored, scored or drawn at random, each of which crosses memory
    several times. `kernel_launches` counts layers that are entered, `answer_kernel_launches` the same for one token of
    an answer, `adapter_kernel_launches` those under an adapter. `streamed_bytes` are weights read once."""

    matmul_flops: float = 0.0
    attention_flops: float = 0.0
    elementwise_bytes: float = 0.0
    head_bytes: float = 0.0
    dropped_bytes: float = 0.0
    kernel_launches: float = 0.0
    answer_kernel_launches: float = 0.0
    adapter_kernel_launches: float = 0.0
    streamed_bytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Work)))

    def times(self, factor: float) -> Work:
        return Work(*(getattr(self, field.name) * factor for field in fields(Work)))


def all_of(parts: Iterable[Work]) -> Work:
    return sum(parts, Work())


def training_work(
    micro_batch: MicroBatchSize, entry: BaseModelEntry, hyperparameters: Hyperparameters, adapter: int, held: Precision
) -> Work:
    """One row forward and backward."""
    every = held.kind == "cpu"
    matmul_flops, attention_flops = micro_batch_flops(
        micro_batch, entry, adapter, gradient_checkpointing=held.gradient_checkpointing, every_position_scored=every
    )
    without = hyperparameters.model_copy(update={"lora_dropout": 0.0})
    saved = saved_per_token(entry, without, kind=held.kind, masked=micro_batch.is_masked)
    again = FORWARD_SHARE if held.gradient_checkpointing else 0.0
    dropped = micro_batch.computed_tokens * entry.layers * _dropped(entry, hyperparameters)
    scored = micro_batch.computed_tokens if every else micro_batch.trained_tokens
    return Work(
        matmul_flops=matmul_flops,
        attention_flops=attention_flops,
        elementwise_bytes=micro_batch.computed_tokens * entry.layers * saved * (1 + again),
        head_bytes=float(scored * entry.vocab_size * held.width),
        dropped_bytes=dropped * held.width * (2 if held.gradient_checkpointing else 1),
        kernel_launches=entry.layers * (1 + again) * (1 + (DROPOUT_KERNEL_LAUNCHES if dropped else 0)),
    )


def loss_work(
    micro_batch: MicroBatchSize, entry: BaseModelEntry, hyperparameters: Hyperparameters, adapter: int, held: Precision
) -> Work:
    """The loss of a held-out sequence: forward alone, the head on the learnt positions, no dropout."""
    matmul_flops, attention_flops = forward_flops(micro_batch, entry, adapter)
    without = hyperparameters.model_copy(update={"lora_dropout": 0.0})
    saved = saved_per_token(entry, without, kind=held.kind, masked=micro_batch.is_masked)
    return Work(
        matmul_flops=matmul_flops,
        attention_flops=attention_flops,
        elementwise_bytes=FORWARD_SHARE * micro_batch.computed_tokens * entry.layers * saved,
        head_bytes=FORWARD_SHARE * micro_batch.trained_tokens * entry.vocab_size * held.width,
        kernel_launches=FORWARD_SHARE * entry.layers,
    )


def token_work(entry: BaseModelEntry, adapter: int, held: Precision) -> Work:
    """One more token of every answer of a batch: all weights are read once."""
    per_weight = NF4_BYTES if held.quantized else held.width
    weights = entry.linear_parameters * per_weight + entry.head_parameters * held.width + 4 * adapter
    return Work(
        answer_kernel_launches=float(entry.layers),
        adapter_kernel_launches=float(entry.layers) if adapter else 0.0,
        streamed_bytes=weights,
    )


def _dropped(entry: BaseModelEntry, hyperparameters: Hyperparameters) -> int:
    """Numbers drawn for one token in one layer: every adapter's input has a mask of its own."""
    if hyperparameters.lora_dropout == 0:
        return 0
    shapes = entry.projection_shapes()
    return sum(shapes[name][0] for name in set(hyperparameters.target_modules))
