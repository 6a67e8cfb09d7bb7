"""A plan and the worker's own preparation of that run, side by side: nothing that both say may differ."""

from __future__ import annotations

from collections import namedtuple
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("torch")

import torch

from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.contract.hyperparameters import LLAMA_PROJECTIONS, Hyperparameters
from brightrun.contract.run_folder import RunFolder
from brightrun.errors import NotEnoughMemory
from brightrun.jobs.base_model import pulled_base
from brightrun.jobs.make_run import MadeRun, make_run
from brightrun.jobs.plan_run import MeasuredData, PlanTarget, RunRequest, measure_data
from brightrun.planning.plan import shape_run
from brightrun.planning.this_machine import this_machine
from brightrun.runs.flops import make_micro_batch
from brightrun.templating.batches import ExampleSize
from brightrun.templating.chat_model import IGNORE_INDEX
from brightrun.worker.event_log import EventLog
from brightrun.worker.micro_batches import build_micro_batches
from brightrun.worker.run_job import Run, _prepare
from tests.tiny_model import pull_shape

pytestmark = [
    pytest.mark.worker,
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning"),
]

Memory = namedtuple("Memory", "available")
SHAPE = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
SHAPES: dict[str, dict[str, Any]] = {
    "grouped heads": {"num_key_value_heads": 2, "tie_word_embeddings": False},
    "one key for all": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "wide heads": {"num_key_value_heads": 4, "head_dim": 32, "num_hidden_layers": 3},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "usual": {},
    "padded": {"packing": False, "batch_size": 8, "gradient_accumulation_steps": 1, "sample_answers": 64},
    "separate": {"example_unit": "answer", "num_epochs": 1.5, "sample_answers": 3},
    "short": {"max_steps": 2, "seed": 7, "r": 4, "target_modules": "q_proj,down_proj"},
    "in 4 bits": {"quantization": "nf4", "gradient_checkpointing": "on", "optim": "adamw_torch"},
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_plan_s_trainable_parameters_are_those_that_peft_makes(tmp_path: Path, name: str) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = pull_shape(tmp_path, "shape", {**SHAPE, **SHAPES[name]})
    modules = [("q_proj",), ("k_proj", "o_proj"), ("down_proj", "up_proj", "v_proj"), LLAMA_PROJECTIONS]
    for r, target_modules in zip((1, 3, 8, 16), modules, strict=True):
        chosen = Hyperparameters(r=r, target_modules=target_modules)
        model = AutoModelForCausalLM.from_pretrained(folder)
        model = get_peft_model(model, LoraConfig(r=r, target_modules=list(target_modules), task_type="CAUSAL_LM"))
        made = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        assert shape_run([ExampleSize(10, 5, 1)], chosen, entry_of_folder(folder), "cpu").adapter == made


@dataclass(frozen=True, slots=True)
class Both:
    """What was planned, and what the worker prepared in the run's folder."""

    made: MadeRun
    measured: MeasuredData
    run: Run
    facts: dict[str, Any]


@pytest.fixture(scope="module", params=SETTINGS)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path
) -> Both:
    root = tmp_path_factory.mktemp("agreement")
    asked = RunRequest(sample_dataset, "quickstart", SETTINGS[request.param])
    target = PlanTarget(this_machine(root / "home", cpu_benchmark_seconds=0.05))
    made = make_run(asked, pulled_base(tiny_model), RunFolder(root / "run"), target=target)
    measured = measure_data(asked, pulled_base(tiny_model), root / "data")
    with closing(EventLog(made.folder.event_log)) as event_log:
        run = _prepare(made.folder, event_log)
    (said,) = [line for line in event_log_lines(made.folder) if "fingerprint" in line]
    return Both(made, measured, run, said)


def event_log_lines(folder: RunFolder) -> list[dict[str, Any]]:
    from brightrun.contract.events import read_event_log

    return [event.data.known() for event in read_event_log(folder.event_log)]


def test_examples_and_steps_are_the_planned_ones(both: Both) -> None:
    plan, sizes = both.made.plan, tuple(example.size for example in both.run.train)
    assert both.measured.sizes == sizes
    assert both.measured.validation.sizes == tuple(example.size for example in both.run.validation)
    assert plan.examples == len(sizes)
    assert plan.steps == len(both.run.steps) == both.facts["steps"]
    seen = [
        sizes[index].tokens for step in both.run.steps for micro_batch in step.micro_batches for index in micro_batch
    ]
    assert plan.tokens_total == sum(seen)


def test_the_prompts_are_the_planned_ones_to_the_token(both: Both) -> None:
    encoded = [len(both.run.chat.encode_prompt(prompt.messages)) for prompt in both.run.prompts]
    count = both.made.spec.hyperparameters.sample_answers
    assert count is not None
    assert list(both.measured.validation.prompt_tokens)[:count] == encoded
    assert 0 < len(encoded) <= count


def test_micro_batches_are_as_large_as_planned(both: Both) -> None:
    """Padding included; and the planned labels are those that a loss is computed on."""
    chosen, examples = both.made.spec.hyperparameters, both.run.train
    largest = 0
    for step in both.run.steps:
        built = build_micro_batches(step, examples, packing=chosen.packing, pad_id=both.run.chat.pad_id)
        for indices, micro_batch in zip(step.micro_batches, built, strict=True):
            planned = make_micro_batch([examples[index].size for index in indices], packing=chosen.packing)
            tensors = micro_batch.tensors(torch.device("cpu"))
            assert planned.computed_tokens == tensors["input_ids"].numel()
            assert planned.trained_tokens == int((tensors["labels"] != IGNORE_INDEX).sum())
            assert planned.is_joined == (chosen.packing and len(indices) > 1)
            largest = max(largest, planned.computed_tokens)
    assert both.made.plan.largest_micro_batch_tokens == largest


def test_the_worker_asks_for_the_memory_that_was_planned(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the low end of the plan's band and without the program, which runs already: less can't be enough."""
    memory = both.made.plan.memory
    needed = memory.low_bytes - memory.bytes_of("program")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with closing(EventLog(both.made.folder.event_log)) as event_log:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(needed))
        _prepare(both.made.folder, event_log)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(needed - 1))
        with pytest.raises(NotEnoughMemory) as refused:
            _prepare(both.made.folder, event_log)
    assert refused.value.details["needed_bytes"] == needed


def test_the_base_is_held_as_planned(both: Both) -> None:
    precision = both.made.spec.hyperparameters.resolve(both.made.plan.device)
    titles = " ".join(part.title for part in both.made.plan.memory.parts)
    assert both.facts["quantization"] == precision.quantization
    assert ("NF4" in titles) == precision.quantized
    assert ("for recomputing" in titles) == precision.gradient_checkpointing
