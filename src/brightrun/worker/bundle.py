"""The bundle: the adapter and everything its owner needs to load it elsewhere and to check what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence as Items
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from safetensors.torch import load_file, save_file

from brightrun.contract.job_spec import JobSpec, file_sha256
from brightrun.contract.manifest import Manifest, ManifestFile
from brightrun.errors import AdapterCheckFailed
from brightrun.files import write_model, write_text
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.template import DATE_STRING, template_messages, template_tools
from brightrun.worker.answer import Asked
from brightrun.worker.bundle_tokenizer import write_tokenizer

GOLDEN_NAME = "golden_prompts.json"
MANIFEST_NAME = "manifest.json"


def write_adapter_weights(trained: Path, target: Path, spec: JobSpec) -> int:
    """The adapter in bf16 safetensors and its config, naming the base by its hub id; returns its parameters."""
    weights = load_file(trained / "adapter_model.safetensors")
    delivered = {name: weight.to(torch.bfloat16).contiguous() for name, weight in weights.items()}
    save_file(delivered, target / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads((trained / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = spec.model.hub_id or spec.model.name
    config["revision"] = None
    config["inference_mode"] = True
    config["target_modules"] = sorted(config["target_modules"])  # PEFT writes a set, in any order
    write_text(target / "adapter_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
    return sum(weight.numel() for weight in delivered.values())


def write_companions(target: Path, *, model_folder: Path, chat: ChatModel, prompts: Items[Asked]) -> None:
    """Tokenizer, template, generation defaults, golden prompts with their exact token ids, and the self-test."""
    write_tokenizer(target, model_folder, chat)
    reasons = any(prompt.reasons for prompt in prompts)
    write_text(target / "chat_template.jinja", _as_trained(chat.template, reasons=reasons))
    generation = {
        "do_sample": False,
        "eos_token_id": sorted(chat.stop_ids),
        "pad_token_id": chat.pad_id,
        "bos_token_id": chat.bos_id,
    }
    write_text(target / "generation_config.json", json.dumps(generation, indent=2) + "\n")
    golden = [_golden(chat, prompt, default=reasons) for prompt in prompts]
    write_text(target / GOLDEN_NAME, json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
    with as_file(files("brightrun.worker") / "bundle_files" / "self_test.py") as script:
        shutil.copyfile(script, target / "self_test.py")


def _golden(chat: ChatModel, prompt: Asked, *, default: bool) -> dict[str, Any]:
    """A prompt as transformers takes it, and its ids. `default`: whether the bundle's template expects reasoning."""
    # Outer white space goes before rendering with us; elsewhere the template alone decides.
    messages = [replace(message, content=message.content.strip()) for message in prompt.messages]
    options: dict[str, Any] = {}
    if (tools := template_tools(messages)) is not None:
        options["tools"] = tools
    if prompt.reasons != default:
        options["enable_thinking"] = prompt.reasons
    return {
        "messages": template_messages(messages),
        **({"options": options} if options else {}),
        "input_ids": chat.encode_prompt(messages, reasons=prompt.reasons),
    }


def _as_trained(template: str, *, reasons: bool) -> str:
    """The template with the date it was trained under, and without reasoning where none was trained.

    Llama 3.2's writes today's date, so its tokens change daily; Qwen3's asks for reasoning unless it is told not to.
    """
    settings = ""
    if "date_string" in template:
        settings += f'{{%- set date_string = "{DATE_STRING}" -%}}'
    if "enable_thinking" in template and not reasons:
        settings += "{%- set enable_thinking = enable_thinking is defined and enable_thinking -%}"
    return settings + template


def check_golden_prompts(target: Path) -> None:
    """The library most people load with gives, with the bundle's own tokenizer, the very ids we trained under.

    Raises:
        AdapterCheckFailed: it does not, so answers elsewhere would come from other tokens.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(target)
    tokenizer.chat_template = (target / "chat_template.jinja").read_text(encoding="utf-8")
    for number, golden in enumerate(json.loads((target / GOLDEN_NAME).read_text(encoding="utf-8")), start=1):
        options = {"add_generation_prompt": True, "return_dict": False, **golden.get("options", {})}
        ids = tokenizer.apply_chat_template(golden["messages"], **options)
        if list(ids) != golden["input_ids"]:
            raise AdapterCheckFailed(f"Golden prompt {number} has other token ids under transformers than under ours.")


def write_manifest(
    target: Path, spec: JobSpec, *, chat: ChatModel, packages: dict[str, str], adapter_check: BaseModel
) -> Manifest:
    """`manifest.json`, written last: every other file of the bundle with its hash."""
    listed = tuple(
        ManifestFile(name=path.relative_to(target).as_posix(), bytes=path.stat().st_size, sha256=file_sha256(path))
        for path in sorted(target.rglob("*"))
        if path.is_file()
    )
    manifest = Manifest(
        job_id=spec.job_id,
        created_at=datetime.now(UTC),
        base_model=spec.model.model_copy(update={"path": ""}),
        dataset_name=spec.dataset.source_name,
        dataset_sha256=spec.dataset.source_sha256,
        split_sha256=spec.dataset.split_sha256,
        template_sha256=chat.template_sha256,
        recipe=spec.recipe,
        hyperparameters=spec.hyperparameters,
        fingerprint=spec.fingerprint(),
        packages=packages,
        adapter_check=adapter_check.model_dump(mode="json"),
        files=listed,
    )
    write_model(target / MANIFEST_NAME, manifest)
    return manifest
