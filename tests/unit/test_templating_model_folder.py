"""Loading a pulled model's folder: what is found in it, and what is refused with which reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from brightrun.errors import ModelError
from brightrun.templating import load_chat_model
from tests.unit.tiny_chat_model import (
    CHATML,
    CHATML_CONFIG,
    CONVERSATION,
    LLAMA3,
    LLAMA3_CONFIG,
    tokenizer_json,
    write_model,
)

OPENED = "{% if messages[0].role == 'system' %}{{ bos_token }}{% endif %}"


def number_of(token: str) -> int:
    found = tokenizers.Tokenizer.from_str(tokenizer_json(llama3_split=False)).token_to_id(token)
    assert found is not None
    return found


def test_a_chatml_folder(tmp_path: Path) -> None:
    chat = load_chat_model(write_model(tmp_path / "small-instruct", CHATML, CHATML_CONFIG))
    assert chat.name == "small-instruct"
    assert chat.source == str(tmp_path / "small-instruct")
    assert chat.template == CHATML
    assert chat.end_of_turn == "<|im_end|>"
    assert chat.end_of_turn_id == number_of("<|im_end|>")
    assert chat.stop_ids == {number_of("<|im_end|>")}
    assert chat.pad_id == number_of("<|endoftext|>")
    assert chat.bos_id is None
    assert len(chat.template_sha256) == 64


def test_a_llama3_folder(tmp_path: Path) -> None:
    chat = load_chat_model(write_model(tmp_path, LLAMA3, LLAMA3_CONFIG), name="llama")
    assert chat.name == "llama"
    assert chat.bos_id == number_of("<|begin_of_text|>")
    assert chat.end_of_turn_id == number_of("<|eot_id|>")
    assert chat.pad_id not in {*chat.stop_ids, chat.bos_id}


def test_the_tokenizers_own_opening_token_is_not_added_to_the_templates(tmp_path: Path) -> None:
    raw = tokenizers.Tokenizer.from_str(tokenizer_json(llama3_split=True))
    chat = load_chat_model(write_model(tmp_path, LLAMA3, LLAMA3_CONFIG))
    text = chat.render(CONVERSATION)
    assert raw.encode(text).ids[:2] == [chat.bos_id, chat.bos_id]  # what a second tokenization would do
    assert chat.encode_conversation(CONVERSATION).input_ids == raw.encode(text).ids[1:]


@pytest.mark.parametrize("named", [[6, 0], 0])
def test_ends_named_by_the_generation_configuration_stop_too(tmp_path: Path, named: object) -> None:
    generation = json.dumps({"eos_token_id": named})
    chat = load_chat_model(write_model(tmp_path, CHATML, CHATML_CONFIG, generation_config=generation))
    ends = set(named) if isinstance(named, list) else {named}
    assert chat.stop_ids == {number_of("<|im_end|>"), *ends}
    assert chat.pad_id not in chat.stop_ids


def test_a_pad_of_the_folder_is_kept_where_it_ends_nothing(tmp_path: Path) -> None:
    config = {**CHATML_CONFIG, "pad_token": "<|start_header_id|>"}
    assert load_chat_model(write_model(tmp_path, CHATML, config)).pad_id == number_of("<|start_header_id|>")


@pytest.mark.parametrize("unfit", ["<|im_end|>", "<|im_start|>", "<|unknown|>"])
def test_a_pad_that_means_something_is_replaced(tmp_path: Path, unfit: str) -> None:
    chat = load_chat_model(write_model(tmp_path, CHATML, {**CHATML_CONFIG, "pad_token": unfit}))
    assert chat.pad_id == number_of("<|endoftext|>")


def test_without_any_free_control_token_the_pad_is_an_id_that_ends_nothing(tmp_path: Path) -> None:
    everything = json.dumps({"eos_token_id": list(range(7))})
    chat = load_chat_model(write_model(tmp_path, CHATML, CHATML_CONFIG, generation_config=everything))
    assert chat.pad_id not in chat.stop_ids
    assert chat.pad_id not in chat.encode_conversation(CONVERSATION).input_ids[:3]


@pytest.mark.parametrize(
    "in_config",
    [CHATML, [{"name": "tool_use", "template": "none"}, {"name": "default", "template": CHATML}]],
)
def test_the_template_may_stand_in_the_configuration(tmp_path: Path, in_config: object) -> None:
    chat = load_chat_model(write_model(tmp_path, None, {**CHATML_CONFIG, "chat_template": in_config}))
    assert chat.template == CHATML


def test_the_templates_own_file_comes_before_the_configuration(tmp_path: Path) -> None:
    chat = load_chat_model(write_model(tmp_path, CHATML, {**CHATML_CONFIG, "chat_template": "old"}))
    assert chat.template == CHATML


def test_a_length_limit_in_the_tokenizer_cuts_nothing(tmp_path: Path) -> None:
    folder = write_model(tmp_path, CHATML, CHATML_CONFIG)
    whole = load_chat_model(folder).encode_conversation(CONVERSATION)
    limited = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    limited["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    limited["padding"] = {
        "strategy": {"Fixed": 4096}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(limited), "utf-8")
    assert load_chat_model(folder).encode_conversation(CONVERSATION) == whole


def test_an_end_token_counts_even_where_the_file_calls_it_ordinary(tmp_path: Path) -> None:
    folder = write_model(tmp_path, CHATML, CHATML_CONFIG)
    file = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    for token in file["added_tokens"]:
        token["special"] = False
    (folder / "tokenizer.json").write_text(json.dumps(file), "utf-8")
    assert load_chat_model(folder).end_of_turn == "<|im_end|>"


@pytest.mark.parametrize("config", [CHATML_CONFIG, {**CHATML_CONFIG, "chat_template": None}])
def test_a_base_model_without_a_template_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="has no chat template, so it is a base model") as caught:
        load_chat_model(write_model(tmp_path, None, config))
    assert "Instruct" in caught.value.hint


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("  \n", "has no chat template"),
        ("{% for message in messages %}", "not valid Jinja"),
        ("{{ messages[0].content.nonsense() }}", "chat template failed"),
        ("{{ 1 // 0 }}", "chat template failed"),
        (
            "{{ raise_exception('System role not supported') }}",
            "refuses these messages: System role not supp",
        ),
        (
            CHATML.replace("for message in messages", "for message in messages[1:]"),
            "a system message 0 times",
        ),
        (CHATML.replace("for message in messages", "for message in messages[:3]"), "a user message 0 times"),
        (CHATML.replace("+ message['content']", "+ message['content'] * 2"), "a system message 2 times"),
        (CHATML.replace("+ '<|im_end|>'", ""), "no control token after an answer"),
        ("{{ bos_token + bos_token }}" + CHATML, "twice at the beginning"),
        (
            f"{OPENED}{CHATML}{{% if messages[0].role == 'user' %}}{{{{ bos_token }}}}{{% endif %}}",
            "there 1 times",
        ),
        (OPENED + CHATML, "it is there 0 times"),
        (
            "{% if messages[0].role == 'user' %}{{ bos_token }}{% endif %}{{ bos_token }}" + CHATML,
            "it is there 2 times",
        ),
        (CHATML.replace("{{ '<|im_start|>assistant\n' }}", ""), "cannot be used for training. Message 3"),
        (LLAMA3.replace("{% set content = bos_token", "{% set content = '' "), "has other tokens than alone"),
    ],
)
def test_a_template_that_cannot_train_is_refused_with_the_reason(tmp_path: Path, template: str, reason: str) -> None:
    config = {**CHATML_CONFIG, "bos_token": "<|begin_of_text|>"}
    with pytest.raises(ModelError, match=reason):
        load_chat_model(write_model(tmp_path, template, config))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: there is no such folder"):
        load_chat_model(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (write_model(tmp_path, CHATML, CHATML_CONFIG) / name).unlink()
    with pytest.raises(ModelError, match=f"there is no {name}"):
        load_chat_model(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_malformed_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (write_model(tmp_path, CHATML, CHATML_CONFIG) / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        load_chat_model(tmp_path)


def test_an_end_token_that_the_tokenizer_does_not_know_is_refused(tmp_path: Path) -> None:
    config = {**CHATML_CONFIG, "eos_token": "<|over|>"}
    with pytest.raises(ModelError, match=r"does not know its own eos_token <\|over\|>"):
        load_chat_model(write_model(tmp_path, CHATML, config))


@pytest.mark.worker
@pytest.mark.parametrize(("template", "config"), [(CHATML, CHATML_CONFIG), (LLAMA3, LLAMA3_CONFIG)])
def test_ids_are_those_of_transformers(tmp_path: Path, template: str, config: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    chat = load_chat_model(write_model(tmp_path, template, config))
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    turns = [{"role": message.role, "content": message.content} for message in CONVERSATION]
    whole = theirs.apply_chat_template(turns, tokenize=True, return_dict=False)
    prompt = theirs.apply_chat_template(turns[:2], tokenize=True, return_dict=False, add_generation_prompt=True)
    assert chat.encode_conversation(CONVERSATION).input_ids == whole
    assert chat.encode_prompt(CONVERSATION[:2]) == prompt
    assert chat.render(CONVERSATION) == theirs.apply_chat_template(turns, tokenize=False)
