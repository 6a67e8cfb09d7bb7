"""Memory by tensor: exact where shapes decide, the notes' figures for 70B, and what each setting changes."""

from __future__ import annotations

import pytest

from brightrun.catalogue.models import BaseModelEntry, find_model
from brightrun.contract.hyperparameters import DeviceKind, Hyperparameters
from brightrun.runs.activations import mask_bytes, saved_per_token
from brightrun.runs.flops import MicroBatchSize, make_micro_batch
from brightrun.runs.memory import MemoryEstimate, estimate_memory
from brightrun.templating.batches import ExampleSize

SMOL = find_model("smollm2-135m-instruct")
LLAMA = find_model("llama-3-70b-instruct")
ROW_OF_8192 = make_micro_batch([ExampleSize(2048, 1331, 3)] * 4, packing=True)


def micro_batch(tokens: int, examples: int = 1) -> MicroBatchSize:
    return make_micro_batch([ExampleSize(tokens, tokens * 2 // 3, 1)] * examples, packing=True)


def memory_of_70b(micro_batch: MicroBatchSize = ROW_OF_8192, **changes: object) -> MemoryEstimate:
    chosen = Hyperparameters.model_validate({"lora_dropout": 0.0, **changes})
    parameters = adapter_of(LLAMA, chosen)
    return estimate_memory(LLAMA, chosen, adapter_parameters=parameters, micro_batches=[micro_batch], kind="cuda")


def adapter_of(entry: BaseModelEntry, chosen: Hyperparameters) -> int:
    return entry.adapter_parameters(chosen.r, chosen.target_modules)


def memory_of_smol(micro_batch: MicroBatchSize, kind: DeviceKind = "cpu", **changes: object) -> MemoryEstimate:
    chosen = Hyperparameters.model_validate({"lora_dropout": 0.0, **changes})
    parameters = adapter_of(SMOL, chosen)
    return estimate_memory(SMOL, chosen, adapter_parameters=parameters, micro_batches=[micro_batch], kind=kind)


def test_the_static_base_of_llama_3_70b_is_that_of_the_training_notes() -> None:
    memory = memory_of_70b()
    assert memory.bytes_of("projections", "embeddings", "norms") == pytest.approx(39.52e9, abs=0.01e9)
    assert memory.bytes_of("projections") == pytest.approx(35.31e9, abs=0.01e9)
    assert memory.bytes_of("embeddings") == 2 * 2 * 1_050_673_152
    assert memory.bytes_of("norms") == 2 * 1_318_912


def test_adapter_gradients_and_optimizer_of_70b_are_counted_in_fp32() -> None:
    memory = memory_of_70b()
    assert memory.bytes_of("adapter") == memory.bytes_of("gradients") == 4 * 207_093_760
    assert memory.bytes_of("optimizer") == 8 * 207_093_760


def test_activations_of_70b_at_8192_tokens() -> None:
    memory = memory_of_70b()
    assert memory.bytes_of("activations") == 8192 * 8192 * 2 * 80  # 10.74 GB of layers' inputs
    assert memory.total_bytes == pytest.approx(62e9, rel=0.03)
    assert memory.total_bytes == sum(part.bytes for part in memory.parts)
    assert memory.low_bytes < memory.total_bytes < memory.high_bytes


@pytest.mark.parametrize(("dropout", "kilobytes"), [(0.0, 365), (0.05, 508)])
def test_a_layer_of_70b_keeps_what_the_notes_counted(dropout: float, kilobytes: int) -> None:
    chosen = Hyperparameters(lora_dropout=dropout)
    assert saved_per_token(LLAMA, chosen, kind="cuda", masked=False) / 1e3 == pytest.approx(kilobytes, abs=0.6)


@pytest.mark.parametrize(("dropout", "counted"), [(0.0, 243_134_798), (0.05, 416_856_398)])
def test_saved_tensors_of_smollm2_at_200_tokens_are_those_that_hooks_counted(dropout: float, counted: int) -> None:
    """`saved_tensors_hooks` in the worker's step, 2026-11-25; the head's and the rotary tables' few bytes aside."""
    saved = saved_per_token(SMOL, Hyperparameters(lora_dropout=dropout), kind="cpu", masked=False)
    assert 200 * SMOL.layers * saved == pytest.approx(counted, rel=0.004)


def test_adapters_on_fewer_modules_keep_fewer_inputs() -> None:
    def saved(*modules: str, dropout: float = 0.0) -> int:
        chosen = Hyperparameters(target_modules=modules, lora_dropout=dropout)
        return saved_per_token(SMOL, chosen, kind="cpu", masked=False)

    hidden, inner, rank = SMOL.hidden_size, SMOL.intermediate_size, 16
    assert saved("q_proj", "v_proj") - saved("q_proj") == 4 * rank  # they share one input
    assert saved("q_proj", "down_proj") - saved("q_proj") == 4 * (rank + inner)
    assert saved("q_proj", "v_proj", dropout=0.1) - saved("q_proj", dropout=0.1) == 4 * rank + 8 * hidden


@pytest.mark.parametrize(
    ("tokens", "changes", "measured_mb"),
    [
        (150, {}, 1763),
        (500, {}, 2918),
        (1100, {}, 5574),
        (500, {"lora_dropout": 0.1}, 3551),
        (500, {"gradient_checkpointing": "on"}, 2442),
        (500, {"r": 64}, 3427),
        (300, {"quantization": "nf4"}, 2123),
    ],
)
def test_the_peaks_that_were_measured_on_a_cpu(tokens: int, changes: dict[str, object], measured_mb: int) -> None:
    """Eight rows of up to so many tokens at SmolLM2's shape, two threads, 2026-11-25: `benchmarks/memory.py`."""
    found = memory_of_smol(micro_batch(tokens), **changes)
    assert found.total_bytes / 1e6 == pytest.approx(measured_mb, rel=0.1)
    assert found.low_bytes / 1e6 < measured_mb < found.high_bytes / 1e6


def test_a_joined_row_needs_more_than_a_single_one_of_its_length() -> None:
    joined, single = memory_of_smol(micro_batch(300, 2)), memory_of_smol(micro_batch(600))
    assert joined.bytes_of("mask") == 600**2 * (1 + 4 * SMOL.layers)
    assert single.bytes_of("mask") == 0
    assert joined.bytes_of("activations") > single.bytes_of("activations")
    assert memory_of_smol(micro_batch(200, 3)).total_bytes / 1e6 == pytest.approx(3693, rel=0.1)  # measured


def test_padded_rows_have_masks_of_their_own_length() -> None:
    padded = make_micro_batch([ExampleSize(300, 200, 1), ExampleSize(100, 60, 1)], packing=False)
    assert mask_bytes(padded, SMOL, kind="cpu", gradient_checkpointing=True) == 2 * 300**2 * 5


def test_the_row_that_needs_most_decides() -> None:
    parameters = adapter_of(SMOL, Hyperparameters())
    both = estimate_memory(
        SMOL,
        Hyperparameters(),
        adapter_parameters=parameters,
        micro_batches=[micro_batch(100), micro_batch(900), micro_batch(300)],
        kind="cpu",
    )
    alone = estimate_memory(
        SMOL, Hyperparameters(), adapter_parameters=parameters, micro_batches=[micro_batch(900)], kind="cpu"
    )
    assert both == alone


def test_an_8_bit_optimizer_an_unquantized_base_and_kept_activations_change_the_memory() -> None:
    usual = memory_of_70b()
    assert memory_of_70b(optim="paged_adamw_8bit").bytes_of("optimizer") < usual.bytes_of("optimizer") / 3.9
    whole = memory_of_70b(quantization="none")
    assert whole.bytes_of("projections") == 2 * LLAMA.linear_parameters
    assert whole.bytes_of("dequantized") == 0
    kept = memory_of_70b(gradient_checkpointing="off")
    assert kept.bytes_of("activations") > 20 * usual.bytes_of("activations")


def test_the_head_is_tiled_and_on_a_gpu_scores_trained_positions_only() -> None:
    short = make_micro_batch([ExampleSize(3000, 1, 1)], packing=True)
    long = make_micro_batch([ExampleSize(3000, 2000, 1)], packing=True)
    assert memory_of_smol(short, kind="cpu").total_bytes == memory_of_smol(long, kind="cpu").total_bytes
    tiny_layers = SMOL.model_copy(update={"layers": 1})
    chosen = Hyperparameters(lora_dropout=0.0)

    def work(micro_batch: MicroBatchSize) -> int:
        return estimate_memory(
            tiny_layers, chosen, adapter_parameters=1, micro_batches=[micro_batch], kind="cuda"
        ).bytes_of("work")

    assert work(long) >= 2000 * 32768 * 2
    assert work(short) < work(long)


def test_a_part_that_is_not_there_is_not_zero() -> None:
    with pytest.raises(KeyError):
        memory_of_70b().bytes_of("imagination")


def test_projections_in_4_bits_leave_holes_where_they_were_unpacked_unless_each_is_mapped_alone() -> None:
    """A block of 32 MiB and more is given back as a whole (`HEAP_BLOCK_BYTES`)."""
    small = memory_of_smol(micro_batch(64), quantization="nf4").bytes_of("allocator")
    whole = memory_of_smol(micro_batch(64)).bytes_of("allocator")
    assert small - whole == pytest.approx(0.6 * 4 * SMOL.linear_parameters, rel=1e-6)
    wide = SMOL.model_copy(update={"hidden_size": 4096, "intermediate_size": 8192, "heads": 64, "kv_heads": 32})
    assert min(inputs * outputs for inputs, outputs in wide.projection_shapes().values()) * 4 >= 32 * 1024**2
    both = [
        estimate_memory(
            wide,
            Hyperparameters.model_validate({"lora_dropout": 0.0, "quantization": kind}),
            adapter_parameters=1,
            micro_batches=[micro_batch(64)],
            kind="cpu",
        ).bytes_of("allocator")
        for kind in ("nf4", "none")
    ]
    assert both[0] == both[1]
