"""Peak memory of a run, tensor by tensor, from the model's shapes.

The formulae were derived by counting what autograd saves in the worker's own training step and by measuring peaks
(`benchmarks/memory.py`); each says where it comes from. Sizes that follow from shapes are exact, the rest has a band.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from brightrun.catalogue.models import BaseModelEntry
from brightrun.contract.hyperparameters import DeviceKind, Hyperparameters, Precision
from brightrun.runs.activations import mask_bytes, saved_per_token
from brightrun.runs.flops import MicroBatchSize

HEAD_TILE = (4096, 32768)
"""TRL 1.16 computes the output head in tiles of so many positions × words (`trl/kernels/chunked_logprob.py`)."""
HEAD_TILES = {"cpu": 8.25, "cuda": 1.0}
"""Tiles alive at once in the head's backward. CPU: eight in fp32 and one of bytes (counted by the profiler at SmolLM2's
shape, 2026-11-25); with Triton the one that is overwritten in place (read in the source)."""
PROGRAM_BYTES = {"cpu": 395_000_000, "cuda": 1_200_000_000}
"""CPU: Python with the training stack by the end of a step, measured 2026-11-25, without the libraries' mapped files:
165 to 265 MB more were resident, as the machine had read before; they are given back when memory is short.
CUDA: context, libraries' workspaces and loaded kernels; assumed."""
HEAP_LOSS = {False: 1.4, True: 1.3}
"""What the C library's heap wastes, as a share of the activations of all layers, without and with recomputation.

glibc 2.36 gives out aligned blocks that the next request of the same size cannot reuse, and rows of several lengths
leave holes that fit none of the others: with rows of one length it is 0.85 and 0.58. Fitted 2026-11-25 to two shapes
at rows of 100 to 1,100 (`benchmarks/memory.py`). With every block mapped on its own (MALLOC_MMAP_THRESHOLD_) the waste
is gone, and a step takes a third longer."""
UNPACKED_HOLES = 0.6
"""And the holes that projections in 4 bits leave where they were unpacked for a moment, as a share of them all in fp32.
Fitted 2026-11-25 to two shapes (`benchmarks/memory.py`)."""
HEAP_BLOCK_BYTES = 32 * 1024**2
"""Blocks of this size and more are mapped on their own and given back (glibc, DEFAULT_MMAP_THRESHOLD_MAX)."""
CUDA_ALLOCATOR_LOSS = 0.05
"""Share of what comes and goes that PyTorch's CUDA allocator holds without using it; assumed."""
MOVING_BAND = 0.25
"""How far off the figure what comes and goes may be. CPU: measured peaks, and runs whose rows are all as long as each
other need less; CUDA: assumed, nothing was measured."""
STATIC_BAND = 0.03


class MemoryPart(BaseModel):
    """What some of the memory is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    title: str
    bytes: int = Field(ge=0)


class MemoryEstimate(BaseModel):
    """Bytes by purpose at the moment of the peak; `total_bytes` is their sum, the band is around it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: tuple[MemoryPart, ...]
    total_bytes: int
    low_bytes: int
    high_bytes: int
    obtained: str

    def bytes_of(self, *keys: str) -> int:
        """Of the parts with those keys together. Raises KeyError where one is unknown."""
        known = {part.key: part.bytes for part in self.parts}
        return sum(known[key] for key in keys)


def estimate_memory(
    entry: BaseModelEntry,
    hyperparameters: Hyperparameters,
    *,
    adapter_parameters: int,
    micro_batches: Iterable[MicroBatchSize],
    kind: DeviceKind,
) -> MemoryEstimate:
    """The peak of a run that computes these rows: that of the row which needs most.

    It is reached while the loss is turned back into gradients: everything that lasts, what the forward pass kept, and
    the larger of the output head's tiles and one layer's activations with their gradients.
    """
    held = hyperparameters.resolve(kind)
    lasting = [
        ("program", "the program itself", PROGRAM_BYTES[kind]),
        *_base(entry, held),
        ("adapter", "adapter, fp32", 4 * adapter_parameters),
        ("gradients", "its gradients, fp32", 4 * adapter_parameters),
        ("optimizer", "the optimizer's states", int(_state_bytes(hyperparameters.optim) * adapter_parameters)),
    ]
    moving = max((_moving(micro_batch, entry, hyperparameters, held) for micro_batch in micro_batches), key=_total)
    parts = [*lasting, *moving]
    static, dynamic = _total(lasting), _total(moving)
    return MemoryEstimate(
        parts=tuple(MemoryPart(key=key, title=title, bytes=size) for key, title, size in parts),
        total_bytes=static + dynamic,
        low_bytes=int(static * (1 - STATIC_BAND) + dynamic * (1 - MOVING_BAND)),
        high_bytes=int(static * (1 + STATIC_BAND) + dynamic * (1 + MOVING_BAND)),
        obtained=_OBTAINED[kind],
    )


_OBTAINED = {
    "cpu": "counted from shapes; the heap's waste and the program were measured on 2026-11-25",
    "cuda": "counted from shapes; the program's share and the allocator's are assumed, no GPU was measured",
}

_Part = tuple[str, str, int]


def _total(parts: list[_Part]) -> int:
    return sum(size for _, _, size in parts)


def _base(entry: BaseModelEntry, held: Precision) -> list[_Part]:
    """The frozen model. Only the layers' projections are ever quantized: transformers skips the output head, and
    embeddings and norms are not linear."""
    tables = entry.head_parameters * (1 if entry.tied_embeddings else 2)
    norms = (2 * entry.layers + 1) * entry.hidden_size
    named = "NF4" if held.quantized else held.compute
    return [
        ("projections", f"projections, {named}", int(entry.linear_parameters * held.weight_bytes)),
        ("embeddings", f"embeddings and output head, {held.compute}", tables * held.width),
        ("norms", f"norms, {held.compute}", norms * held.width),
    ]


def base_bytes(entry: BaseModelEntry, held: Precision) -> int:
    """The frozen base model alone, as it is held."""
    return _total(_base(entry, held))


def _state_bytes(optim: str) -> float:
    """AdamW keeps two moments of every weight: fp32, or 8 bit with a scale per block of 256 (arXiv 2110.02861)."""
    return 2 * (1 + 4 / 256) if "8bit" in optim else 8.0


def _moving(
    micro_batch: MicroBatchSize, entry: BaseModelEntry, hyperparameters: Hyperparameters, held: Precision
) -> list[_Part]:
    tokens = micro_batch.computed_tokens
    saved = saved_per_token(entry, hyperparameters, kind=held.kind, masked=micro_batch.is_masked)
    everything = tokens * saved * entry.layers
    kept = tokens * entry.hidden_size * held.width * entry.layers if held.gradient_checkpointing else everything
    layer = tokens * (saved + _gradients_per_token(entry, held)) if held.gradient_checkpointing else 0
    dequantized = 2 * held.width * max(i * o for i, o in entry.projection_shapes().values()) if held.quantized else 0
    work = max(_head_bytes(micro_batch, entry, held), layer)
    unused = _allocator(micro_batch, entry, hyperparameters, held, kept + work + dequantized)
    mask = mask_bytes(micro_batch, entry, kind=held.kind, gradient_checkpointing=held.gradient_checkpointing)
    return [
        (
            "activations",
            "layers' inputs for recomputing" if held.gradient_checkpointing else "activations of all layers",
            kept,
        ),
        ("mask", "attention masks", mask),
        ("work", "working set: the output head or a layer", work),
        ("dequantized", "projections unpacked while in use", dequantized),
        ("allocator", "held by the allocator, unused", unused),
    ]


def _gradients_per_token(entry: BaseModelEntry, held: Precision) -> int:
    """Gradients alive in one layer's backward: three inner widths, four hidden ones, two more in fp32 in the norms."""
    return held.width * (3 * entry.intermediate_size + 4 * entry.hidden_size) + 8 * entry.hidden_size


def _head_bytes(micro_batch: MicroBatchSize, entry: BaseModelEntry, held: Precision) -> int:
    """Tiles of the output head; a CPU scores every position, with Triton only those trained on."""
    scored = micro_batch.computed_tokens if held.kind == "cpu" else micro_batch.trained_tokens
    tile = min(scored, HEAD_TILE[0]) * min(entry.vocab_size, HEAD_TILE[1]) * held.width
    return int(tile * HEAD_TILES[held.kind]) + scored * entry.hidden_size * (4 + held.width)


def _allocator(
    micro_batch: MicroBatchSize, entry: BaseModelEntry, hyperparameters: Hyperparameters, held: Precision, moving: int
) -> int:
    if held.kind == "cuda":
        return int(CUDA_ALLOCATOR_LOSS * moving)
    tokens, width = micro_batch.computed_tokens, held.width
    without = hyperparameters.model_copy(update={"lora_dropout": 0.0})
    in_heap = saved_per_token(entry, without, kind="cpu", masked=False)
    if tokens * entry.intermediate_size * width >= HEAP_BLOCK_BYTES:
        in_heap -= width * entry.intermediate_size * (4 if "down_proj" in hyperparameters.target_modules else 3)
    if tokens * entry.hidden_size * width >= HEAP_BLOCK_BYTES:
        in_heap = 0
    unpacked = sum(i * o for i, o in entry.projection_shapes().values() if i * o * width < HEAP_BLOCK_BYTES)
    holes = UNPACKED_HOLES * unpacked * width * entry.layers if held.quantized else 0
    return int(HEAP_LOSS[held.gradient_checkpointing] * tokens * entry.layers * in_heap + holes)
