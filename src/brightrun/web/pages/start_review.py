"""A job's plan as it is shown before its start: figures, what was checked, what would help. Starts nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from brightrun.charts.gauges import Part, memory_bar
from brightrun.charts.run_charts import WIDTHS
from brightrun.errors import BrightRunError, PriceUnknown, RecipeError
from brightrun.format import counted
from brightrun.jobs.month_budget import MonthBudget, month_budget
from brightrun.jobs.plan_run import Planned
from brightrun.jobs.resolve_cap import CapRequest, cap_for
from brightrun.jobs.studio import Studio
from brightrun.jobs.submit import JobRequest, plan_job
from brightrun.plain_text import command
from brightrun.planning.job_plan import PlanCheck, PlanFix
from brightrun.runs.memory import MemoryEstimate
from brightrun.web.api.catalogue import known_models
from brightrun.web.pages.format import usd
from brightrun.web.pages.start_form import ProviderChoice, provider_choices

_CHECKS = {"memory": "Memory", "cap": "Cap", "duration": "Time", "disk": "Disk", "price": "Price"}
_PRICE_SETTINGS = {
    "local_process": "BRIGHTRUN_LOCAL_USD_PER_HOUR",
    "static_worker": "BRIGHTRUN_WORKER_USD_PER_HOUR",
}
_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the base model", ("projections", "embeddings", "norms")),
    ("adapter and optimizer", ("adapter", "gradients", "optimizer")),
    ("activations", ("activations", "mask")),
    ("working set", ("work", "dequantized")),
    ("allocator overhead", ("allocator",)),
    ("the program itself", ("program",)),
)


@dataclass(frozen=True, slots=True)
class ReviewCheck:
    """Something that was looked at: fine, fine with something to know, or in the way of a start."""

    state: Literal["ok", "warn", "no"]
    title: str
    words: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that helps. `settings` is JSON for the form; None where nothing here can make the change."""

    words: str
    settings: str | None


@dataclass(frozen=True, slots=True)
class Review:
    """A plan to look at before the start, or why there is none. `cap` is where the job would be stopped, if at all."""

    request: JobRequest
    provider: ProviderChoice
    month: MonthBudget
    problem: BrightRunError | None = None
    planned: Planned | None = None
    checks: list[ReviewCheck] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)
    cap: Decimal | None = None
    memory: dict[str, str] | None = None

    @property
    def may_start(self) -> bool:
        return self.planned is not None and all(check.state != "no" for check in self.checks)


def review_job(studio: Studio, owner_id: str, request: JobRequest) -> Review:
    """Plan the job and look at everything that submitting it would look at.

    Raises:
        NotFound: the owner has no such dataset.
        RecipeError: a setting that cannot be; its fields are in the details.
        InputError: there is no such provider.
    """
    provider = request.compute.provider or studio.default_compute
    studio.compute(provider)
    choice = next(each for each in provider_choices(studio) if each.name == provider)
    month = month_budget(studio, owner_id=owner_id)
    try:
        planned = plan_job(studio, request, owner_id=owner_id)
    except RecipeError:
        raise  # it belongs beside its field
    except BrightRunError as error:
        if error.http_status not in {400, 422}:
            raise
        return Review(request, choice, month, problem=error)
    money, cap, refusal = _money(request, choice, planned, month)
    here = [model.id for model in known_models(studio) if model.pulled]
    checks = [*_data_checks(planned), _model_check(planned, here), *_plan_checks(planned, refusal), *money]
    fixes = [_fix(fix, choice) for fix in planned.plan.fixes]
    if refusal is not None and choice.usd_per_hour is None:
        fixes.append(Fix("Leave the cap out.", json.dumps({"compute": {"max_cost_usd": None}})))
    fixes += _own_cap(request, planned, month)
    if (fraction := planned.outlook.validation_fraction) is not None:
        words = f"Keep {fraction * 100:.0f} % for validation, so that there can be a verdict."
        fixes.append(Fix(words, json.dumps({"hyperparameters": {"validation_fraction": fraction}})))
    if planned.plan.base_model not in here and here:
        fixes.append(Fix(f"Use {here[0]}, already installed.", json.dumps({"base_model": here[0]})))
    return Review(
        request, choice, month, planned=planned, checks=checks, fixes=fixes, cap=cap,
        memory=_memory_chart(planned.plan.memory, planned.plan.memory_available_bytes),
    )  # fmt: skip


def _data_checks(planned: Planned) -> Iterator[ReviewCheck]:
    audit, prepared = planned.prepared.audit, planned.prepared
    if audit.refused:
        yield ReviewCheck("no", "Dataset", "the audit found an error in it, so nothing may be trained on it")
    else:
        both = "" if audit.validation_file is None else " with the validation file"
        told = f"audited{both}: {counted(audit.conversations, 'conversation')}, no error found"
        yield ReviewCheck("ok", "Dataset", told)
    held = prepared.validation
    if audit.validation_file is not None:
        own = f"your own file {audit.validation_file}, {counted(held.conversations, 'conversation')}"
        yield ReviewCheck("ok", "Validation", own)
    told = f"{counted(held.answers, 'answer')} in {counted(held.conversations, 'conversation')} are never trained on"
    yield ReviewCheck(
        "ok" if planned.outlook.possible else "warn", "Before and after", f"{told}. {planned.outlook.sentence}"
    )
    longest, limit = planned.plan.longest_tokens, planned.hyperparameters.max_seq_length
    if audit.dropped:
        left = f"{counted(audit.dropped, 'conversation')} left out for their length; the rest is whole"
        yield ReviewCheck("warn", "Length", left)
    else:
        yield ReviewCheck("ok", "Length", f"nothing is cut: the longest has {longest:,} tokens, the limit is {limit:,}")


def _model_check(planned: Planned, here: Sequence[str]) -> ReviewCheck:
    name = planned.plan.base_model
    if name in here:
        return ReviewCheck("ok", "Base model", f"{name} is here")
    pull_it = command("brightrun model pull", name)
    return ReviewCheck("no", "Base model", f"{name} is not here yet; get it with: {pull_it}")


def _plan_checks(planned: Planned, refusal: BrightRunError | None) -> Iterator[ReviewCheck]:
    yield ReviewCheck("ok", "Settings", "all within their bounds")
    if planned.plan.calibrations:
        runs = max(calibration.runs for calibration in planned.plan.calibrations.values())
        yield ReviewCheck("ok", "Estimate", f"corrected by {counted(runs, 'earlier run')} of this kind")
    for check in planned.plan.checks:
        if check.name == "cap" and refusal is not None:
            continue  # the refusal says it
        yield ReviewCheck(_state(check), _CHECKS[check.name], check.words)


def _state(check: PlanCheck) -> Literal["ok", "warn", "no"]:
    if check.passed is False:
        return "no"
    return "warn" if check.warning or check.passed is None else "ok"


def _money(
    request: JobRequest, choice: ProviderChoice, planned: Planned, month: MonthBudget
) -> tuple[list[ReviewCheck], Decimal | None, BrightRunError | None]:
    """What submitting would say of the money: checks, the cap it would settle on, and why it would refuse."""
    cost = planned.plan.cost
    own = cost if choice.usd_per_hour is not None else None  # a price of others is no price of this machine
    cap_request = CapRequest(
        provider=choice.name, asked=request.compute.max_cost_usd,
        expected=None if own is None else own.expected_usd, high=None if own is None else own.high_usd,
    )  # fmt: skip
    checks = [_price_check(choice, planned)]
    try:
        cap = cap_for(cap_request, month)
    except PriceUnknown as error:
        return (
            [*checks, ReviewCheck("no", "Cap", "cannot be kept without a price; leave it out or set the price")],
            None,
            error,
        )
    except BrightRunError as error:
        return [*checks, ReviewCheck("no", "Budget", f"{error.message} {error.hint}")], None, error
    if month.remaining_usd is not None and own is not None:
        words = f"{usd(month.remaining_usd)} of the {usd(month.monthly_budget_usd)} for {month.month} are left"
        checks.append(ReviewCheck("ok", "Budget", words))
    elif month.monthly_budget_usd is not None:
        checks.append(ReviewCheck("warn", "Budget", "cannot be kept for a machine whose price is not known"))
    return checks, cap, None


def _price_check(choice: ProviderChoice, planned: Planned) -> ReviewCheck:
    cost = planned.plan.cost
    if cost is None:
        setting = _PRICE_SETTINGS.get(choice.name)
        how = "" if setting is None else f"; {setting} tells it"
        return ReviewCheck("warn", "Price", f"no hourly price is set for {choice.title.lower()}{how}")
    if choice.usd_per_hour is not None:
        return ReviewCheck("ok", "Price", f"{usd(cost.usd_per_hour)} an hour, as it was set for {choice.title.lower()}")
    day = "" if cost.price_date is None else f", read on {cost.price_date.isoformat()}"
    words = f"{usd(cost.usd_per_hour)} an hour ({cost.price_source}{day})"
    return ReviewCheck("warn", "Price", f"{words}: others' price for this card, not {choice.title.lower()}'s")


def _fix(fix: PlanFix, choice: ProviderChoice) -> Fix:
    changes: dict[str, Any] = {}
    if fix.hyperparameters:
        changes["hyperparameters"] = fix.hyperparameters
    if fix.compute:
        changes["compute"] = fix.compute
    if fix.base_model is not None:
        changes["base_model"] = fix.base_model
    if "gpu_type" in fix.compute and not choice.picks_gpu:
        return Fix(f"{fix.words} This studio has no such machine set up.", None)
    return Fix(fix.words, json.dumps(changes))


def _own_cap(request: JobRequest, planned: Planned, month: MonthBudget) -> Iterator[Fix]:
    """Where the owner's default cap is too small: one for this job alone."""
    cost, default = planned.plan.cost, month.default_job_cap_usd
    if request.compute.max_cost_usd is not None or cost is None or default is None or cost.expected_usd <= default:
        return
    cap = (cost.high_usd + Decimal("0.005")).quantize(Decimal("0.01"))
    words = f"Give this job a cap of its own, {usd(cap)}: the high end of the estimate."
    yield Fix(words, json.dumps({"compute": {"max_cost_usd": float(cap)}}))


def _memory_chart(memory: MemoryEstimate, available: int | None) -> dict[str, str]:
    sizes = {part.key: part.bytes for part in memory.parts}
    parts = [Part(name, float(sum(sizes.pop(key, 0) for key in keys))) for name, keys in _PARTS]
    parts += [Part(part.title, float(sizes[part.key])) for part in memory.parts if part.key in sizes]
    shown = [part for part in parts if part.amount]
    return {
        size: memory_bar(
            shown, None if available is None else float(available), chart_id=f"memory-{size}",
            title="Memory the run needs, and what there is", say=_gigabytes,
            width={"wide": 720, "narrow": WIDTHS["narrow"]}[size],
        )
        for size in WIDTHS
    }  # fmt: skip


def _gigabytes(amount: float) -> str:
    return f"{amount / 1e9:.1f} GB"
