"""Renders chat templates as the transformers library does, but the same on every day."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn

from brightrun.errors import DatasetError, ModelError
from brightrun.templating.messages import Message

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

# Llama 3.1 to 3.3 write a date into the system turn, 3.2 the current one: the same data would give other
# tokens tomorrow. This is the date that those templates use themselves when nobody gives them one.
TEMPLATE_DATE = datetime(2024, 7, 26, tzinfo=UTC)
DATE_STRING = "26 Jul 2024"
_CALL_ID = re.compile("[A-Za-z0-9]{9}")
_METHODS_OF_DICTS = frozenset(dir(dict))
# What the expressions of a template can raise besides Jinja's own errors.
_FAILURES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class ChatTemplate:
    """One Jinja chat template with the control strings it may name (`bos_token`, `eos_token`, ...).

    Raises:
        ModelError: The text is not a Jinja template.
    """

    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        from jinja2 import TemplateError

        self.source = source
        self.sha256 = sha256(source.encode()).hexdigest()
        self._variables = dict(variables)
        try:
            self._compiled = _environment().from_string(source)
        except TemplateError as error:
            raise ModelError(f"The model's chat template is not valid Jinja: {error}.") from error
        self._compiled.globals = dict(self._compiled.globals)  # every rendering copies them; of a chain that is slow

    @property
    def fingerprint(self) -> str:
        """A sha256 over the template and the control strings it may name."""
        values = json.dumps([self.source, sorted(self._variables.items()), DATE_STRING], ensure_ascii=True)
        return sha256(values.encode()).hexdigest()

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False, reasons: bool = False) -> str:
        """The text of `messages`; ends in the header of the next answer where `add_generation_prompt`.

        `reasons`: whether the next answer, or the last one, begins with reasoning. Templates that can be told so
        (`enable_thinking`) write the mark of an answer without any into the prompt.

        Raises:
            DatasetError: The template itself refuses these messages.
            ModelError: The template cannot be run.
        """
        from jinja2 import TemplateError

        try:
            return self._compiled.render(
                messages=template_messages(messages),
                add_generation_prompt=add_generation_prompt,
                enable_thinking=reasons,
                tools=template_tools(messages),
                documents=None,
                date_string=DATE_STRING,
                **self._variables,
            )
        except (TemplateError, *_FAILURES) as error:
            raise ModelError(
                f"The model's chat template failed: {error}.", hint="Choose another base model."
            ) from error


def template_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages with the keys that templates ask for; a key that has nothing to say is absent."""
    turns = []
    number = answered = 0
    for message in messages:
        turn: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.reasoning is not None:
            turn["reasoning_content"] = message.reasoning
        if message.calls:
            turn["tool_calls"] = [
                {
                    "type": "function",
                    "id": _call_id(call.id or f"call {number + index}"),
                    "function": {"name": call.name, "arguments": json.loads(call.arguments)},
                }
                for index, call in enumerate(message.calls)
            ]
            answered = number
            number += len(message.calls)
        if message.role == "tool":
            turn["tool_call_id"] = _call_id(message.call_id or f"call {answered}")
            answered += 1
            if message.name is not None:
                turn["name"] = message.name
        turns.append(turn)
    return turns


def template_tools(messages: Sequence[Message]) -> list[dict[str, Any]] | None:
    """The tools that stand on the first message, as templates take them; None where there are none."""
    return [json.loads(tool) for tool in messages[0].tools] or None if messages else None


def _call_id(given: str) -> str:
    """Nine letters and digits: some templates (Mistral's) refuse anything else, the others write no ids."""
    if _CALL_ID.fullmatch(given):
        return given
    return sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:9]


def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from brightrun.templating.generation_tag import GenerationTag

    class Environment(ImmutableSandboxedEnvironment):
        def getattr(self, obj: Any, attribute: str) -> Any:
            """As Jinja: but it looks for `message.role` among a dict's methods first, which takes an exception."""
            if type(obj) is dict and attribute in obj and attribute not in _METHODS_OF_DICTS:
                return obj[attribute]
            return super().getattr(obj, attribute)

    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = TEMPLATE_DATE.strftime
    return environment


def _refuse(reason: str) -> NoReturn:
    raise DatasetError(f"The model's chat template refuses these messages: {reason}")


def _to_json(value: Any, indent: int | None = None, *, ensure_ascii: bool = False, **options: Any) -> str:
    """JSON without Jinja's HTML escapes, which would change what the model reads."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)
