"""A job's whole plan: phases that add up, GPUs to choose from, and fixes that really make it fit."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from brightrun.catalogue.gpus import find_gpu, load_gpus
from brightrun.catalogue.models import find_model
from brightrun.catalogue.speeds import load_mfu, load_startup
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.states import JobStatus
from brightrun.planning.choice import choose_gpus, gpu_price, largest_batch_size, largest_micro_batch_tokens
from brightrun.planning.cost import HourlyPrice
from brightrun.planning.cpu_benchmark import CpuBenchmark
from brightrun.planning.device import DeviceGuess, guess_gpu, guess_processor
from brightrun.planning.fixes import checked, memory_fixes
from brightrun.planning.job_plan import PHASES, JobPlan, plan_job, priced
from brightrun.planning.mfu import find_mfu
from brightrun.planning.phases import ValidationSet
from brightrun.planning.plan import RunShape, shape_run
from brightrun.planning.work import token_work
from brightrun.runs.steps import checkpoint_steps, evaluation_steps
from brightrun.templating.batches import ExampleSize

SMOL = find_model("smollm2-135m-instruct")
LLAMA = find_model("llama-3-70b-instruct")
MIXED = [ExampleSize(300 + 90 * n, 150 + 40 * n, 1 + n % 4) for n in range(11)]
CONVERSATIONS = [ExampleSize(1886, 1226, 3)] * 242
HELD = ValidationSet(tuple(MIXED[:3]), (120, 140, 90, 200, 60))
PRICE = HourlyPrice(usd_per_hour=Decimal(2), date=datetime.date(2026, 11, 9), source="a list")


def benchmark(**changes: object) -> CpuBenchmark:
    values = {
        "processor": "a processor", "threads": 1, "matmul_flops_per_second": 104e9, "fresh_bytes_per_second": 29e9,
        "streamed_bytes_per_second": 8.8e9, "slowest": 0.97, "fastest": 1.02, "seconds": 10.0,
        "measured_at": datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC), **changes,
    }  # fmt: skip
    return CpuBenchmark.model_validate(values)


def quiet(memory_bytes: int | None = 16 * 10**9) -> DeviceGuess:
    return guess_processor(benchmark(), memory_bytes=memory_bytes)


def small(**changes: object) -> RunShape:
    return shape_run(MIXED, Hyperparameters.model_validate({"lora_dropout": 0.0, **changes}), SMOL, "cpu")


def big(**changes: object) -> RunShape:
    return shape_run(CONVERSATIONS, Hyperparameters.model_validate(changes), LLAMA, "cuda")


@pytest.mark.parametrize(
    ("tokens", "changes", "seconds"),
    [
        (64, {}, 0.729),
        (200, {}, 1.899),
        (400, {}, 4.037),
        (800, {}, 8.681),
        (400, {"lora_dropout": 0.05}, 4.535),
        (400, {"gradient_checkpointing": "on"}, 4.882),
        (400, {"r": 64}, 4.472),
    ],
)
def test_a_row_takes_the_processor_seconds_that_were_measured(
    tokens: int, changes: dict[str, object], seconds: float
) -> None:
    """The worker's own step on SmolLM2, one thread at 104 GFLOP/s and 29 GB/s, 2026-11-25."""
    chosen = Hyperparameters.model_validate({"lora_dropout": 0.0, "num_epochs": 1, **changes})
    shape = shape_run([ExampleSize(tokens, tokens * 2 // 3, 1)], chosen, SMOL, "cpu")
    assert quiet().seconds(shape.work) == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize(
    ("tokens", "changes", "seconds"),
    [
        (64, {}, 0.97),
        (128, {}, 1.34),
        (256, {}, 2.02),
        (600, {}, 4.70),
        (1100, {}, 8.45),
        (128, {"lora_dropout": 0.05}, 1.63),
        (400, {"lora_dropout": 0.05}, 4.05),
        (800, {"lora_dropout": 0.05}, 8.13),
        (256, {"lora_dropout": 0.05, "gradient_checkpointing": "on"}, 3.68),
    ],
)
def test_a_row_takes_the_seconds_that_were_measured_with_two_threads(
    tokens: int, changes: dict[str, object], seconds: float
) -> None:
    """The same on a quiet machine by the clock: 180 GFLOP/s and 28.5 GB/s as measured, 2026-11-25."""
    chosen = Hyperparameters.model_validate({"lora_dropout": 0.0, "num_epochs": 1, **changes})
    shape = shape_run([ExampleSize(tokens, tokens * 2 // 3, 1)], chosen, SMOL, "cpu")
    two = guess_processor(
        benchmark(threads=2, matmul_flops_per_second=180e9, fresh_bytes_per_second=28.5e9), memory_bytes=None
    )
    assert two.seconds(shape.work) == pytest.approx(seconds, rel=0.12)


def test_an_answers_token_takes_longer_with_two_threads_that_have_to_be_woken() -> None:
    """Four answers at once on SmolLM2: 93 and 131 ms a token by the base, 107 and 215 under the adapter, 2026-11-25."""
    held = Hyperparameters().resolve("cpu")
    for threads, streamed, adapter, seconds in (
        (1, 7.6e9, 0, 0.093), (2, 12e9, 0, 0.131), (1, 7.6e9, 4_884_480, 0.107), (2, 12e9, 4_884_480, 0.215),
    ):  # fmt: skip
        device = guess_processor(benchmark(threads=threads, streamed_bytes_per_second=streamed), memory_bytes=None)
        assert device.seconds(token_work(SMOL, adapter, held)) == pytest.approx(seconds, rel=0.12)


def test_the_phases_are_those_of_the_event_log_and_add_up() -> None:
    plan = plan_job(small(), quiet(), validation=HELD)
    assert tuple(plan.phases) == PHASES
    assert {JobStatus(phase) for phase in PHASES} <= set(JobStatus)
    for end in ("low_seconds", "expected_seconds", "high_seconds"):
        assert getattr(plan.duration, end) == pytest.approx(sum(getattr(d, end) for d in plan.phases.values()))
    assert plan.phases["training"].expected_seconds > plan.training.expected_seconds
    assert plan.evaluation is not None
    assert plan.tokens_per_second == pytest.approx(plan.tokens_total / plan.training.expected_seconds)


def test_a_plan_comes_back_from_json_as_it_was() -> None:
    plan = priced(plan_job(small(), quiet(), validation=HELD), PRICE)
    assert JobPlan.model_validate_json(plan.model_dump_json()) == plan
    assert JobPlan.model_validate(plan.model_dump(mode="json")) == plan


def test_a_price_makes_a_cost_and_without_one_there_is_none() -> None:
    plan = plan_job(small(), quiet(), validation=HELD)
    assert plan.cost is None
    cost = priced(plan, PRICE).cost
    assert cost is not None
    assert float(cost.expected_usd) == pytest.approx(plan.duration.expected_seconds / 3600 * 2, rel=0.01)
    assert priced(priced(plan, PRICE), None).cost is None


def test_answers_and_losses_take_longer_under_an_adapter() -> None:
    plan = plan_job(small(prompted_tokens=0), quiet(), validation=HELD)
    assert plan.phases["evaluating"].expected_seconds > plan.phases["model_loaded"].expected_seconds
    longer = plan_job(small(prompted_tokens=0, sample_tokens=512), quiet(), validation=HELD)
    assert longer.phases["model_loaded"].expected_seconds > plan.phases["model_loaded"].expected_seconds


def test_the_prompted_base_is_asked_once_more_before_training() -> None:
    alone, prompted = (plan_job(small(prompted_tokens=shown), quiet(), validation=HELD) for shown in (0, 512))
    before, after = (plan.phases["model_loaded"].expected_seconds for plan in (alone, prompted))
    assert 1.5 * before < after < 3 * before
    assert prompted.phases["evaluating"] == alone.phases["evaluating"]


@pytest.mark.parametrize(("steps", "count", "expected"), [(20, 5, 5), (3, 10, 3), (1, 10, 1), (7, 3, 3)])
def test_marks_fall_on_different_steps(steps: int, count: int, expected: int) -> None:
    assert len(checkpoint_steps(steps, Hyperparameters(checkpoints=count))) == expected


def test_the_last_adapter_is_measured_as_delivered_and_not_twice() -> None:
    assert evaluation_steps(20, Hyperparameters(evaluations=4)) == {5, 10, 15}
    assert evaluation_steps(20, Hyperparameters(evaluations=4, adapter_choice="best")) == {5, 10, 15, 20}


def test_a_busy_processor_has_a_wider_band_and_says_so() -> None:
    busy = guess_processor(benchmark(slowest=0.5, fastest=1.6), memory_bytes=None)
    calm = quiet()
    assert busy.high_factor == pytest.approx(2 * calm.high_factor)
    assert busy.low_factor == pytest.approx(calm.low_factor / 1.6)
    assert "other programs" in busy.obtained
    assert "other programs" not in calm.obtained


def test_a_gpu_is_counted_at_the_nearest_share_with_a_wider_band() -> None:
    sxm, pcie = find_gpu("h100-sxm"), find_gpu("h100-pcie")
    near, far = find_mfu(LLAMA, sxm, "nf4"), find_mfu(LLAMA, pcie, "nf4")
    assert near.share == far.share == 0.337
    assert 1.3 < near.band < far.band
    assert "nothing is recorded for llama-3-70b-instruct in nf4 on h100-pcie" in far.obtained
    assert "published" in far.obtained
    assert guess_gpu(sxm, LLAMA, Hyperparameters()).flops_per_second == pytest.approx(0.337 * 989e12)


def test_an_unquantized_model_takes_the_share_of_its_precision() -> None:
    assert find_mfu(LLAMA, find_gpu("h100-sxm"), "bf16").share == 0.32


def test_a_share_of_our_own_for_the_very_pair_has_the_narrow_band(monkeypatch: pytest.MonkeyPatch) -> None:
    own = load_mfu()[0].model_copy(
        update={"model": LLAMA.name, "engine": "TRL 1.16", "origin": "measured", "share": 0.4}
    )
    monkeypatch.setattr("brightrun.planning.mfu.load_mfu", lambda: (*load_mfu(), own))
    share = find_mfu(LLAMA, find_gpu("h100-sxm"), "nf4")
    assert (share.share, share.band) == (0.4, 1.15)
    assert share.obtained.startswith("measured on")


def test_every_figure_of_the_tables_says_where_it_comes_from() -> None:
    assert {micro_batch.gpu for micro_batch in load_mfu()} <= set(load_gpus())
    for micro_batch in (*load_mfu(), *load_startup().values()):
        assert micro_batch.source
        assert micro_batch.origin in {"measured", "published", "assumed"}
    for device, keys in (
        ("cpu", "start imports load encode write"),
        ("cuda", "start imports download load encode write"),
    ):
        assert {key for kind, key in load_startup() if kind == device} == set(keys.split())


def test_gpus_are_offered_cheapest_first() -> None:
    offers = choose_gpus(big(), validation=HELD)
    assert {offer.gpu for offer in offers} == set(load_gpus())
    fitting = [offer for offer in offers if offer.fits]
    assert list(offers[: len(fitting)]) == fitting
    priced_ones = [offer.cost.expected_usd for offer in fitting if offer.cost is not None]
    assert priced_ones == sorted(priced_ones)
    assert len(priced_ones) > 3
    by_name = {offer.gpu: offer for offer in offers}
    assert by_name["h100-pcie"].fits
    assert not by_name["rtx-4090"].fits
    assert by_name["rtx-4090"].largest_micro_batch_tokens is None
    assert by_name["rtx-4090"].cost is None  # no price recorded: not 0
    assert (by_name["h200"].largest_batch_size or 0) > (by_name["h100-pcie"].largest_batch_size or 0) > 0


def test_the_largest_row_and_batch_are_the_last_that_fit() -> None:
    shape = big()
    memory = find_gpu("h100-pcie").memory_bytes
    longest, batch = largest_micro_batch_tokens(shape, memory), largest_batch_size(shape, memory)
    assert longest == LLAMA.context_length  # 8,192 tokens in one row need 62 GB
    assert batch is not None
    answers = 3
    fits, too_many = (
        big(batch_size=answers * count, gradient_accumulation_steps=1).memory.total_bytes
        for count in (batch, batch + 1)
    )
    assert fits <= memory < too_many


def test_a_spot_price_is_used_only_where_one_is_recorded() -> None:
    gpu = find_gpu("h100-pcie")
    assert gpu_price(gpu, instance_type="spot") is None
    usual = gpu_price(gpu)
    assert usual is not None
    assert (usual.usd_per_hour, usual.date) == (Decimal("2.89"), datetime.date(2026, 11, 9))


def test_what_does_not_fit_is_repaired_by_changes_that_were_tried() -> None:
    shape = small(batch_size=16, gradient_accumulation_steps=1)
    room = shape.memory.total_bytes * 3 // 4
    fixes = list(memory_fixes(shape, room))
    assert len(fixes) >= 2
    for fix in fixes:
        changed = shape.hyperparameters.model_copy(update=fix.hyperparameters)
        assert shape_run(MIXED, changed, SMOL, "cpu").memory.total_bytes <= room
        assert changed.answers_per_step == shape.hyperparameters.answers_per_step
    assert list(memory_fixes(shape, 10**6)) == []


def test_a_plan_that_does_not_fit_is_refused_and_names_a_gpu_that_would_hold_it() -> None:
    shape = big()
    rtx = guess_gpu(find_gpu("rtx-4090"), LLAMA, Hyperparameters())
    plan = checked(plan_job(shape, rtx), shape, offers=choose_gpus(shape))
    assert plan.refused
    assert [check.name for check in plan.checks if check.passed is False] == ["memory"]
    gpus = [fix.compute["gpu_type"] for fix in plan.fixes if fix.compute]
    assert gpus == [choose_gpus(shape)[0].gpu]


@pytest.mark.parametrize(
    ("cap", "refused", "warned"), [("0.5", True, True), ("1.2", False, True), ("100", False, False)]
)
def test_a_cap_below_the_expected_cost_refuses_and_one_below_the_high_end_warns(
    cap: str, refused: bool, warned: bool
) -> None:
    shape = small()
    plan = plan_job(shape, quiet(), validation=HELD)
    dear = priced(plan, PRICE.model_copy(update={"usd_per_hour": Decimal(3600 / plan.duration.expected_seconds)}))
    assert dear.cost is not None
    assert float(dear.cost.expected_usd) == pytest.approx(1, rel=0.01)
    found = checked(dear, shape, max_cost_usd=Decimal(cap))
    check = next(check for check in found.checks if check.name == "cap")
    assert (found.refused, check.warning) == (refused, warned)
    if refused:
        raised = found.fixes[-1].compute["max_cost_usd"]
        assert not checked(dear, shape, max_cost_usd=Decimal(str(raised))).checks[-1].warning


def test_a_cap_cannot_be_compared_without_a_price() -> None:
    shape = small()
    found = checked(plan_job(shape, quiet()), shape, max_cost_usd=Decimal(1))
    assert (found.checks[-1].passed, found.refused) == (None, False)


def test_a_limit_in_hours_below_the_expected_time_refuses_and_says_what_would_do() -> None:
    shape = small()
    plan = plan_job(shape, quiet())
    found = checked(plan, shape, max_duration_hours=plan.duration.expected_seconds / 3600 / 2)
    assert found.refused
    hours = found.fixes[-1].compute["max_duration_hours"]
    assert not checked(plan, shape, max_duration_hours=float(hours)).refused


def test_memory_that_is_not_known_is_neither_enough_nor_too_little() -> None:
    shape = small()
    found = checked(plan_job(shape, quiet(memory_bytes=None)), shape)
    assert (found.fits, found.checks[0].passed, found.refused) == (None, None, False)


def test_a_tight_fit_is_a_warning() -> None:
    shape = small()
    room = (shape.memory.total_bytes + shape.memory.high_bytes) // 2
    found = checked(plan_job(shape, quiet(memory_bytes=room)), shape)
    assert (found.checks[0].passed, found.checks[0].warning) == (True, True)
