"""QLoRA on a CPU: the base in NF4 and untouched, the adapter in fp32 while it learns, bf16 when delivered."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("bitsandbytes")

import torch
from bitsandbytes.nn import Linear4bit
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from brightrun.contract.events import read_event_log
from brightrun.contract.hyperparameters import Hyperparameters, Precision
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.prepared import read_prepared
from brightrun.runs.examples import encode_examples
from brightrun.runs.steps import run_steps
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.device import device_kind
from brightrun.worker.event_log import EventLog
from brightrun.worker.load_model import LoadedBase, load_base
from tests.runs import make_run, run_worker

pytestmark = [
    pytest.mark.worker,
    pytest.mark.slow,
    # TRL and PEFT still use the old names of a switch that transformers has renamed.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning"),
]

PROJECTIONS = 2 * 7  # two layers of the tiny model
SETTINGS: dict[str, Any] = {"quantization": "nf4", "max_steps": 2, "evaluations": 1, "checkpoints": 1}


@dataclass(slots=True)
class Trained:
    """Two steps of training in this process: the model under its adapter, and the base as it was before."""

    base: LoadedBase
    model: Any
    before: dict[str, torch.Tensor]
    folder: RunFolder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> Trained:
    from brightrun.worker.train_adapter import Training, train_adapter

    folder = make_run(tmp_path_factory.mktemp("nf4") / "run", tiny_model, sample_dataset, **SETTINGS)
    spec, chat = JobSpec.load(folder.spec), load_chat_model(tiny_model)
    examples = encode_examples(read_prepared(folder.root / spec.dataset.train_path), chat, spec.hyperparameters)
    base = load_base(tiny_model, in_nf4())
    ask(base)  # as a run does before it trains
    before = {name: value.clone() for name, value in base.model.state_dict().items()}
    with closing(EventLog(folder.event_log)) as event_log:
        training = Training(
            hyperparameters=spec.hyperparameters,
            examples=examples,
            steps=run_steps([example.size for example in examples], spec.hyperparameters),
            folder=folder,
            fingerprint=spec.fingerprint(),
            event_log=event_log,
            validation_loss=lambda _: 1.0,
            pad_id=chat.pad_id,
        )
        return Trained(base, train_adapter(base, training), before, folder)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, sample_dataset: Path) -> RunFolder:
    """The same run through the worker, to its bundle."""
    folder = make_run(tmp_path_factory.mktemp("nf4-worker") / "run", tiny_model, sample_dataset, **SETTINGS)
    assert run_worker(folder) == 0
    return folder


def in_nf4() -> Precision:
    return Hyperparameters(quantization="nf4").resolve(device_kind())


def ask(base: LoadedBase) -> torch.Tensor:
    with base.inference():
        logits: torch.Tensor = base.model(input_ids=torch.tensor([[0, 7, 11, 13]]), use_cache=False).logits
    return logits


def test_a_base_that_was_asked_still_passes_gradients(tiny_model: Path) -> None:
    """bitsandbytes repacks weights for AVX-512 when first evaluated, and that layout has no gradient."""
    base = load_base(tiny_model, in_nf4())
    embedded = base.model.get_input_embeddings()(torch.tensor([[0, 7, 11, 13]])).detach().requires_grad_()
    fresh = gradient_through(base, embedded)
    ask(base)

    assert float(fresh.abs().max()) > 0
    assert torch.equal(gradient_through(base, embedded), fresh)


def gradient_through(base: LoadedBase, embedded: torch.Tensor) -> torch.Tensor:
    """Of the mean squared logit, with respect to the embeddings, through every quantized layer."""
    base.model.train()
    output = base.model(inputs_embeds=embedded, use_cache=False).logits.square().mean()
    (gradient,) = torch.autograd.grad(output, embedded)
    base.model.eval()
    return gradient


def test_the_projections_are_in_four_bits_and_nothing_else_is(trained: Trained) -> None:
    quantized = {name for name, module in trained.base.model.named_modules() if isinstance(module, Linear4bit)}
    stored = {parameter.dtype for name, parameter in trained.base.model.named_parameters() if "base_layer" in name}
    unquantized = {
        name: parameter.dtype
        for name, parameter in trained.base.model.named_parameters()
        if "layers" not in name or "norm" in name
    }

    assert len([name for name in quantized if name.endswith(("_proj", "base_layer"))]) >= PROJECTIONS
    assert stored == {torch.uint8}
    assert not any("lm_head" in name or "embed" in name for name in quantized)
    assert len(unquantized) == 7  # embeddings, head, last norm, two norms a layer
    assert set(unquantized.values()) == {torch.float32}


def test_the_adapter_is_fp32_while_it_learns(trained: Trained) -> None:
    """TRL casts the adapter of a quantized base to bf16, which loses most small updates."""
    learning = {name: part for name, part in trained.model.named_parameters() if part.requires_grad}

    assert len(learning) == 2 * PROJECTIONS
    assert all("lora_" in name for name in learning)
    assert {part.dtype for part in learning.values()} == {torch.float32}
    assert all(float(part.detach().abs().max()) > 0 for part in learning.values())  # B began as zero


def test_what_a_resume_starts_from_is_fp32_too(trained: Trained) -> None:
    (checkpoint,) = trained.folder.checkpoints.glob("step-*")
    weights = load_file(checkpoint / "adapter_model.safetensors")
    states = torch.load(checkpoint / "optimizer.pt", weights_only=True)["state"].values()

    assert checkpoint.name == "step-000002"
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert len(states) == 2 * PROJECTIONS
    assert {state[name].dtype for state in states for name in ("exp_avg", "exp_avg_sq")} == {torch.float32}


def test_both_steps_were_made(trained: Trained) -> None:
    steps = [event for event in read_event_log(trained.folder.event_log) if event.kind == "step"]

    assert [event.step for event in steps] == [1, 2]
    assert all(event.data.known()["loss"] > 0 and event.data.known()["grad_norm"] > 0 for event in steps)


def test_the_base_is_unchanged_to_the_last_bit(trained: Trained, delivered: RunFolder) -> None:
    """Asked last of this process's training: taking the adapter off ends it."""
    assert delivered.adapter.is_dir()
    after = trained.model.unload().state_dict()

    assert set(after) == set(trained.before)
    assert sum("quant_state" in name or "absmax" in name for name in after) >= PROJECTIONS
    for name, value in trained.before.items():
        assert torch.equal(after[name], value), name


def test_the_worker_delivers_bf16_and_its_proof_holds(delivered: RunFolder) -> None:
    weights = load_file(delivered.adapter / "adapter_model.safetensors")
    adapter_check = json.loads(delivered.comparison.read_text(encoding="utf-8"))["adapter_check"]
    told = list(read_event_log(delivered.event_log))

    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    assert len(weights) == 2 * PROJECTIONS
    assert (adapter_check["adapter_off_equals_base"], adapter_check["adapter_off_max_difference"]) == (True, 0.0)
    assert adapter_check["adapter_on_differs"] is True
    assert any(event.data.known().get("quantization") == "nf4" for event in told)


def test_the_held_out_loss_is_that_of_plain_transformers_in_nf4(delivered: RunFolder, tiny_model: Path) -> None:
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32, quantization_config=settings)
    for module in base.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False  # where there is AVX-512, it would compute in bf16
    model = PeftModel.from_pretrained(base, delivered.adapter).eval()
    tokenizer = AutoTokenizer.from_pretrained(delivered.adapter)
    comparison = json.loads(delivered.comparison.read_text(encoding="utf-8"))
    messages = json.loads((delivered.data / "validation.jsonl").read_text(encoding="utf-8").splitlines()[0])["messages"]
    first = next(number for number, message in enumerate(messages) if message["trained"])
    before = tokenizer.apply_chat_template(messages[:first], add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template(messages[: first + 1], return_dict=False)
    labels = torch.tensor([[-100] * len(before) + whole[len(before) :]])

    with torch.no_grad():
        tuned = float(model(input_ids=torch.tensor([whole]), labels=labels).loss)
        with model.disable_adapter():
            plain = float(model(input_ids=torch.tensor([whole]), labels=labels).loss)

    score = comparison["scores"][0]
    assert (score["answer_number"], score["trained_tokens"]) == (1, len(whole) - len(before))
    assert score["base_loss"] == pytest.approx(plain, rel=1e-4)
    assert score["tuned_loss"] == pytest.approx(tuned, rel=1e-4)
    assert abs(tuned - plain) > 1e-3


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
def test_the_file_of_weights_is_let_go_of_once_it_is_quantized(tiny_model: Path) -> None:
    """Embeddings are views into it; its projections in fp32 would stay in memory beside those in 4 bits."""
    before = mapped_weights()
    base = load_base(tiny_model, in_nf4())
    assert ask(base).isfinite().all()
    assert mapped_weights() <= before


def mapped_weights() -> int:
    return Path("/proc/self/maps").read_text(encoding="utf-8").count(".safetensors\n")
