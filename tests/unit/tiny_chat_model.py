"""Folders of make-believe models for the chat tests: a byte-level tokenizer trained on a few sentences."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from brightrun.templating.messages import Message

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] "
    "+ '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)
CHATML_CONFIG = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
# Control strings are plain text in some folders and objects in others.
_OBJECT = {
    "__type": "AddedToken",
    "lstrip": False,
    "normalized": False,
    "rstrip": False,
    "single_word": False,
}
LLAMA3_CONFIG = {
    "bos_token": {**_OBJECT, "content": "<|begin_of_text|>"},
    "eos_token": {**_OBJECT, "content": "<|eot_id|>"},
}

CONVERSATION = (
    Message("system", "You keep the accounts of a small bakery."),
    Message("user", "How much flour did we buy?"),
    Message("assistant", "Forty sacks.\n\nShall I list the suppliers?", trained=True),
    Message("user", "Yes, please. Café Léon first 🥐"),
    Message("assistant", "🥖 Café Léon took twelve.", trained=True),
)


# How Llama 3 splits text, here with line breaks kept together; GPT-2's way splits "\n\n" before a word.
LLAMA3_SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@cache
def tokenizer_json(*, llama3_split: bool) -> str:
    """A byte-level BPE of 600 tokens whose post-processor trims offsets and adds a BOS, as Llama 3's does."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if llama3_split:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(tokenizers.Regex(LLAMA3_SPLIT), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sentences = [message.content for message in CONVERSATION] + ["the assistant and the user\n\n\n" * 4]
    tokenizer.train_from_iterator(sentences * 3, trainer)
    opening = processors.TemplateProcessing(
        single="<|begin_of_text|> $A",
        special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))],
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), opening])
    text: str = tokenizer.to_str()
    return text


def write_model(folder: Path, template: str | None, config: dict[str, Any], **files: str) -> Path:
    """A folder with the tokenizer, the template in a file, and `files` (`generation_config="{...}"`)."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_json(llama3_split=config is LLAMA3_CONFIG)
    (folder / "tokenizer.json").write_text(tokenizer, "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, "utf-8")
    for name, text in files.items():
        (folder / f"{name}.json").write_text(text, "utf-8")
    return folder
