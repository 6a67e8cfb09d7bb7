"""Llama 3 without a pulled model: Meta's tokenizer file from the package `llama-models`. Knows no network."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from brightrun.errors import MissingDependency
from brightrun.templating.assemble import assemble_chat_model
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.template import ChatTemplate
from brightrun.templating.tokenizer_tiktoken import RankTokenizer, read_ranks

SOURCE = "meta llama-models package (Llama 3 Community License)"

# Equal to Meta's `ChatFormat`, but without a message's outer white space, as in the models' own templates.
TEMPLATE = """\
{{ bos_token }}
{%- for message in messages -%}
    {{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}
    {{- message.content | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif -%}
"""

# How text is split before the ranks apply, from llama_models/llama3/tokenizer.py (`pat_str`).
_PATTERN = "|".join(
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
# The 256 control tokens after the 128,000 ranks (same file, `special_tokens`): these, then reserved ones.
_NAMED = (
    "begin_of_text",
    "end_of_text",
    "reserved_special_token_0",
    "reserved_special_token_1",
    "finetune_right_pad_id",
    "step_id",
    "start_header_id",
    "end_header_id",
    "eom_id",
    "eot_id",
    "python_tag",
    "image",
)
_RESERVED = (f"reserved_special_token_{number}" for number in range(2, 256 - len(_NAMED) + 2))
SPECIAL_TOKENS = tuple(f"<|{name}|>" for name in (*_NAMED, *_RESERVED))


@cache
def llama3_chat_model() -> ChatModel:
    """The exact Llama 3 format with Meta's tokenizer; about a third of a second the first time.

    Raises:
        MissingDependency: The package `llama-models` or its file is not installed.
    """
    path = _tokenizer_file()
    tokenizer = RankTokenizer("llama3", read_ranks(path), _PATTERN, SPECIAL_TOKENS)
    special = tokenizer.special_ids
    return assemble_chat_model(
        name="Llama 3",
        source=SOURCE,
        tokenizer=tokenizer,
        template=ChatTemplate(TEMPLATE, {"bos_token": "<|begin_of_text|>"}),
        bos="<|begin_of_text|>",
        stops=[special[token] for token in ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>")],
        pad="<|finetune_right_pad_id|>",
    )


def _tokenizer_file() -> Path:
    # The package is looked up, not imported: its modules import far more than the one file we want.
    package = find_spec("llama_models")
    for folder in (package.submodule_search_locations or []) if package else []:
        path = Path(folder) / "llama3" / "tokenizer.model"
        if path.is_file():
            return path
    raise MissingDependency(
        "The Llama 3 tokenizer is not installed: the package llama-models has no llama3/tokenizer.model.",
        hint="Install it: pip install llama-models",
    )
