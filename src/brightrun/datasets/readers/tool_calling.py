"""Tools, their calls and their results, in the shapes that formats give them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import as_object, at, kind, text_of
from brightrun.datasets.readers.record_fields import Field, RecordFields, is_absent
from brightrun.templating.messages import ToolCall

CALLS = ("tool_calls", "tool_call", "function_call", "function_calls")
TOOLS = ("tools", "functions", "available_tools")
CALL_ID = ("tool_call_id", "call_id", "tool_use_id")
_WRAPPED = ("function", "function_call")
_ARGUMENTS = ("arguments", "parameters", "input", "args")
_SCHEMA = ("parameters", "input_schema", "schema", "args")
_NOT_OF_A_FUNCTION = frozenset({"type", "cache_control"})
_LIST_OF_TOOLS = "function_declarations"


class Result(NamedTuple):
    """What a tool gave back."""

    text: str
    place: str
    call_id: str | None = None
    name: str | None = None


def calls_of(field: Field) -> tuple[ToolCall, ...]:
    """The calls of a message: one, several, or the JSON text of such.

    Raises:
        UnreadableRecordError: a call has no name, or its arguments are no JSON object.
    """
    value = _loaded(field.value, field.place)
    if isinstance(value, dict):
        return (call_of(value, field.place),)
    if not isinstance(value, list):
        raise UnreadableRecordError(field.place, f"expected tool calls, found {kind(value)}")
    return tuple(call_of(each, at(field.place, index)) for index, each in enumerate(value))


def call_of(value: Any, place: str) -> ToolCall:
    """One call. Raises as `calls_of`."""
    fields = RecordFields(as_object(value, place), place)
    identity = fields.take_label("id", "call_id", "tool_use_id")
    wrapped = fields.take(*_WRAPPED)
    if wrapped is not None and isinstance(wrapped.value, dict):
        fields = RecordFields(wrapped.value, wrapped.place)
        identity = identity or fields.take_label("id")
    name = fields.take_text("name")
    if name is None:
        raise UnreadableRecordError(at(fields.place, "name"), "a tool call names no tool")
    arguments = fields.take(*_ARGUMENTS)
    if arguments is None:
        return ToolCall(name.value, "{}", identity)
    held = _loaded(arguments.value, arguments.place)
    if not isinstance(held, dict):
        raise UnreadableRecordError(
            arguments.place,
            f"the arguments of {name.value!r:.40} should be a JSON object, found {kind(held)}",
            hint='Write them as {"argument": value}.',
        )
    return ToolCall(name.value, _dumped(held, arguments.place), identity)


def tools_of(field: Field) -> tuple[str, ...]:
    """The tools that may be called, each as JSON in one shape, whatever the format's was.

    Raises:
        UnreadableRecordError: one has no name.
    """
    value = _loaded(field.value, field.place)
    listed = value if isinstance(value, list) else [value]
    return tuple(tool for index, each in enumerate(listed) for tool in _tools(each, at(field.place, index)))


def undeclared(calls: Iterable[ToolCall], tools: Iterable[str]) -> list[str]:
    """The names that are called and are no tool's."""
    known = {json.loads(tool)["function"]["name"] for tool in tools}
    return list(dict.fromkeys(call.name for call in calls if call.name not in known))


def result_of(part: dict[str, Any], place: str) -> Result:
    """The result that a part of a message holds (Anthropic's, Gemini's). Raises UnreadableRecordError."""
    fields = RecordFields(part, place)
    identity = fields.take_label("tool_use_id", "tool_call_id", "call_id", "id")
    inner = fields.take("function_response", "tool_result")
    if inner is not None and isinstance(inner.value, dict):
        fields = RecordFields(inner.value, inner.place)
        identity = identity or fields.take_label("tool_use_id", "id")
    name = fields.take_label("name")
    held = fields.need("content", "response", "output", "result")
    return Result(result_text(held.value, held.place), place, identity, name)


def result_text(value: Any, place: str) -> str:
    """A result as the text that the model reads: texts as they are, anything else as JSON."""
    if isinstance(value, str):
        return text_of(value, place)
    if isinstance(value, list) and value and all(isinstance(part, dict) and "text" in part for part in value):
        return text_of("".join(str(part["text"]) for part in value), place)
    return _dumped(value, place)


def _tools(value: Any, place: str) -> Iterable[str]:
    fields = RecordFields(as_object(value, place), place)
    several = fields.take(_LIST_OF_TOOLS)
    if several is not None and isinstance(several.value, list):
        for index, each in enumerate(several.value):
            yield from _tools(each, at(several.place, index))
        return
    wrapped = fields.take("function")
    if wrapped is not None and isinstance(wrapped.value, dict):
        fields = RecordFields(wrapped.value, wrapped.place)
    name = fields.take_text("name")
    if name is None:
        raise UnreadableRecordError(at(fields.place, "name"), "a tool has no name")
    function: dict[str, Any] = {"name": name.value}
    if (description := fields.take_text("description")) is not None:
        function["description"] = description.value
    schema = fields.take(*_SCHEMA)
    function["parameters"] = {"type": "object", "properties": {}} if schema is None else schema.value
    function |= {key: held for plain, key, held in fields.left() if plain not in _NOT_OF_A_FUNCTION}
    yield _dumped({"type": "function", "function": function}, place)


def _loaded(value: Any, place: str) -> Any:
    """The value, or what its JSON text holds."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise UnreadableRecordError(
            place, f"expected JSON, found text that is none: {error}", hint="Write the tool call's JSON whole."
        ) from error


def _dumped(value: Any, place: str) -> str:
    return text_of(json.dumps(value, ensure_ascii=False), place) if not is_absent(value) else "{}"
