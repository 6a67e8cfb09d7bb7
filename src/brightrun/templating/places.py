"""What a chat template has a place for beside plain texts: found by trying, not by reading it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

from brightrun.errors import BrightRunError
from brightrun.templating.messages import Message, ToolCall
from brightrun.templating.template import ChatTemplate

Place = Literal["reasoning", "tools", "tool calls", "tool results", "text beside a tool call", "several calls at once"]
PLACES: tuple[Place, ...] = get_args(Place)

_ASKED = Message("user", "Which ferry is the last one?")
_THOUGHT, _SPOKEN, _RESULT = "Harbors close early.", "The one at nine.", "Departure 21:04"
_CALL = ToolCall("read_timetable", '{"pier": "Saltmarsh"}')
_SECOND = ToolCall("ask_captain", '{"deck": "Upper"}')
_TOOL = json.dumps(
    {
        "type": "function",
        "function": {
            "name": "find_lighthouse",
            "description": "Where a lighthouse stands.",
            "parameters": {"type": "object", "properties": {"coast": {"type": "string"}}, "required": ["coast"]},
        },
    }
)
_TAG = re.compile(r"(<[^<>\s]+>|\[[A-Z_]+\])\s*$")


class Places(NamedTuple):
    """What can be written, and the two tags around reasoning where the template has such."""

    known: frozenset[Place]
    reasoning_tags: tuple[str, str] | None


def find_places(template: ChatTemplate) -> Places:
    """Every place that the template has."""
    spoken = Message("assistant", _SPOKEN)
    calling = Message("assistant", "", calls=(_CALL,))
    answered = Message("tool", _RESULT, name=_CALL.name)
    trials: dict[Place, tuple[Sequence[Message], tuple[str, ...]]] = {
        "reasoning": ([_ASKED, replace(spoken, reasoning=_THOUGHT)], (_THOUGHT, _SPOKEN)),
        "tools": ([replace(_ASKED, tools=(_TOOL,)), spoken], ("find_lighthouse", "coast", _ASKED.content)),
        "tool calls": ([_ASKED, calling], ("read_timetable", "Saltmarsh")),
        "tool results": ([_ASKED, calling, answered, spoken], (_RESULT, _SPOKEN)),
        "text beside a tool call": ([_ASKED, replace(calling, content=_SPOKEN)], (_SPOKEN, "Saltmarsh")),
        "several calls at once": (
            [_ASKED, replace(calling, calls=(_CALL, _SECOND))],
            ("Saltmarsh", "ask_captain", "Upper"),
        ),
    }
    known = frozenset(place for place, (messages, texts) in trials.items() if _writes(template, messages, texts))
    return Places(known, _reasoning_tags(template) if "reasoning" in known else None)


def needed_places(messages: Iterable[Message]) -> set[Place]:
    """What a template must have a place for to write these messages."""
    needed: set[Place] = set()
    for message in messages:
        if message.tools:
            needed.add("tools")
        if message.reasoning is not None and message.trained:
            needed.add("reasoning")
        if message.role == "tool":
            needed.add("tool results")
        if message.calls:
            needed.add("tool calls")
        if message.calls and message.content.strip():
            needed.add("text beside a tool call")
        if len(message.calls) > 1:
            needed.add("several calls at once")
    return needed


def _writes(template: ChatTemplate, messages: Sequence[Message], texts: Iterable[str]) -> bool:
    """Whether each text comes out. Llama 3 puts quotation marks around results; that counts."""
    try:
        rendered = template.render(messages, reasons=True)
    except BrightRunError:
        return False
    return all(text in rendered for text in texts)


def _reasoning_tags(template: ChatTemplate) -> tuple[str, str] | None:
    """What opens and closes reasoning, where the template writes such tags."""
    rendered = template.render([_ASKED, Message("assistant", _SPOKEN, reasoning=_THOUGHT)], reasons=True)
    opening = _TAG.search(rendered.partition(_THOUGHT)[0])
    closing = rendered.partition(_THOUGHT)[2].partition(_SPOKEN)[0].strip()
    return (opening.group(1), closing) if opening is not None and closing else None
