"""From a file with tools and reasoning to an adapter for a model that knows both: the real worker, a tiny Qwen3."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config

from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.prepared import read_prepared
from tests.runs import make_run, run_worker
from tests.unit.family_models import family_model
from tests.unit.test_datasets_builders import answer_about, write_lines
from tests.unit.test_datasets_tool_calling import openai

pytestmark = [
    pytest.mark.worker,
    pytest.mark.slow,
    # PEFT still uses the old name of a property that transformers has renamed.
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("models")
    family_model(home / "source", "qwen3")
    torch.manual_seed(5)
    config = Qwen3Config(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=258,
        pad_token_id=256,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(home / "source")
    return pull_from_folder(home / "source", home / "models", name="tiny-qwen3", license="Apache-2.0").folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model: Path) -> RunFolder:
    folder = tmp_path_factory.mktemp("tools")
    records = []
    for number in range(12):
        record = openai()
        record["messages"][0]["content"] = f"What is in jar {number}?"
        record["messages"][1]["reasoning_content"] = f"I have to look into jar {number}."
        record["messages"][3]["content"] = answer_about(f"jar {number}")
        records.append(record)
    path = write_lines(folder / "jars.jsonl", records)
    run = make_run(folder / "run", model, path, num_epochs=2, sample_answers=3)
    assert run_worker(run) == 0
    return run


def test_the_bundle_holds_prompts_with_tools_and_reasoning(finished: RunFolder) -> None:
    verify_bundle(finished.adapter)
    golden = json.loads((finished.adapter / "golden_prompts.json").read_text("utf-8"))
    assert all(prompt["options"]["tools"][0]["function"]["name"] == "balance" for prompt in golden)
    template = (finished.adapter / "chat_template.jinja").read_text("utf-8")
    assert not template.startswith("{%- set enable_thinking")  # half of the answers begin with reasoning


def test_the_losses_of_the_report_are_reproduced_by_transformers_alone(finished: RunFolder, model: Path) -> None:
    """Each answer behind its own prompt as transformers renders it; no masks or sequences of ours."""
    told = json.loads(finished.comparison.read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(finished.adapter)
    tokenizer.chat_template = (model / "chat_template.jinja").read_text("utf-8")
    tuned = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), finished.adapter
    )
    total = tokens = 0.0
    for conversation in read_prepared(finished.root / "data" / "validation.jsonl"):
        tools = [json.loads(tool) for tool in conversation.tools]
        call = {"name": "balance", "arguments": json.loads(conversation.messages[1].calls[0].arguments)}
        user = {"role": "user", "content": conversation.messages[0].content}
        calling = {
            "role": "assistant",
            "content": "",
            "reasoning_content": conversation.messages[1].reasoning,
            "tool_calls": [{"type": "function", "function": call}],
        }
        result = {"role": "tool", "content": conversation.messages[2].content}
        answer = {"role": "assistant", "content": conversation.messages[3].content}
        for before, said, thinks in (([user], calling, True), ([user, calling, result], answer, False)):
            options = {"tools": tools, "enable_thinking": thinks, "tokenize": False}
            prompt = tokenizer.apply_chat_template(before, add_generation_prompt=True, **options)
            text = tokenizer.apply_chat_template([*before, said], **options)
            assert text.startswith(prompt)
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            start = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
            end = len(ids) - ids[::-1].index(tokenizer.convert_tokens_to_ids("<|im_end|>"))
            with torch.no_grad():
                logits = tuned(input_ids=torch.tensor([ids])).logits[0, start - 1 : end - 1]
            total += float(cross_entropy(logits, torch.tensor(ids[start:end]), reduction="sum"))
            tokens += end - start
    assert total / tokens == pytest.approx(told["overall"]["tuned_loss"], rel=1e-4)


def test_samples_show_calls_and_no_reasoning_tags(finished: RunFolder) -> None:
    told = json.loads(finished.comparison.read_text("utf-8"))
    references = [sample["reference"] for sample in told["samples"]]
    assert any(reference.startswith("balance({") for reference in references)
