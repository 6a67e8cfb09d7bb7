"""A real, very small Llama for tests: two layers, its own byte-level tokenizer, the Llama 3 chat format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brightrun.catalogue.pull.folder import pull_from_folder

_SPECIAL = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|pad|>",
]
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_TEXT = [
    "You are a calm guide. Name the feeling, then one small step with a time in it.",
    "I don't know what to do about my father, he fell again and I am far away.",
    "That is a heavy morning. Call the nurse line before five and ask about the hip. What would you ask first?",
]


_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}


def make_tiny_model(home: Path, *, name: str = "tiny-llama", seed: int = 7) -> Path:
    """Build the model, pull it into `home` as a person would, and return its folder."""
    return pull_shape(home, name, _SHAPE, seed=seed)


def pull_shape(home: Path, name: str, shape: dict[str, Any], *, seed: int = 7) -> Path:
    """A pulled Llama of that shape with random weights; its vocabulary is the tokenizer's where none is named."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    source = home / "source" / name
    source.mkdir(parents=True)
    vocabulary = _write_tokenizer(source)
    torch.manual_seed(seed)
    settings = {"vocab_size": vocabulary, "max_position_embeddings": 8192, "initializer_range": 0.2, **shape}
    config = LlamaConfig(bos_token_id=0, eos_token_id=4, pad_token_id=5, **settings)
    LlamaForCausalLM(config).save_pretrained(source)
    return pull_from_folder(source, home / "models", name=name, license="Apache-2.0").folder


def _write_tokenizer(folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT * 20, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": _SPECIAL[0],
        "eos_token": _SPECIAL[4],
        "pad_token": _SPECIAL[5],
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(_TEMPLATE, encoding="utf-8")
    return int(tokenizer.get_vocab_size())
