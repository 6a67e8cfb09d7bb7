"""What stands in a plan's way, and the changes that clear it: each is tried before it is offered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from brightrun.catalogue.dollars import usd
from brightrun.format import duration_text
from brightrun.planning.choice import GpuOffer
from brightrun.planning.job_plan import JobPlan, PlanCheck, PlanFix
from brightrun.planning.plan import RunShape, shape_run

Value = int | float | str | bool


def checked(
    plan: JobPlan,
    shape: RunShape,
    *,
    offers: Sequence[GpuOffer] = (),
    max_cost_usd: Decimal | None = None,
    max_duration_hours: float | None = None,
) -> JobPlan:
    """The plan with everything that was looked at, and with fixes where it cannot be started as it is.

    A cap below the expected cost, or a limit below the expected time, refuses the job: it would more likely than not be
    stopped before its end. One between the expected and the high end is let through with a warning.
    """
    checks = [_memory_check(plan)]
    fixes: list[PlanFix] = []
    if checks[0].passed is False:
        fixes += memory_fixes(shape, plan.memory_available_bytes or 0)
        fixes += _gpu_fixes(plan, offers)
    if max_cost_usd is not None:
        checks.append(_cap_check(plan, max_cost_usd))
        if checks[-1].passed is False:
            fixes += _cap_fixes(plan, offers, max_cost_usd)
    if max_duration_hours is not None:
        checks.append(_time_check(plan, max_duration_hours))
        if checks[-1].passed is False:
            fixes.append(_time_fix(plan))
    return plan.model_copy(update={"checks": tuple(checks), "fixes": tuple(fixes)})


def _memory_check(plan: JobPlan) -> PlanCheck:
    if plan.fits is None:
        return PlanCheck(name="memory", passed=None, words=f"needs {plan.memory_text()}; the machine's is not known")
    tight = plan.fits and plan.memory.high_bytes > (plan.memory_available_bytes or 0)
    words = f"needs {plan.memory_text()}"
    if tight:
        words += f"; at the high end of the estimate, {plan.memory.high_bytes / 1e9:.1f} GB, it would not fit"
    return PlanCheck(name="memory", passed=plan.fits, words=words, warning=tight)


def _cap_check(plan: JobPlan, cap: Decimal) -> PlanCheck:
    if plan.cost is None:
        words = f"no price is known for this machine, so the cap of {usd(cap)} cannot be compared"
        return PlanCheck(name="cap", passed=None, words=words, warning=True)
    cost = plan.cost
    words = f"expected {usd(cost.expected_usd)} ({usd(cost.low_usd)} to {usd(cost.high_usd)}), the cap is {usd(cap)}"
    return PlanCheck(name="cap", passed=cost.expected_usd <= cap, words=words, warning=cost.high_usd > cap)


def _time_check(plan: JobPlan, hours: float) -> PlanCheck:
    expected, high, limit = plan.duration.expected_seconds, plan.duration.high_seconds, hours * 3600
    words = f"expected {duration_text(expected)} (at most {duration_text(high)}), the limit is {duration_text(limit)}"
    return PlanCheck(name="duration", passed=expected <= limit, words=words, warning=high > limit)


def _cap_fixes(plan: JobPlan, offers: Sequence[GpuOffer], cap: Decimal) -> Iterator[PlanFix]:
    assert plan.cost is not None
    within = [offer for offer in offers if offer.fits and offer.cost and offer.cost.expected_usd <= cap]
    for offer in within[:1]:
        assert offer.cost is not None
        words = f"Take the {offer.title}: expected {usd(offer.cost.expected_usd)}."
        yield PlanFix(words=words, compute={"gpu_type": offer.gpu})
    high = float(plan.cost.high_usd.quantize(Decimal("0.01"))) + 0.01
    yield PlanFix(words=f"Raise the cap to {usd(high)}, the high end of the estimate.", compute={"max_cost_usd": high})


def _time_fix(plan: JobPlan) -> PlanFix:
    hours = round(plan.duration.high_seconds / 3600 + 0.01, 2)
    words = f"Raise the limit to {hours:g} hours, the high end of the estimate."
    return PlanFix(words=words, compute={"max_duration_hours": hours})


def _gpu_fixes(plan: JobPlan, offers: Sequence[GpuOffer]) -> Iterator[PlanFix]:
    for offer in [offer for offer in offers if offer.fits and offer.gpu != plan.gpu][:1]:
        price = f", expected {usd(offer.cost.expected_usd)}" if offer.cost else ""
        words = f"Rent the {offer.title}, which holds it ({offer.memory_bytes / 1e9:.0f} GB{price})."
        yield PlanFix(words=words, compute={"gpu_type": offer.gpu})


def memory_fixes(shape: RunShape, memory_bytes: int) -> Iterator[PlanFix]:
    """Settings with which the run fits that memory, the ones that change least first; nothing where none does."""

    def fits(changes: Mapping[str, Value]) -> bool:
        changed = shape.hyperparameters.model_copy(update=dict(changes))
        return shape_run(shape.sizes, changed, shape.entry, shape.kind).memory.total_bytes <= memory_bytes

    recomputes = shape.hyperparameters.resolve(shape.kind).gradient_checkpointing
    gradient_checkpointing: dict[str, Value] = {} if recomputes else {"gradient_checkpointing": "on"}
    small = _smaller_batch(shape, {}, fits)
    if small is not None:
        yield PlanFix(
            words=f"Hold fewer answers at once: {_told(small)}; a step stays as large.", hyperparameters=small
        )
    if gradient_checkpointing and fits(gradient_checkpointing):
        yield PlanFix(
            words="Compute activations again in the backward pass; slower.", hyperparameters=gradient_checkpointing
        )
    if (
        gradient_checkpointing
        and small is None
        and (both := _smaller_batch(shape, gradient_checkpointing, fits)) is not None
    ):
        yield PlanFix(words=f"Compute activations again and hold less at once: {_told(both)}.", hyperparameters=both)
    if shape.kind == "cuda" and not shape.hyperparameters.resolve("cuda").quantized and fits({"quantization": "nf4"}):
        yield PlanFix(words="Hold the base in 4 bits.", hyperparameters={"quantization": "nf4"})


def _smaller_batch(
    shape: RunShape, changes: Mapping[str, Value], fits: Callable[[Mapping[str, Value]], bool]
) -> dict[str, Value] | None:
    """The largest smaller batch with which the run fits, its step kept as large by more rows."""
    answers = shape.hyperparameters.answers_per_step
    batch = shape.hyperparameters.batch_size // 2
    while batch >= 1:
        tried = {**changes, "batch_size": batch, "gradient_accumulation_steps": -(-answers // batch)}
        if fits(tried):
            return tried
        batch //= 2
    return None


def _told(changes: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {value}" for name, value in changes.items())
