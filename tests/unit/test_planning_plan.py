"""Plans: the trainer's own steps, exact adapter sizes, time and memory that follow the notes' arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from brightrun.catalogue.gpus import find_gpu
from brightrun.catalogue.models import BaseModelEntry, find_model
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.errors import RecipeError
from brightrun.planning.device import DeviceGuess, guess_gpu
from brightrun.planning.phases import ValidationSet
from brightrun.planning.plan import NO_VALIDATION, TrainingPlan, plan_shape, shape_run
from brightrun.runs.flops import make_micro_batch, micro_batch_flops
from brightrun.templating.batches import ExampleSize, plan_steps

SMOL = find_model("smollm2-135m-instruct")
LLAMA = find_model("llama-3-70b-instruct")
MIXED = [ExampleSize(300 + 90 * n, 150 + 40 * n, 1 + n % 4) for n in range(11)]
LAPTOP = DeviceGuess(
    kind="cpu",
    name="a laptop",
    flops_per_second=60e9,
    low_factor=0.65,
    high_factor=1.35,
    memory_bytes=16 * 10**9,
    obtained="told",
)


def plan_training(
    sizes: Sequence[ExampleSize],
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    *,
    device: DeviceGuess,
    validation: ValidationSet = NO_VALIDATION,
) -> TrainingPlan:
    """The plan of a run on that device."""
    return plan_shape(shape_run(sizes, hyperparameters, entry, device.kind), device, validation)


def adapter_of(entry: BaseModelEntry, chosen: Hyperparameters) -> int:
    return entry.adapter_parameters(chosen.r, chosen.target_modules)


def settings(**changes: object) -> Hyperparameters:
    return Hyperparameters.model_validate({"max_seq_length": 4096, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"r": 16}, 207_093_760),
        ({"r": 8}, 103_546_880),
        ({"r": 16, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}, 65_536_000),
    ],
)
def test_adapter_parameters_of_llama_3_70b_are_exact(changes: dict[str, object], expected: int) -> None:
    assert adapter_of(LLAMA, settings(**changes)) == expected


def test_an_adapter_on_an_unknown_module_is_refused() -> None:
    with pytest.raises(RecipeError, match="lm_head"):
        adapter_of(LLAMA, settings(target_modules=["q_proj", "lm_head"]))


@pytest.mark.parametrize("changes", [{}, {"batch_size": 2}, {"num_epochs": 1.4}, {"max_steps": 3}, {"seed": 7}])
def test_steps_and_tokens_are_the_trainers_own(changes: dict[str, object]) -> None:
    chosen = settings(**changes)
    plan = plan_training(MIXED, chosen, SMOL, device=LAPTOP)
    steps = plan_steps(
        MIXED,
        batch_size=chosen.batch_size,
        gradient_accumulation_steps=chosen.gradient_accumulation_steps,
        num_epochs=chosen.num_epochs,
        max_steps=chosen.max_steps,
        seed=chosen.seed,
    )
    assert plan.steps == len(steps)
    assert plan.tokens_total == sum(
        MIXED[i].tokens for step in steps for micro_batch in step.micro_batches for i in micro_batch
    )
    longest_row = max(sum(MIXED[i].tokens for i in micro_batch) for step in steps for micro_batch in step.micro_batches)
    assert plan.largest_micro_batch_tokens == longest_row


def test_sums_over_the_data() -> None:
    plan = plan_training(MIXED, settings(num_epochs=2), SMOL, device=LAPTOP)
    assert (plan.examples, plan.answers) == (11, sum(size.answers for size in MIXED))
    assert plan.tokens_per_epoch == sum(size.tokens for size in MIXED)
    assert plan.trained_tokens_per_epoch == sum(size.trained_tokens for size in MIXED)
    assert plan.tokens_total == 2 * plan.tokens_per_epoch
    assert plan.longest_tokens == 1200
    assert plan.padding_tokens == 0
    assert plan.evaluation is None
    assert TrainingPlan.model_validate_json(plan.model_dump_json()) == plan


def test_rows_without_packing_are_padded_and_cost_more() -> None:
    packed = plan_training(MIXED, settings(batch_size=8), SMOL, device=LAPTOP)
    padded = plan_training(MIXED, settings(batch_size=8, packing=False), SMOL, device=LAPTOP)
    assert padded.padding_tokens > 0
    assert padded.tokens_total == packed.tokens_total
    assert padded.largest_micro_batch_tokens > packed.largest_micro_batch_tokens


def test_time_grows_with_the_epochs_and_falls_with_speed() -> None:
    one = plan_training(MIXED, settings(num_epochs=1), SMOL, device=LAPTOP).training
    three = plan_training(MIXED, settings(num_epochs=3), SMOL, device=LAPTOP).training
    faster = LAPTOP.model_copy(update={"flops_per_second": 120e9})
    halved = plan_training(MIXED, settings(num_epochs=1), SMOL, device=faster).training
    assert three.expected_seconds == pytest.approx(3 * one.expected_seconds, rel=0.15)
    assert halved.expected_seconds == pytest.approx(one.expected_seconds / 2)
    assert one.low_seconds == pytest.approx(0.65 * one.expected_seconds)
    assert one.high_seconds == pytest.approx(1.35 * one.expected_seconds)
    assert one.obtained == "told"


def test_evaluations_are_counted_before_along_and_after() -> None:
    two = plan_training(
        MIXED, settings(evaluations=2), SMOL, device=LAPTOP, validation=ValidationSet(tuple(MIXED[:3]))
    ).evaluation
    six = plan_training(
        MIXED, settings(evaluations=6), SMOL, device=LAPTOP, validation=ValidationSet(tuple(MIXED[:3]))
    ).evaluation
    assert two is not None
    assert six is not None
    base, tuned = two.expected_seconds, six.expected_seconds
    assert tuned - base == pytest.approx(4 * (base / 3), rel=0.06)  # before, along but for the last, and after


def test_operations_per_token_of_the_reference_run() -> None:
    """SmolLM2 at a row of 500: 0.68 GFLOP per token, with which 95 tokens/s are 65 GFLOP/s."""
    micro_batch = make_micro_batch([ExampleSize(500, 300, 2)], packing=True)
    adapter = adapter_of(SMOL, settings())
    assert adapter == 4_884_480
    matmul_flops, attention_counted = micro_batch_flops(
        micro_batch, SMOL, adapter, gradient_checkpointing=False, every_position_scored=True
    )
    linear, head = 4 * 106_168_320 + 6 * 4_884_480, 6 * 49152 * 576
    attention_flops = 3.5 * 2 * 500 * 576 * 30
    assert matmul_flops / 500 == pytest.approx(linear + head)
    assert attention_counted / 500 == pytest.approx(attention_flops)


@pytest.mark.parametrize(("gradient_checkpointing", "gigaflop"), [(True, 428), (False, 288)])
def test_operations_per_token_of_llama_3_70b_agree_with_the_training_notes(
    gradient_checkpointing: bool, gigaflop: int
) -> None:
    micro_batch = make_micro_batch([ExampleSize(2048, 1331, 3)], packing=True)
    adapter = adapter_of(LLAMA, settings())
    counted = micro_batch_flops(
        micro_batch, LLAMA, adapter, gradient_checkpointing=gradient_checkpointing, every_position_scored=False
    )
    assert sum(counted) / 2048 / 1e9 == pytest.approx(gigaflop, rel=0.02)


def test_a_plan_says_whether_it_fits() -> None:
    roomy = plan_training(MIXED, settings(), SMOL, device=LAPTOP)
    tight = plan_training(MIXED, settings(), SMOL, device=LAPTOP.model_copy(update={"memory_bytes": 10**9}))
    unknown = plan_training(MIXED, settings(), SMOL, device=LAPTOP.model_copy(update={"memory_bytes": None}))
    assert (roomy.fits, tight.fits, unknown.fits) == (True, False, None)


def test_a_70b_fits_an_h100_and_not_a_4090() -> None:
    sizes = [ExampleSize(1886, 1226, 3)] * 242
    chosen = settings(batch_size=16, gradient_accumulation_steps=1)
    h100 = plan_training(sizes, chosen, LLAMA, device=guess_gpu(find_gpu("h100-pcie"), LLAMA, chosen))
    rtx = plan_training(sizes, chosen, LLAMA, device=guess_gpu(find_gpu("rtx-4090"), LLAMA, chosen))
    assert (h100.fits, rtx.fits) == (True, False)
    assert 20 * 60 < h100.training.expected_seconds < 40 * 60
    assert "nothing is recorded" in h100.training.obtained
