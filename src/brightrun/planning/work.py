"""What a row, a loss or an answer asks of a machine: operations, bytes, launches. Knows no machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from brightrun.catalogue.models import BaseModelEntry
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.planning.activations import saved_per_token
from brightrun.planning.memory import NF4_BYTES, Holding
from brightrun.planning.operations import Row, forward_operations, row_operations

FORWARD_SHARE = 1 / 3
"""Of a training step's traffic, what its forward pass alone causes; two thirds are the backward pass's."""
DROPOUT_LAUNCHES = 0.3
"""More operations in a layer with dropout before every adapter, as a share of those without; fitted."""


@dataclass(frozen=True, slots=True)
class Work:
    """Amounts that take time; two of them add up.

    `products` and `attention` are floating point operations. `layer_bytes`, `head_bytes` and `dropped_bytes` are
    bytes of numbers that are kept, scored or drawn at random, each of which crosses memory several times. `launches`
    counts layers that are entered, `answer_launches` the same for one token of an answer, `adapter_launches` those
    under an adapter. `streamed_bytes` are weights read through for it."""

    products: float = 0.0
    attention: float = 0.0
    layer_bytes: float = 0.0
    head_bytes: float = 0.0
    dropped_bytes: float = 0.0
    launches: float = 0.0
    answer_launches: float = 0.0
    adapter_launches: float = 0.0
    streamed_bytes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Work)))

    def times(self, factor: float) -> Work:
        return Work(*(getattr(self, field.name) * factor for field in fields(Work)))


def all_of(parts: Iterable[Work]) -> Work:
    return sum(parts, Work())


def training_work(
    row: Row, entry: BaseModelEntry, hyperparameters: Hyperparameters, adapter: int, held: Holding
) -> Work:
    """One row forward and backward."""
    every = held.kind == "cpu"
    products, attention = row_operations(row, entry, adapter, recompute=held.recompute, every_position_scored=every)
    without = hyperparameters.model_copy(update={"lora_dropout": 0.0})
    saved = saved_per_token(entry, without, kind=held.kind, masked=row.is_masked)
    again = FORWARD_SHARE if held.recompute else 0.0
    dropped = row.computed_tokens * entry.layers * _dropped(entry, hyperparameters)
    scored = row.computed_tokens if every else row.learnt_tokens
    return Work(
        products=products,
        attention=attention,
        layer_bytes=row.computed_tokens * entry.layers * saved * (1 + again),
        head_bytes=float(scored * entry.vocab_size * held.width),
        dropped_bytes=dropped * held.width * (2 if held.recompute else 1),
        launches=entry.layers * (1 + again) * (1 + (DROPOUT_LAUNCHES if dropped else 0)),
    )


def loss_work(row: Row, entry: BaseModelEntry, hyperparameters: Hyperparameters, adapter: int, held: Holding) -> Work:
    """The loss of a held-out sequence: forward alone, the head on the learnt positions, no dropout."""
    products, attention = forward_operations(row, entry, adapter)
    without = hyperparameters.model_copy(update={"lora_dropout": 0.0})
    saved = saved_per_token(entry, without, kind=held.kind, masked=row.is_masked)
    return Work(
        products=products,
        attention=attention,
        layer_bytes=FORWARD_SHARE * row.computed_tokens * entry.layers * saved,
        head_bytes=FORWARD_SHARE * row.learnt_tokens * entry.vocab_size * held.width,
        launches=FORWARD_SHARE * entry.layers,
    )


def token_work(entry: BaseModelEntry, adapter: int, held: Holding) -> Work:
    """One more token of every answer of a batch: all weights are read once."""
    per_weight = NF4_BYTES if held.quantised else held.width
    weights = entry.linear_parameters * per_weight + entry.head_parameters * held.width + 4 * adapter
    return Work(
        answer_launches=float(entry.layers),
        adapter_launches=float(entry.layers) if adapter else 0.0,
        streamed_bytes=weights,
    )


def _dropped(entry: BaseModelEntry, hyperparameters: Hyperparameters) -> int:
    """Numbers drawn for one token in one layer: every adapter's input has a mask of its own."""
    if hyperparameters.lora_dropout == 0:
        return 0
    shapes = entry.projection_shapes()
    return sum(shapes[name][0] for name in set(hyperparameters.target_modules))
