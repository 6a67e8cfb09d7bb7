"""The text of a message, whole or in parts, as chat formats write it."""

from __future__ import annotations

from typing import Any, NamedTuple

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import as_object, at, kind, text_of
from brightrun.datasets.readers.record_fields import is_absent

_TEXT_TYPES = frozenset({"text", "input_text", "output_text"})
_REASONING_TYPES = frozenset({"thinking", "reasoning", "redacted_thinking", "thought"})
# Types of parts, or keys of parts without a type, and what they are.
_OTHERS = {
    "image": "images", "image_url": "images", "input_image": "images", "inline_data": "files", "inlinedata": "files",
    "file_data": "files", "filedata": "files", "audio": "sound", "input_audio": "sound", "video": "video",
    "tool_use": "tool calling", "tool_result": "tool calling", "tool_call": "tool calling",
    "function_call": "tool calling", "functioncall": "tool calling", "function_response": "tool calling",
    "functionresponse": "tool calling", "tooluse": "tool calling", "toolresult": "tool calling",
    "executable_code": "tool calling", "code_execution_result": "tool calling",
    "document": "files", "file": "files", "input_file": "files", "refusal": "a refusal in place of the text",
}  # fmt: skip
_HINT = "Leave such records out with --unreadable leave-out, or remove the part where the text does without it."


class Content(NamedTuple):
    """What a message says, and what the model thought before it."""

    text: str
    reasoning: str | None = None


def content_of(value: Any, place: str) -> Content:
    """The text of a message.

    Raises:
        UnreadableRecordError: it is empty, or holds something that is not text, which is named.
    """
    if isinstance(value, str):
        return Content(text_of(value, place))
    if isinstance(value, dict):
        return _of_object(value, place)
    if not isinstance(value, list):
        raise UnreadableRecordError(place, f"expected text, found {kind(value)}")
    texts, thoughts = [], []
    for index, part in enumerate(value):
        text, thought = _part(part, at(place, index))
        texts.append(text)
        thoughts.append(thought)
    return Content(text_of("".join(texts), place), "".join(thoughts) or None)


def _of_object(value: dict[str, Any], place: str) -> Content:
    """`{"parts": […]}`, as Gemini and account exports write it, or a single part."""
    if "parts" in value:
        return content_of(value["parts"], at(place, "parts"))
    return content_of([value], place)


def _part(part: Any, place: str) -> tuple[str, str]:
    """The text and the reasoning of one part; one of them is empty."""
    if isinstance(part, str):
        return part, ""
    held = {key: value for key, value in as_object(part, place).items() if not is_absent(value)}
    named = str(held.get("type", "")).casefold()
    kinds = [named] if named else [key.casefold() for key in held]
    for each in kinds:
        if each in _OTHERS:
            raise UnreadableRecordError(place, f"only text can be trained on, found {_OTHERS[each]} ({each!r:.40})",
                                        hint=_HINT)  # fmt: skip
    if named in _REASONING_TYPES or held.get("thought") is True:
        thought = next((held[key] for key in ("thinking", "reasoning", "text", "data") if key in held), "")
        return "", str(thought)
    if named and named not in _TEXT_TYPES:
        raise UnreadableRecordError(place, f"only text can be trained on, found {held['type']!r:.40}", hint=_HINT)
    text = held.get("text")
    if not isinstance(text, str):
        raise UnreadableRecordError(at(place, "text"), f"expected text, found {kind(text)}")
    return text, ""
