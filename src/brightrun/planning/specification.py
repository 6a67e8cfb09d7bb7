"""Our figures for Llama 3 70B beside the product specification's of December 2025, line by line."""

from __future__ import annotations

from dataclasses import dataclass

from brightrun.catalogue.dollars import usd
from brightrun.catalogue.gpus import find_gpu
from brightrun.catalogue.models import find_model
from brightrun.planning.choice import gpu_price
from brightrun.planning.cost import STORAGE_USD_PER_GB_MONTH, storage_usd_per_month
from brightrun.planning.device import guess_gpu
from brightrun.planning.durations import Duration
from brightrun.planning.job_plan import JobPlan, plan_job
from brightrun.planning.phases import ValidationSet
from brightrun.planning.plan import shape_run
from brightrun.planning.resolve import resolve_hyperparameters
from brightrun.runs.flops import make_micro_batch
from brightrun.runs.memory import MemoryEstimate, estimate_memory
from brightrun.runs.prompts import DEFAULT_ANSWERS, DEFAULT_TOKENS
from brightrun.templating.batches import ExampleSize

MODEL = "llama-3-70b-instruct"
CONVERSATION = ExampleSize(tokens=1886, trained_tokens=1226, answers=3)
"""The mean conversation, counted with the Llama 3 tokenizer on 138 conversations of the same dataset (training notes,
section 0): 1,886 tokens, 0.65 of them trained on, 416 answers in 138 conversations."""
CONVERSATIONS = 242
VALIDATION = 24
ROW = (ExampleSize(tokens=2048, trained_tokens=1331, answers=3),) * 4
SPECIFIED_HOURS = "10 to 15 h"
SPECIFIED_DOLLARS = {"spot": "$25 to $75 at $2.49 to $4.99", "on demand": "$80 to $120 at $7.99"}


@dataclass(frozen=True, slots=True)
class SpecificationTable:
    """A table of text; the first column names the line."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def specification_tables() -> tuple[SpecificationTable, ...]:
    """Memory, then hours and dollars."""
    return memory_table(), cost_table()


def memory_of_the_specification() -> MemoryEstimate:
    """Llama 3 70B, rank 16 on all projections, NF4, a row of 8,192 tokens as four sequences of 2,048."""
    entry = find_model(MODEL)
    chosen = resolve_hyperparameters("balanced", {}, longest_tokens=2048, context_length=entry.context_length)
    return estimate_memory(
        entry,
        chosen,
        adapter_parameters=entry.adapter_parameters(chosen.r, chosen.target_modules),
        micro_batches=[make_micro_batch(ROW, packing=True)],
        kind="cuda",
    )


def job_of_the_specification(gpu: str) -> JobPlan:
    """The balanced recipe on 242 conversations of the mean length, a tenth kept for validation, on that GPU."""
    entry, card = find_model(MODEL), find_gpu(gpu)
    chosen = resolve_hyperparameters(
        "balanced", {}, longest_tokens=CONVERSATION.tokens, context_length=entry.context_length
    )
    chosen = chosen.model_copy(update={"sample_answers": DEFAULT_ANSWERS, "sample_tokens": DEFAULT_TOKENS})
    shape = shape_run([CONVERSATION] * (CONVERSATIONS - VALIDATION), chosen, entry, "cuda")
    prompts = (CONVERSATION.tokens // 3,) * DEFAULT_ANSWERS
    validation = ValidationSet((CONVERSATION,) * VALIDATION, prompts)
    return plan_job(shape, guess_gpu(card, entry, chosen), validation=validation, price=gpu_price(card))


def memory_table() -> SpecificationTable:
    """The specification's memory budget against ours."""
    memory = memory_of_the_specification()
    entry = find_model(MODEL)
    base = memory.bytes_of("projections", "embeddings", "norms")
    moving = memory.bytes_of("activations", "mask", "work", "dequantized", "allocator")
    chosen = resolve_hyperparameters("balanced", {}, longest_tokens=2048, context_length=entry.context_length)
    trainable = entry.adapter_parameters(chosen.r, chosen.target_modules)
    rows = (
        (
            "base model",
            "35 (INT4)",
            _gb(base),
            f"left out: {_gb(memory.bytes_of('embeddings'))} of embeddings and head",
        ),
        ("adapter", "1", _gb(memory.bytes_of("adapter")), f"{trainable:,} parameters, not 700 million; fp32"),
        ("its gradients", "", _gb(memory.bytes_of("gradients")), "left out"),
        ("optimizer's states", "20", _gb(memory.bytes_of("optimizer")), "12 times too many"),
        ("activations", "15", _gb(memory.bytes_of("activations")), "layers' inputs at 8,192 tokens; the rest anew"),
        ("'batch processing'", "10", _gb(moving - memory.bytes_of("activations")), "a layer in work, masks, unpacking"),
        ("the program", "", _gb(memory.bytes_of("program")), "left out; assumed"),
        ("total", "81", _gb(memory.total_bytes), f"{_gb(memory.low_bytes)} to {_gb(memory.high_bytes)}"),
    )
    card = find_gpu("h100-pcie")
    return SpecificationTable(
        title="Memory of Llama 3 70B at rank 16 in GB (10⁹ bytes)",
        columns=("", ">specification", ">ours", "remark"),
        rows=rows,
        note=f"An H100 of 80 GB reports {_gb(card.memory_bytes)} GB. The specification's lines add up to 81 and are "
        f"declared to fit 80. Ours is for one row of 8,192 tokens; no GPU was measured.",
    )


def cost_table() -> SpecificationTable:
    """The specification's hours and dollars against ours for its own job."""
    rows = []
    for gpu in ("h100-pcie", "h100-sxm", "h200"):
        plan = job_of_the_specification(gpu)
        assert plan.cost is not None
        hours, cost = plan.duration, plan.cost
        rows.append(
            (
                f"{gpu}, on demand, {cost.price_date}",
                f"{SPECIFIED_HOURS}, {SPECIFIED_DOLLARS['on demand']}",
                _hours(hours),
                f"{usd(cost.expected_usd)} ({usd(cost.low_usd)} to {usd(cost.high_usd)}) at {usd(cost.usd_per_hour)}",
            )
        )
    rows.append(("spot", f"{SPECIFIED_HOURS}, {SPECIFIED_DOLLARS['spot']}", "", "no spot price is recorded"))
    rows.append(
        (
            "200 GB of storage",
            "$20 a month",
            "",
            f"${storage_usd_per_month(200 * 10**9):.2f} a month at ${STORAGE_USD_PER_GB_MONTH} a GB",
        )
    )
    plan = job_of_the_specification("h100-pcie")
    return SpecificationTable(
        title="Hours and dollars of the job of 242 conversations",
        columns=("", "specification", "ours, hours", "ours, dollars"),
        rows=tuple(rows),
        note=f"Three epochs of {plan.tokens_per_epoch:,} tokens, {plan.steps} steps; tokens are scaled from "
        f"the 138 that were at hand; a tenth is for validation. Hours include the machine's start, the download and "
        f"both sets of answers. Speed: {plan.training.obtained}.",
    )


def _hours(found: Duration) -> str:
    expected, low, high = (s / 3600 for s in (found.expected_seconds, found.low_seconds, found.high_seconds))
    return f"{expected:.1f} h ({low:.1f} to {high:.1f})"


def _gb(count: int) -> str:
    return f"{count / 1e9:.2f}"
