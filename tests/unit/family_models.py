"""Chat models of the families that studios ask for: real templates over a make-believe tokenizer of single bytes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from brightrun.templating import ChatModel, load_chat_model

_LLAMA = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>")
_QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_QWEN_PLAIN = ("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")
_GEMMA = ("<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>")
_MISTRAL = (
    "<pad>", "<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CALLS]",
    "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
)  # fmt: skip

# Written for this test in the shape of Mistral Small 3's: tools stand before the last question of the user, calls and
# results carry ids of nine characters, and there is no header before an answer.
MISTRAL_SMALL = """\
{{- bos_token }}
{%- set spoken = messages[1:] if messages[0].role == 'system' else messages %}
{{- '[SYSTEM_PROMPT]' + (messages[0].content if messages[0].role == 'system' else 'Be brief and kind to people.') }}
{{- '[/SYSTEM_PROMPT]' }}
{%- set asked = spoken | selectattr('role', 'equalto', 'user') | list %}
{%- for message in spoken %}
    {%- if message.role == 'user' %}
        {%- if tools is not none and message == asked[-1] %}
            {{- '[AVAILABLE_TOOLS] ' + tools | tojson + '[/AVAILABLE_TOOLS]' }}
        {%- endif %}
        {{- '[INST]' + message.content + '[/INST]' }}
    {%- elif message.tool_calls is defined %}
        {{- '[TOOL_CALLS] [' }}
        {%- for call in message.tool_calls %}
            {%- if call.id | length != 9 %}{{ raise_exception('an id of nine characters is needed') }}{% endif %}
            {{- (call.function | tojson)[:-1] + ', "id": "' + call.id + '"}' + ('' if loop.last else ', ') }}
        {%- endfor %}
        {{- ']' + eos_token }}
    {%- elif message.role == 'assistant' %}
        {{- message.content + eos_token }}
    {%- elif message.role == 'tool' %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content + ', "call_id": "' + message.tool_call_id + '"}' }}
        {{- '[/TOOL_RESULTS]' }}
    {%- endif %}
{%- endfor %}
"""

# Name: control tokens, other tokens of their own, opening, end.
_FAMILIES = {
    "llama": (_LLAMA, (), "<|begin_of_text|>", "<|eot_id|>"),
    "qwen": (_QWEN, _QWEN_PLAIN, None, "<|im_end|>"),
    "gemma": (_GEMMA, (), "<bos>", "<eos>"),
    "mistral": (_MISTRAL, (), "<s>", "</s>"),
}


def template_of(name: str) -> str:
    """The template that a family publishes, as the package trl keeps it; `mistral_small` is this test's own."""
    if name == "mistral_small":
        return MISTRAL_SMALL
    package = importlib.util.find_spec("trl")
    if package is None or package.origin is None:
        pytest.skip("needs trl, which keeps the families' templates")
    return (Path(package.origin).parent / "chat_templates" / f"{name}.jinja").read_text("utf-8")


def family_model(folder: Path, template: str) -> ChatModel:
    """The chat model with that template; the family is the beginning of its name."""
    family = next(name for name in _FAMILIES if template.startswith(name))
    special, plain, opening, end = _FAMILIES[family]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = tokenizers.Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in plain])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": end, **({} if opening is None else {"bos_token": opening})}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    (folder / "chat_template.jinja").write_text(template_of(template), "utf-8")
    return load_chat_model(folder, name=template)
