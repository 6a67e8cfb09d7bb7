"""Answers that speak as somebody else's assistant: "As an AI language model, I cannot …"."""

from __future__ import annotations

import re

from brightrun.datasets.checks.text_check import ANSWERS, TextCheck
from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import excerpt

NAME = "ai_disclaimers"
EXPLANATION = (
    "These answers disclaim as a general assistant does, name another model or its maker as the speaker, or turn a "
    "request down in stock words. Another model probably wrote them, and this one learns to say the same."
)
FIX = "Write these answers in the voice the model shall have, or remove the conversations."

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


class AiDisclaimers(TextCheck):
    """A system prompt that makes the model an AI lets its answers say so."""

    name, explanation, fix = NAME, EXPLANATION, FIX
    roles = ANSWERS

    def __init__(self) -> None:
        super().__init__()
        self._is_told = False

    def inspect(self, conversation: Conversation) -> None:
        self._is_told = _TOLD_TO_BE_ONE.search(conversation.system or "") is not None
        super().inspect(conversation)

    def describe(self, text: str) -> str | None:
        lower = text.lower()
        for literal in _LITERALS:  # a plain loop: most texts have none of them
            if literal in lower:
                return self._first_of_stock(text, lower)
        return None

    def _first_of_stock(self, text: str, lower: str) -> str | None:
        for literals, pattern in _PATTERNS if self._is_told else (*_PATTERNS, _SELF):
            if any(literal in lower for literal in literals) and (match := pattern.search(text)):
                return excerpt(text[max(0, match.start() - 20) :])
        return None
