"""A plan as a person reads it in a terminal: data, steps, memory, time, dollars, and what to change."""

from __future__ import annotations

from collections.abc import Sequence

from brightrun.catalogue.dollars import usd
from brightrun.cli.show import plain_table, results, styled
from brightrun.evaluation.outlook import Outlook
from brightrun.format import about_text, band_text
from brightrun.planning.choice import MAX_AT_ONCE, GpuOffer
from brightrun.planning.cost import CostEstimate
from brightrun.planning.durations import Duration
from brightrun.planning.job_plan import JobPlan, PlanCheck

_PHASES = {
    "provisioning": "machine and start",
    "preprocessing": "checks, base model",
    "model_loaded": "testing the original model",
    "training": "training",
    "evaluating": "testing the trained model",
    "uploading": "bundle and report",
}
_BAR = 40
_SMALLEST_PART = 0.01
"""Parts of the memory below this share are told together."""


def show_plan(plan: JobPlan, outlook: Outlook, offers: Sequence[GpuOffer] = (), *, details: bool = False) -> None:
    """What will happen, before it does; with details every phase, the memory's parts and the GPUs to choose from."""
    table = plain_table("Plan", "", ">")
    table.show_header = False
    for name, value in _summary(plan).items():
        table.add_row(name, value)
    results.print(table)
    results.print(styled((f"Time on {plan.device_name}: {plan.training.obtained}.", "dim")))
    results.print()
    if details:
        _show_phases(plan)
        _show_memory(plan)
        _show_offers(plan, offers)
    _show_outlook(outlook)
    for check in plan.checks:
        _show_check(check)
    if plan.fixes:
        results.print()
        results.show_line(("What would help", "bold"))
        for fix in plan.fixes:
            results.show_line(f"  {fix.words}")


def _show_outlook(outlook: Outlook) -> None:
    """Whether there can be a verdict at the end, and what would make one possible."""
    results.show_line(("verdict  ", "green" if outlook.possible else "yellow"), outlook.sentence)
    if outlook.validation_fraction is not None:
        results.show_line((f"  --set validation_fraction={outlook.validation_fraction:g} keeps enough.", "dim"))
    elif not outlook.possible:
        results.show_line(("  More conversations are needed for one.", "dim"))


def _summary(plan: JobPlan) -> dict[str, str]:
    rows = {
        "base model": plan.base_model,
        "examples": f"{plan.examples:,} with {plan.answers:,} answers",
        "tokens per epoch": f"{plan.tokens_per_epoch:,}, of them {plan.trained_tokens_per_epoch:,} trained on",
        "steps": f"{plan.steps:,} of about {plan.answers_per_step} answers",
        "tokens in all": f"{plan.tokens_total:,}",
        "adapter": f"{plan.trainable_parameters:,} parameters",
        "memory": plan.memory_text(),
        "training": f"{between(plan.phases['training'])}, {plan.tokens_per_second:,.0f} tokens/s in the steps",
        "in all": between(plan.duration),
    }
    if plan.cost is not None:
        day = "of an unknown day" if plan.cost.price_date is None else f"of {plan.cost.price_date}"
        rows["cost"] = f"{dollars(plan.cost)} at {usd(plan.cost.usd_per_hour)} an hour, {day}"
    return rows


def between(found: Duration) -> str:
    """`12 min (8 to 20 min)`."""
    return f"{about_text(found.expected_seconds)} ({band_text(found.low_seconds, found.high_seconds)})"


def dollars(cost: CostEstimate) -> str:
    """`$1.42 ($0.95 to $2.30)`."""
    return f"{usd(cost.expected_usd)} ({usd(cost.low_usd)} to {usd(cost.high_usd)})"


def _show_phases(plan: JobPlan) -> None:
    table = plain_table("Phases", "phase", ">expected", ">at least", ">at most")
    for phase, found in plan.phases.items():
        seconds = (found.expected_seconds, found.low_seconds, found.high_seconds)
        table.add_row(_PHASES[phase], *(about_text(value) for value in seconds))
    results.print(table)
    results.print()


def _show_memory(plan: JobPlan) -> None:
    memory = plan.memory
    room = plan.memory_available_bytes
    whole = max(memory.total_bytes, room or 0)
    filled = round(_BAR * memory.total_bytes / whole)
    color = "red" if plan.fits is False else "green"
    band = f"{memory.low_bytes / 1e9:.1f} to {memory.high_bytes / 1e9:.1f} GB"
    told = f"{'░' * (_BAR - filled)}  {plan.memory_text()} ({band})"
    results.print(styled(("Memory", "bold"), "  ", ("█" * filled, color), told))
    table = plain_table("", "part", ">GB")
    small = 0
    for part in memory.parts:
        if part.bytes < _SMALLEST_PART * memory.total_bytes:
            small += part.bytes
        else:
            table.add_row(part.title, f"{part.bytes / 1e9:.2f}")
    table.add_row("everything smaller", f"{small / 1e9:.2f}")
    results.print(table)
    results.print(styled((memory.obtained, "dim")))
    results.print()


def _show_offers(plan: JobPlan, offers: Sequence[GpuOffer]) -> None:
    table = plain_table("GPUs for this job", "GPU", "fits", ">time", ">dollars", ">at once", ">longest")
    table.columns[0].no_wrap = table.columns[3].no_wrap = True
    for offer in offers:
        name = styled((offer.gpu, "bold" if offer.gpu == plan.gpu else ""))
        holds = styled(("no", "red") if not offer.fits else ("tight", "yellow") if offer.tight else ("yes", "green"))
        time = about_text(offer.duration.expected_seconds) if offer.fits else ""
        price = "" if not offer.fits else "no price known" if offer.cost is None else dollars(offer.cost)
        batch = "" if offer.largest_batch_size is None else f"{offer.largest_batch_size}"
        length = "" if offer.largest_micro_batch_tokens is None else f"{offer.largest_micro_batch_tokens:,}"
        table.add_row(name, holds, time, price, batch, length)
    results.print(table)
    at_once = f"At once: how many of the longest examples fit into one micro-batch ({MAX_AT_ONCE}: or more)."
    results.print(styled((f"{at_once} Longest: tokens of one example.", "dim")))
    results.print(styled(("Prices are the catalogue's, each with its date; no provider was asked.", "dim")))
    results.print()


def _show_check(check: PlanCheck) -> None:
    if check.passed and not check.warning:
        return
    mark = ("refused", "red") if check.passed is False else ("note   ", "yellow")
    results.show_line(mark, f"  {check.name}: {check.words}")
