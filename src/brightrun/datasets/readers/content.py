"""The text of a message, whole or in parts, as chat formats write it."""

from __future__ import annotations

from typing import Any, NamedTuple

from brightrun.datasets.blank_text import is_blank_text
from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import as_object, at, kind, text_of
from brightrun.datasets.readers.record_fields import is_absent
from brightrun.datasets.readers.tool_calling import Result, call_of, result_of
from brightrun.templating.messages import ToolCall

_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})
_REASONING_TYPES = frozenset({"thinking", "reasoning", "redacted_thinking", "thought"})
# Types of parts, or keys of parts without a type, and what they are.
_OTHERS = {
    "image": "images", "image_url": "images", "input_image": "images", "inline_data": "files", "inlinedata": "files",
    "file_data": "files", "filedata": "files", "audio": "sound", "input_audio": "sound", "video": "video",
    "executable_code": "code that was run", "executablecode": "code that was run",
    "code_execution_result": "code that was run", "codeexecutionresult": "code that was run",
    "document": "files", "file": "files", "input_file": "files", "refusal": "a refusal in place of the text",
}  # fmt: skip
_HINT = "Leave such records out with --unreadable leave-out, or remove the part where the text does without it."


_CALL_TYPES = frozenset({"tool_use", "tooluse", "tool_call", "function_call", "functioncall"})
_RESULT_TYPES = frozenset(
    {"tool_result", "toolresult", "function_response", "functionresponse", "function_call_output"}
)


class Content(NamedTuple):
    """What a message says, what the model thought before it, what it calls, and what tools gave back."""

    text: str
    reasoning: str | None = None
    calls: tuple[ToolCall, ...] = ()
    results: tuple[Result, ...] = ()


def content_of(value: Any, place: str) -> Content:
    """What a message holds; its text is empty only where it holds calls or results.

    Raises:
        UnreadableRecordError: it is empty, or holds something that cannot be trained on, which is named.
    """
    if isinstance(value, str):
        return Content(text_of(value, place))
    if isinstance(value, dict):
        return _of_object(value, place)
    if not isinstance(value, list):
        raise UnreadableRecordError(place, f"expected text, found {kind(value)}")
    parts = [_part(part, at(place, index)) for index, part in enumerate(value)]
    calls = tuple(call for part in parts for call in part.calls)
    results = tuple(result for part in parts for result in part.results)
    text = "".join(part.text for part in parts)
    reasoning = "".join(part.reasoning or "" for part in parts) or None
    if (calls or results) and is_blank_text(text):
        return Content("", reasoning, calls, results)
    return Content(text_of(text, place), reasoning, calls, results)


def _of_object(value: dict[str, Any], place: str) -> Content:
    """`{"parts": […]}`, as Gemini and account exports write it, or a single part."""
    if "parts" in value:
        return content_of(value["parts"], at(place, "parts"))
    return content_of([value], place)


def _part(part: Any, place: str) -> Content:
    """What one part holds: a text, reasoning, a call or a result."""
    if isinstance(part, str):
        return Content(part)
    held = {key: value for key, value in as_object(part, place).items() if not is_absent(value)}
    named = str(held.get("type", "")).casefold()
    kinds = [named] if named else [key.casefold() for key in held]
    for each in kinds:
        if each in _CALL_TYPES:
            return Content("", calls=(call_of(_inner(held, each), place),))
        if each in _RESULT_TYPES:
            return Content("", results=(result_of(held, place),))
        if each in _OTHERS:
            raise UnreadableRecordError(place, f"only text can be trained on, found {_OTHERS[each]} ({each!r:.40})",
                                        hint=_HINT)  # fmt: skip
    if named in _REASONING_TYPES or held.get("thought") is True:
        thought = next((held[key] for key in ("thinking", "reasoning", "text", "data") if key in held), "")
        return Content("", str(thought))
    if named and named not in _TEXT_TYPES:
        raise UnreadableRecordError(place, f"only text can be trained on, found {held['type']!r:.40}", hint=_HINT)
    text = held.get("text")
    if not isinstance(text, str):
        raise UnreadableRecordError(at(place, "text"), f"expected text, found {kind(text)}")
    return Content(text)


def _inner(held: dict[str, Any], kind_of_part: str) -> dict[str, Any]:
    """The call itself, where it stands under a key of its own (`{"functionCall": {...}}`)."""
    inner = next((value for key, value in held.items() if key.casefold() == kind_of_part), None)
    return inner if isinstance(inner, dict) else held
