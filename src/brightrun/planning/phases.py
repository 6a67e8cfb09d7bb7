"""Every phase of a run in seconds, in the order in which the worker goes through them. Knows no dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from brightrun.catalogue.models import BaseModelEntry
from brightrun.catalogue.speeds import Spread, StartupKey, load_startup
from brightrun.contract.hyperparameters import Hyperparameters, Precision
from brightrun.planning.device import DeviceGuess
from brightrun.planning.durations import Duration, in_sequence
from brightrun.planning.work import Work, all_of, loss_work, token_work
from brightrun.runs.flops import make_micro_batch
from brightrun.templating.batches import ExampleSize, spread_marks

Phase = Literal["provisioning", "preprocessing", "model_loaded", "training", "evaluating", "uploading"]
"""The journal's statuses that take time, in their order; each is a value of `contract.states.JobStatus`."""

PHASES: tuple[Phase, ...] = ("provisioning", "preprocessing", "model_loaded", "training", "evaluating", "uploading")
BATCH_OF_ANSWERS = {"cpu": 4, "cuda": 8}
"""Prompts answered at once (`worker/answer.py`)."""
CHECKPOINT_BYTES = 12
"""Per adapter weight: the weight and two moments in fp32."""
COMPANION_BYTES = 10_000_000
"""Tokenizer, report and the like in a bundle; rough."""
MIN_ANSWER_TOKENS = 0.5
"""Answers may end before `sample_tokens`; the low end counts with half."""


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """What is asked before and after: sizes of the held-out sequences, and tokens of each prompt that is answered."""

    sizes: tuple[ExampleSize, ...] = ()
    prompt_tokens: tuple[int, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Outline:
    """What a run consists of beside its held-out part: its steps and their time, its tokens, its adapter's size."""

    steps: int
    training: Duration
    tokens_per_epoch: int
    adapter: int


def plan_phases(
    outline: Outline,
    validation: ValidationSet,
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    device: DeviceGuess,
) -> dict[Phase, Duration]:
    """Seconds of every phase.

    On a GPU the machine has to be found and the base model to be downloaded; on this machine both are here already.
    """
    held = hyperparameters.resolve(device.kind)
    stored = entry.parameters * (4 if device.kind == "cpu" else 2)
    tokens = outline.tokens_per_epoch + sum(size.tokens for size in validation.sizes)

    def outside(key: StartupKey, amount: float = 1.0) -> Duration:
        return startup_duration(device.kind, key, amount)

    load = [outside("imports"), outside("encode", tokens), outside("load", stored)]
    if device.kind == "cuda":
        load.insert(0, outside("download", stored))
    asked = [loss_duration(validation, hyperparameters, entry, device, held, adapter=0)]
    asked.append(answers_duration(validation, hyperparameters, entry, device, held, adapter=0))
    again = [loss_duration(validation, hyperparameters, entry, device, held, adapter=outline.adapter)]
    along = [again[0].scaled(losses_along(outline.steps, hyperparameters))]
    saved = marks(outline.steps, hyperparameters.checkpoints)
    along.append(outside("write", CHECKPOINT_BYTES * outline.adapter).scaled(saved))
    again.append(answers_duration(validation, hyperparameters, entry, device, held, adapter=outline.adapter))
    return {
        "provisioning": outside("start"),
        "preprocessing": in_sequence(load),
        "model_loaded": in_sequence(asked),
        "training": in_sequence([outline.training, *along]),
        "evaluating": in_sequence([outside("write", 2 * outline.adapter), *again]),
        "uploading": outside("write", 2 * outline.adapter + COMPANION_BYTES),
    }


def startup_duration(device: Literal["cpu", "cuda"], key: StartupKey, amount: float = 1.0) -> Duration:
    """A time outside of the steps from the catalogue; `amount` are bytes or tokens where a rate is recorded."""
    startup = load_startup()[device, key]
    value = startup.value
    if startup.seconds is None:
        value = Spread(expected=amount / value.expected, low=amount / value.high, high=amount / value.low)
    return Duration(
        expected_seconds=value.expected,
        low_seconds=value.low,
        high_seconds=value.high,
        obtained=f"{startup.origin}: {startup.source} ({startup.date})",
    )


def marks(steps: int, count: int) -> int:
    """How many different steps `count` marks fall on, as the worker spreads them."""
    return len(spread_marks(steps, count))


def losses_along(steps: int, hyperparameters: Hyperparameters) -> int:
    """How often held-out loss is measured during training: after the last step only where the best adapter is kept."""
    return marks(steps, hyperparameters.evaluations) - (1 if hyperparameters.adapter_choice == "last" else 0)


def loss_duration(
    validation: ValidationSet,
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    device: DeviceGuess,
    held: Precision,
    *,
    adapter: int,
) -> Duration:
    """The loss of every held-out sequence once, one after the other; with 0 adapter weights by the base alone."""
    micro_batches = [make_micro_batch([size], packing=True) for size in validation.sizes]
    return device.duration(
        all_of(loss_work(startup, entry, hyperparameters, adapter, held) for startup in micro_batches)
    )


def answers_duration(
    validation: ValidationSet,
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    device: DeviceGuess,
    held: Precision,
    *,
    adapter: int,
) -> Duration:
    """Every prompt answered: read in padded batches, then token by token to the longest allowed."""
    size = BATCH_OF_ANSWERS[device.kind]
    batches = [
        validation.prompt_tokens[start : start + size] for start in range(0, len(validation.prompt_tokens), size)
    ]
    reading = all_of(_reading(batch, entry, hyperparameters, adapter, held) for batch in batches)
    writing = token_work(entry, adapter, held).times(len(batches) * hyperparameters.sample_tokens)
    whole, half = device.duration(reading + writing), device.duration(reading + writing.times(MIN_ANSWER_TOKENS))
    return whole.model_copy(update={"low_seconds": half.low_seconds})


def _reading(
    prompts: Sequence[int], entry: BaseModelEntry, hyperparameters: Hyperparameters, adapter: int, held: Precision
) -> Work:
    sizes = [ExampleSize(tokens, 1, 1) for tokens in prompts]
    return loss_work(make_micro_batch(sizes, packing=False), entry, hyperparameters, adapter, held)
