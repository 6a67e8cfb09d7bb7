"""Every phase of a run in seconds, in the order in which the worker goes through them."""

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
from brightrun.runs.general_questions import QUESTIONS_AT_ONCE
from brightrun.runs.prompts import FIRST_LOOK_TOKENS, PROMPTS_AT_ONCE, WHOLE_LOOK_TOKENS, sampling_of
from brightrun.runs.steps import checkpoint_steps, evaluation_steps
from brightrun.runs.weights_on_disk import CHECKPOINT_BYTES, DELIVERED_BYTES
from brightrun.templating.batches import ExampleSize

Phase = Literal["provisioning", "preprocessing", "model_loaded", "training", "evaluating", "uploading"]
"""The event log's statuses that take time, in their order; each is a value of `contract.states.JobStatus`."""

PHASES: tuple[Phase, ...] = ("provisioning", "preprocessing", "model_loaded", "training", "evaluating", "uploading")
COMPANION_BYTES = 10_000_000
"""Tokenizer, report and the like in a bundle; rough."""
MIN_ANSWER_TOKENS = 0.5
"""Answers may end before `sample_tokens`; the low end counts with half."""


@dataclass(frozen=True, slots=True)
class ValidationSet:
    """What is asked before and after: sizes of the validation sequences, and tokens of each prompt that is answered.

    `answer_tokens` are those of every validation answer as it is written in the dataset.
    `general` is what is read for each general question. `training_prompts` are tokens of the prompts by which training
    answers are asked for, after training only; with something sensitive in the dataset others are taken.
    """

    sizes: tuple[ExampleSize, ...] = ()
    prompt_tokens: tuple[int, ...] = field(default=())
    answer_tokens: tuple[int, ...] = ()
    general: tuple[ExampleSize, ...] = ()
    training_prompts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    """What a run consists of beside its validation part: its steps and their time, its tokens, its adapter's size."""

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
    stored = entry.parameters * held.width
    tokens = outline.tokens_per_epoch + sum(size.tokens for size in validation.sizes)

    def outside(key: StartupKey, amount: float = 1.0) -> Duration:
        return startup_duration(device.kind, key, amount)

    load = [outside("imports"), outside("encode", tokens), outside("load", stored)]
    if device.kind == "cuda":
        load.insert(0, outside("download", stored))
    asked = [loss_duration(validation, hyperparameters, entry, device, held, adapter=0)]
    asked.append(answers_duration(validation, hyperparameters, entry, device, held, adapter=0))
    again = [loss_duration(validation, hyperparameters, entry, device, held, adapter=outline.adapter)]
    along = [again[0].scaled(len(evaluation_steps(outline.steps, hyperparameters)))]
    saved = len(checkpoint_steps(outline.steps, hyperparameters))
    along.append(outside("write", CHECKPOINT_BYTES * outline.adapter).scaled(saved))
    again.append(answers_duration(validation, hyperparameters, entry, device, held, adapter=outline.adapter))
    asked.append(prompted_duration(validation, hyperparameters, entry, device, held, outline.tokens_per_epoch))
    asked.append(general_duration(validation, hyperparameters, entry, device, held, adapter=0))
    again.append(general_duration(validation, hyperparameters, entry, device, held, adapter=outline.adapter))
    again.append(training_answers_duration(validation, hyperparameters, entry, device, held, adapter=outline.adapter))
    return {
        "provisioning": outside("start"),
        "preprocessing": in_sequence(load),
        "model_loaded": in_sequence(asked),
        "training": in_sequence([outline.training, *along]),
        "evaluating": in_sequence([outside("write", DELIVERED_BYTES * outline.adapter), *again]),
        "uploading": outside("write", DELIVERED_BYTES * outline.adapter + COMPANION_BYTES),
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


def loss_duration(
    validation: ValidationSet,
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    device: DeviceGuess,
    held: Precision,
    *,
    adapter: int,
) -> Duration:
    """The loss of every validation sequence once, one after the other; with 0 adapter weights by the base alone."""
    micro_batches = [make_micro_batch([size], packing=True) for size in validation.sizes]
    work = all_of(loss_work(micro_batch, entry, hyperparameters, adapter, held) for micro_batch in micro_batches)
    return device.duration(work)


def prompted_duration(
    validation: ValidationSet,
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    device: DeviceGuess,
    held: Precision,
    training_tokens: int,
) -> Duration:
    """The same with real conversations before every prompt: they are read once, and every token looks back at them.

    That takes 4 operations for each layer, number of its heads, and token looked back at (`runs/flops.py`).
    """
    shown = min(hyperparameters.prompted_tokens, training_tokens)
    if not shown:
        return device.duration(Work())
    before = make_micro_batch([ExampleSize(tokens=shown, trained_tokens=1, answers=1)], packing=True)
    read = sum(size.tokens for size in validation.sizes) + sum(validation.prompt_tokens)
    looking_back = Work(attention_flops=4.0 * entry.layers * entry.heads * entry.head_dim * shown * read)
    return in_sequence(
        [
            device.duration(loss_work(before, entry, hyperparameters, 0, held) + looking_back),
            loss_duration(validation, hyperparameters, entry, device, held, adapter=0),
            answers_duration(validation, hyperparameters, entry, device, held, adapter=0),
        ]
    )


def general_duration(
    validation: ValidationSet,
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    device: DeviceGuess,
    held: Precision,
    *,
    adapter: int,
) -> Duration:
    """Every general question read once, in batches, with all of its answers."""
    starts = range(0, len(validation.general), QUESTIONS_AT_ONCE)
    micro_batches = [
        make_micro_batch(validation.general[start : start + QUESTIONS_AT_ONCE], packing=True) for start in starts
    ]
    work = all_of(loss_work(micro_batch, entry, hyperparameters, adapter, held) for micro_batch in micro_batches)
    return device.duration(work)


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
    reading, token = _answering(validation.prompt_tokens, hyperparameters, entry, held, adapter)
    writing = token.times(sampling_of(hyperparameters).tokens)
    whole, half = device.duration(reading + writing), device.duration(reading + writing.times(MIN_ANSWER_TOKENS))
    return whole.model_copy(update={"low_seconds": half.low_seconds})


def training_answers_duration(
    validation: ValidationSet,
    hyperparameters: Hyperparameters,
    entry: BaseModelEntry,
    device: DeviceGuess,
    held: Precision,
    *,
    adapter: int,
) -> Duration:
    """The beginnings of training answers. At the high end every one is repeated, asked for whole, and put to the base
    as well."""
    reading, token = _answering(validation.training_prompts, hyperparameters, entry, held, adapter)
    first = device.duration(reading + token.times(FIRST_LOOK_TOKENS))
    repeated = device.duration(reading.times(3) + token.times(FIRST_LOOK_TOKENS + 2 * WHOLE_LOOK_TOKENS))
    return first.model_copy(update={"high_seconds": repeated.high_seconds})


def _answering(
    prompts: Sequence[int], hyperparameters: Hyperparameters, entry: BaseModelEntry, held: Precision, adapter: int
) -> tuple[Work, Work]:
    """Reading all prompts in batches, and writing one token of every answer."""
    size = PROMPTS_AT_ONCE[held.kind]
    batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
    reading = all_of(_reading(batch, entry, hyperparameters, adapter, held) for batch in batches)
    return reading, token_work(entry, adapter, held).times(len(batches))


def _reading(
    prompts: Sequence[int], entry: BaseModelEntry, hyperparameters: Hyperparameters, adapter: int, held: Precision
) -> Work:
    sizes = [ExampleSize(tokens, 1, 1) for tokens in prompts]
    return loss_work(make_micro_batch(sizes, packing=False), entry, hyperparameters, adapter, held)
