"""Llama 3 from the installed package: its control tokens, its written format, its place in the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from brightrun.errors import MissingDependency
from brightrun.templating import llama3, llama3_chat_model
from tests.unit.tiny_chat_model import CONVERSATION


def test_the_written_format() -> None:
    assert llama3_chat_model().render(CONVERSATION[:3]) == (
        "<|begin_of_text|>"
        "<|start_header_id|>system<|end_header_id|>\n\nYou keep the accounts of a small bakery.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nHow much flour did we buy?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        "Forty sacks.\n\nShall I list the suppliers?<|eot_id|>"
    )


def test_the_prompt_ends_in_the_answers_header() -> None:
    chat = llama3_chat_model()
    text = chat.decode(chat.encode_prompt(CONVERSATION[:2]), skip_special=False)
    assert text == chat.render(CONVERSATION[:2]) + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def test_control_tokens_have_the_published_numbers() -> None:
    chat = llama3_chat_model()
    assert (chat.bos_id, chat.end_of_turn_id, chat.pad_id) == (128000, 128009, 128004)
    assert chat.stop_ids == {128001, 128008, 128009}
    assert len(chat.special_tokens) == 256
    assert "<|reserved_special_token_245|>" in chat.special_tokens
    assert "Llama 3 Community License" in chat.source


def test_decoding_leaves_control_tokens_out() -> None:
    chat = llama3_chat_model()
    assert chat.decode(chat._tokenizer.ids("Café 🥐<|eot_id|>")) == "Café 🥐"


def test_the_model_is_made_once() -> None:
    assert llama3_chat_model() is llama3_chat_model()


def test_without_the_package_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama3, "find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match="llama-models") as caught:
        llama3._tokenizer_file()
    assert "pip install llama-models" in caught.value.hint


def test_neither_torch_nor_metas_modules_are_imported() -> None:
    program = (
        "import sys; from brightrun.templating import llama3_chat_model; llama3_chat_model();"
        "print([m for m in ('torch', 'transformers', 'llama_models', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
