"""The bundle: bf16 weights, golden prompts that transformers must repeat, a manifest that lists every file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import DatasetRef, JobSpec, ModelRef, file_sha256
from brightrun.contract.manifest import Manifest, verify_bundle
from brightrun.errors import AdapterCheckFailed, BundleDamaged
from brightrun.evaluation.comparison import AdapterCheck
from brightrun.templating.messages import Message
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.answer import Asked
from brightrun.worker.bundle import check_golden_prompts, write_adapter_weights, write_companions, write_manifest
from tests.unit.family_models import family_model
from tests.unit.test_templating_families import REASONED, TOOLS

pytestmark = pytest.mark.worker

DIGEST = "ab" * 32
PROMPTS = [
    (Message("system", "Keep calm."), Message("user", "  Café at five? 🥐\n")),
    (
        Message("user", "He fell."),
        Message("assistant", "\n Who is with him? ", trained=True),
        Message("user", "Nobody."),
    ),
]
ADAPTER_CHECK = AdapterCheck(
    adapter_off_equals_base=True,
    adapter_off_max_difference=0.0,
    adapter_on_differs=True,
    adapter_on_max_difference=1.5,
    fingerprint_tokens=64,
)


@pytest.fixture
def spec(tiny_model: Path) -> JobSpec:
    return JobSpec(
        job_id="bundle-job",
        recipe="balanced",
        hyperparameters=Hyperparameters(),
        model=ModelRef(name="tiny-llama", hub_id="someone/tiny-llama", revision="f" * 40, path=str(tiny_model)),
        dataset=DatasetRef(
            source_name="sample.json",
            source_sha256=DIGEST,
            train_path="data/train.jsonl",
            train_sha256=DIGEST,
            validation_path="data/validation.jsonl",
            validation_sha256=DIGEST,
            split_sha256=DIGEST,
        ),
    )


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """What PEFT leaves after training: fp32 weights, and a config that names the folder on this machine."""
    folder = tmp_path / "trained"
    folder.mkdir()
    generator = torch.Generator().manual_seed(5)
    weights = {f"layer.{n}.lora_{side}.weight": torch.randn(4, 8, generator=generator) for n in (0, 1) for side in "AB"}
    save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "base_model_name_or_path": "/home/owner/secret/place",
        "inference_mode": False,
        "revision": "x",
        "target_modules": ["v_proj", "k_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def bundle(tmp_path: Path, tiny_model: Path, spec: JobSpec, trained: Path) -> Path:
    """A whole bundle in a folder."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    chat = load_chat_model(tiny_model)
    write_adapter_weights(trained, folder, spec)
    write_companions(folder, model_folder=tiny_model, chat=chat, prompts=[Asked(messages) for messages in PROMPTS])
    (folder / "README.md").write_text("# A card\n")
    write_manifest(folder, spec, chat=chat, packages={"torch": torch.__version__}, adapter_check=ADAPTER_CHECK)
    return folder


def test_weights_are_delivered_in_bf16_and_near_the_trained_ones(tmp_path: Path, trained: Path, spec: JobSpec) -> None:
    count = write_adapter_weights(trained, tmp_path, spec)

    before = load_file(trained / "adapter_model.safetensors")
    after = load_file(tmp_path / "adapter_model.safetensors")
    assert set(after) == set(before)
    assert {weight.dtype for weight in after.values()} == {torch.bfloat16}
    for name, weight in before.items():
        assert torch.allclose(after[name].float(), weight, rtol=2**-8, atol=0)
    assert count == 4 * 32


def test_the_config_names_the_base_by_its_hub_id_and_no_place(tmp_path: Path, trained: Path, spec: JobSpec) -> None:
    write_adapter_weights(trained, tmp_path, spec)

    text = (tmp_path / "adapter_config.json").read_text()
    config = json.loads(text)
    assert config["base_model_name_or_path"] == "someone/tiny-llama"
    assert config["inference_mode"] is True
    assert config["target_modules"] == ["k_proj", "v_proj"]
    assert "secret" not in text


def test_golden_prompts_are_repeated_by_transformers(bundle: Path) -> None:
    check_golden_prompts(bundle)

    golden = json.loads((bundle / "golden_prompts.json").read_text(encoding="utf-8"))
    assert [prompt["messages"][-1]["content"] for prompt in golden] == ["Café at five? 🥐", "Nobody."]
    assert golden[1]["messages"][1]["content"] == "Who is with him?"


def test_golden_prompts_with_tools_and_reasoning_are_repeated_by_transformers(tmp_path: Path) -> None:
    """The bundle's template says by itself whether answers begin with reasoning; a prompt that differs says so."""
    chat = family_model(tmp_path / "model", "qwen3")
    asked = {
        "plain": [Asked(TOOLS[:2]), Asked(TOOLS[:4])],
        "reasoning": [Asked(TOOLS[:2], reasons=True), Asked(REASONED[:1]), Asked(REASONED[:3], reasons=True)],
    }
    for name, prompts in asked.items():
        (tmp_path / name).mkdir()
        write_companions(tmp_path / name, model_folder=tmp_path / "model", chat=chat, prompts=prompts)
        check_golden_prompts(tmp_path / name)
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / name)
        options = {"tokenize": False, "add_generation_prompt": True}
        text = tokenizer.apply_chat_template([{"role": "user", "content": "Hm?"}], **options)
        assert text.endswith("<think>\n\n</think>\n\n") == (name == "plain")
        told = tokenizer.apply_chat_template([{"role": "user", "content": "Hm?"}], **options, enable_thinking=True)
        assert told.endswith("<|im_start|>assistant\n")
    first, second, _ = json.loads((tmp_path / "reasoning" / "golden_prompts.json").read_text(encoding="utf-8"))
    assert first["options"]["tools"][0]["function"]["name"] == "balance"
    assert second["options"] == {"enable_thinking": False}


@pytest.mark.parametrize("mistake", ["an id", "the template"])
def test_other_token_ids_under_transformers_are_noticed(bundle: Path, mistake: str) -> None:
    if mistake == "an id":
        path = bundle / "golden_prompts.json"
        golden = json.loads(path.read_text(encoding="utf-8"))
        golden[1]["input_ids"][3] += 1
        path.write_text(json.dumps(golden), encoding="utf-8")
    else:
        path = bundle / "chat_template.jinja"
        path.write_text(path.read_text(encoding="utf-8").replace("\n\n", "\n"), encoding="utf-8")

    with pytest.raises(AdapterCheckFailed, match=r"Golden prompt [12] has other token ids"):
        check_golden_prompts(bundle)


def test_a_template_with_todays_date_keeps_the_date_it_was_trained_under(tmp_path: Path, tiny_model: Path) -> None:
    """Llama 3.2's template writes the current date, so that its tokens would be others tomorrow."""
    source = tmp_path / "dated"
    shutil.copytree(tiny_model, source)
    (source / "brightrun-model.json").unlink()
    plain = (source / "chat_template.jinja").read_text(encoding="utf-8")
    dated = (
        "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
        '{%- set date_string = strftime_now("%d %b %Y") %}{%- endif %}{%- endif %}'
        "{{ bos_token }}{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: ' + date_string + '<|eot_id|>' }}"
    )
    assert plain.startswith("{{ bos_token }}")
    template = dated + plain.removeprefix("{{ bos_token }}")
    (source / "chat_template.jinja").write_text(template, encoding="utf-8")
    model = pull_from_folder(source, tmp_path / "models", name="dated-llama", license="Apache-2.0").folder
    target = tmp_path / "bundle"
    target.mkdir()

    write_companions(
        target, model_folder=model, chat=load_chat_model(model), prompts=[Asked(messages) for messages in PROMPTS]
    )

    tokenizer = AutoTokenizer.from_pretrained(target)
    check_golden_prompts(target)
    golden = json.loads((target / "golden_prompts.json").read_text(encoding="utf-8"))
    assert "Today: 26 Jul 2024" in tokenizer.decode(golden[0]["input_ids"])


def test_generation_stops_at_the_end_of_a_turn(bundle: Path, tiny_model: Path) -> None:
    chat = load_chat_model(tiny_model)
    settings = json.loads((bundle / "generation_config.json").read_text())

    assert chat.end_of_turn_id in settings["eos_token_id"]
    assert settings["pad_token_id"] not in settings["eos_token_id"]
    assert settings["do_sample"] is False


def test_the_manifest_lists_every_other_file_and_says_where_the_adapter_came_from(bundle: Path, spec: JobSpec) -> None:
    manifest = verify_bundle(bundle)

    listed = {file.name: file for file in manifest.files}
    assert set(listed) == {path.name for path in bundle.iterdir()} - {"manifest.json"}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "chat_template.jinja"} <= set(listed)
    for name, file in listed.items():
        assert (file.bytes, file.sha256) == ((bundle / name).stat().st_size, file_sha256(bundle / name))
    assert manifest.base_model.hub_id == "someone/tiny-llama"
    assert manifest.base_model.revision == "f" * 40
    assert manifest.base_model.path == ""
    assert manifest.dataset_sha256 == manifest.split_sha256 == DIGEST
    assert manifest.fingerprint == spec.fingerprint()
    assert manifest.hyperparameters == spec.hyperparameters
    assert manifest.adapter_check == ADAPTER_CHECK.model_dump(mode="json")
    assert manifest.packages == {"torch": torch.__version__}


def test_no_file_of_the_bundle_tells_where_it_was_made(bundle: Path, tiny_model: Path) -> None:
    for path in bundle.iterdir():
        content = path.read_bytes()
        assert str(tiny_model).encode() not in content, path.name
        assert str(bundle).encode() not in content, path.name


@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "adapter_config.json", "chat_template.jinja", "golden_prompts.json"]
)
@pytest.mark.parametrize("damage", ["a byte", "missing"])
def test_tampering_is_found(bundle: Path, name: str, damage: str) -> None:
    path = bundle / name
    content = path.read_bytes()
    path.unlink()
    if damage == "a byte":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    with pytest.raises(BundleDamaged, match=name):
        verify_bundle(bundle)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_bundle_without_a_readable_manifest_is_refused(bundle: Path, content: bytes | None) -> None:
    path = bundle / "manifest.json"
    path.unlink() if content is None else path.write_bytes(content)

    with pytest.raises(BundleDamaged, match=r"manifest\.json"):
        verify_bundle(bundle)


def test_a_manifest_reads_back_as_it_was_written(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text(encoding="utf-8")
    manifest = Manifest.model_validate_json(text)

    assert manifest.model_dump_json(indent=2) + "\n" == text
