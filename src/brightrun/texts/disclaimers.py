"""Whether a text speaks as a general assistant does: "As an AI language model, I cannot …"."""

from __future__ import annotations

import re

_I = r"\bI(?:['’]m| am)"
_MODEL = (
    r"(?:(?:AI|artificial[ -]intelligence|machine[ -]learning)(?:[- ](?:powered|based))?"
    r"(?: (?:language )?model| (?:virtual )?assistant| system| chat ?bot| program)?"
    r"|(?:large |AI )?language model|virtual assistant|chat ?bot|computer program)"
)
_ENDS = (
    r"(?=\s*(?:[,.;:!?)—–-]|$)"
    r"|\s+(?:and|so|but|developed|created|trained|made|built|designed|without|that|who|which|I|my)\b)"
)
_CANNOT = r"(?:\bI can(?:not|['’]t| not)|\bI(?: a|['’])m (?:unable|not able) to|\bI won['’]t be able to|\bI will not)"
_SERVE = r"(?:fulfil?l?|comply with|assist (?:you )?with|help (?:you )?with|complete|answer)"
_SERVE_AT_ALL = r"(?:assist|help|comply|provide assistance)(?: you)?"
_MAKERS = (
    r"(?:OpenAI|Anthropic|Google(?: DeepMind)?|Meta(?: AI)?|Microsoft|Alibaba(?: Cloud)?|DeepSeek|Mistral(?: AI)?|xAI)"
)
_OF_MODELS = (
    *(" an ai", "artificial int", "artificial-int", "machine learn", "machine-learn"),
    *("language model", "virtual assist", "chatbot", "chat bot", "computer program"),
)
# Each with strings in lower case of which one stands wherever it matches: looking for them is fast.
_STOCK = (
    (  # said of oneself: somewhere in the same sentence stands `I` or `my`
        _OF_MODELS,
        rf"\b(?<!such )(?:as|being) an? {_MODEL}{_ENDS}[^.!?\n]{{0,120}}?\b(?:I|I['’]\w+|my|me)\b",
    ),
    (
        ("gpt", "bard", "gemini", "copilot", "deepseek", "qwen", "claude"),
        rf"{_I} (?:(?:ChatGPT|GPT-?[0-9]|Bard|Gemini|Copilot|DeepSeek|Qwen)\b|Claude,? (?:an? AI|made|created|built))",
    ),
    (
        ("ed by", "made by", "built by"),
        rf"{_I}[^.!?\n]{{0,80}}\b(?:developed|created|trained|made|built) by {_MAKERS}\b",
    ),
    (
        ("my knowledge cut", "my training data", "my last ", "my programming"),
        r"\bmy (?:knowledge cut-?off|training data|last (?:knowledge |training )?update|programming)\b",
    ),
    (
        (" request",),
        rf"{_CANNOT} {_SERVE} (?:that|this|your|such an?) (?:\w+ )?request\b",
    ),
    (
        ("sorry", "apolog"),
        rf"(?:{_I} sorry|\bI apologi[sz]e),? but {_CANNOT} {_SERVE_AT_ALL}(?: with (?:that|this))?\s*[.!]",
    ),
)
_PATTERNS = [(literals, re.compile(pattern, re.IGNORECASE)) for literals, pattern in _STOCK]
_SELF = (
    _OF_MODELS,
    re.compile(rf"{_I}(?: just| only| merely| simply)? an? {_MODEL}{_ENDS}", re.IGNORECASE),
)
_LITERALS = tuple(dict.fromkeys(literal for literals, _ in (*_PATTERNS, _SELF) for literal in literals))
_TOLD_TO_BE_ONE = re.compile(
    r"\bAI\b|artificial intelligence|language model|chat ?bot|virtual assistant", re.IGNORECASE
)


def is_told_to_be_one(system: str) -> bool:
    """Whether a system prompt makes the model an AI, which lets its answers say so."""
    return _TOLD_TO_BE_ONE.search(system) is not None


def find_disclaimer(text: str, *, is_told: bool) -> int | None:
    """Where in the text somebody else's assistant speaks, or turns a request down in stock words; None: nowhere.

    `is_told`: the system prompt makes the model an AI; then saying so is no disclaimer.
    """
    lower = text.lower()
    for literal in _LITERALS:  # a plain loop: most texts have none of them
        if literal in lower:
            return _first_of_stock(text, lower, is_told=is_told)
    return None


def _first_of_stock(text: str, lower: str, *, is_told: bool) -> int | None:
    for literals, pattern in _PATTERNS if is_told else (*_PATTERNS, _SELF):
        if any(literal in lower for literal in literals) and (match := pattern.search(text)):
            return match.start()
    return None
