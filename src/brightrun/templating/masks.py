"""Which tokens are trained on, computed twice on separate ways: from characters, and from tokens of prompts.

The two share nothing but rendering and tokenizing.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter
from typing import Any

from brightrun.errors import BrightRunError, MaskDisagreement
from brightrun.templating.messages import Message, ToolCall
from brightrun.templating.template import ChatTemplate
from brightrun.templating.tokenizer import Tokens

Span = tuple[int, int]
_START, _END = itemgetter(0), itemgetter(1)
_PRIVATE_USE = range(0xE000, 0xF8FF)


def answer_characters(template: ChatTemplate, messages: Sequence[Message], text: str, end_of_turn: str) -> list[Span]:
    """First way, characters: the range of every trained answer in `text`, its end-of-turn string included.

    The conversation is rendered once more with everything that a trained answer says between two marks that occur
    nowhere else; where the marks come out is where it stands. An answer with reasoning or with tool calls begins
    earlier, with the template's own words for them: where a plain answer would begin in its place.

    Raises:
        MaskDisagreement: The template changes, repeats or drops an answer.
    """
    marks = _unused_characters(messages)
    numbers = [number for number, message in enumerate(messages) if message.trained]
    marked = [_marked(message, marks) if message.trained else message for message in messages]
    pieces = re.split(f"[{''.join(marks)}]", template.render(marked, reasons=reasons_last(messages)))
    said = [(number, part) for number in numbers for part in _said(messages[number])]
    if "".join(pieces) != text or len(pieces) != 2 * len(said) + 1:
        raise MaskDisagreement(f"{_listed(numbers)}: the chat template cuts, repeats or drops the answer.")
    first, last, position = dict[int, int](), dict[int, int](), 0
    for before, written, (number, part) in zip(pieces[:-1:2], pieces[1::2], said, strict=True):
        if written != part:
            raise MaskDisagreement(f"Message {number + 1}: the chat template changes the answer.")
        first.setdefault(number, position + len(before))
        position += len(before) + len(written)
        last[number] = position
    return [
        _whole_answer(template, messages, number, text, (first[number], last[number]), end_of_turn)
        for number in numbers
    ]


def characters_to_tokens(spans: Sequence[Span], offsets: Sequence[Span]) -> list[Span]:
    """The token ranges that cover the character ranges `spans`, both in order."""
    found, index = [], 0
    for start, end in spans:
        first = bisect_right(offsets, start, index, key=_END)
        index = bisect_left(offsets, end, first, key=_START)
        found.append((first, index))
    return found


def answer_tokens(
    template: ChatTemplate,
    to_ids: Callable[[str], list[int]],
    messages: Sequence[Message],
    text: str,
    ids: Sequence[int],
    end_of_turn_id: int,
) -> list[Span]:
    """Second way, tokens: a trained answer goes from the end of its prompt to the next end-of-turn token.

    Raises:
        MaskDisagreement: The conversation does not begin with a prompt's tokens, or no end-of-turn follows.
    """
    numbers = [number for number, message in enumerate(messages) if message.trained]
    prompts = [
        template.render(messages[:number], add_generation_prompt=True, reasons=messages[number].reasoning is not None)
        for number in numbers
    ]
    for number, prompt in zip(numbers, prompts, strict=True):
        if not text.startswith(prompt):
            raise MaskDisagreement(
                f"Message {number + 1}: the conversation does not begin with the prompt of this answer."
            )
    starts = _starts(to_ids, prompts, text, ids, numbers)
    spans = []
    for number, start in zip(numbers, starts, strict=True):
        try:
            spans.append((start, ids.index(end_of_turn_id, start) + 1))
        except ValueError:
            raise MaskDisagreement(f"Message {number + 1}: no end-of-turn token follows the answer.") from None
    return spans


def agree(
    by_characters: Sequence[Span],
    by_tokens: Sequence[Span],
    messages: Sequence[Message],
    tokens: Tokens,
    text: str,
) -> None:
    """Raise MaskDisagreement, naming the message and the tokens, where the two ways differ."""
    numbers = [number for number, message in enumerate(messages, start=1) if message.trained]
    for number, first, second in zip(numbers, by_characters, by_tokens, strict=True):
        if first != second:
            raise MaskDisagreement(
                f"Message {number}: its characters say that tokens {_shown(first, tokens, text)} are trained on, "
                f"its prompt says {_shown(second, tokens, text)}.",
                details={"message": number, "by_characters": list(first), "by_tokens": list(second)},
            )


def reasons_last(messages: Sequence[Message]) -> bool:
    """Whether the last trained answer begins with reasoning."""
    return any(message.reasoning is not None for message in [each for each in messages if each.trained][-1:])


def _whole_answer(
    template: ChatTemplate, messages: Sequence[Message], number: int, text: str, said: Span, end_of_turn: str
) -> Span:
    """From where the answer begins to behind its end-of-turn string."""
    message, (start, stop) = messages[number], said
    between, found, _ = text[stop:].partition(end_of_turn)
    if not found or (not message.calls and between.strip()):
        raise MaskDisagreement(f"Message {number + 1}: the answer is not followed by {end_of_turn}.")
    if message.calls or message.reasoning is not None:
        start = _where_a_plain_answer_begins(template, messages, number, text[:start])
    whole = text[start : stop + len(between)]
    for call in message.calls:
        if not all(_is_written(value, whole) for value in _leaves(json.loads(call.arguments))):
            raise MaskDisagreement(f"Message {number + 1}: the chat template changes the arguments of {call.name}.")
    return start, stop + len(between) + len(end_of_turn)


def _where_a_plain_answer_begins(template: ChatTemplate, messages: Sequence[Message], number: int, before: str) -> int:
    """Behind all that is written before an answer of one character in the place of this one.

    Where this one has reasoning, the plain answer is followed by a result or by a question, since some templates write
    the mark of an answer without reasoning before the newest one.

    Raises:
        MaskDisagreement: `before` does not begin with it.
    """
    mark, other = _unused_characters(messages)
    reasons = messages[number].reasoning is not None
    for following in ([Message("tool", other)], [Message("user", other)]) if reasons else ([],):
        try:
            plain = template.render([*messages[:number], Message("assistant", mark), *following])
        except BrightRunError:  # it knows no tools
            continue
        if before.startswith(written := plain.partition(mark)[0]):
            return len(written)
    raise MaskDisagreement(f"Message {number + 1}: the chat template writes other words before the answer.")


def _starts(
    to_ids: Callable[[str], list[int]],
    prompts: Sequence[str],
    text: str,
    ids: Sequence[int],
    numbers: Sequence[int],
) -> list[int]:
    """How many tokens each prompt has, after proof that `ids` begins with them."""
    cuts = [0, *map(len, prompts), len(text)]
    pieces = [to_ids(text[begin:end]) for begin, end in pairwise(cuts)]
    if [number for piece in pieces for number in piece] == list(ids):
        starts, position = [], 0
        for piece in pieces[:-1]:
            position += len(piece)
            starts.append(position)
        return starts
    # Tokenizers that treat the beginning of a text in their own way need each prompt whole.
    whole = [to_ids(prompt) for prompt in prompts]
    for number, prompt_ids in zip(numbers, whole, strict=True):
        if list(ids[: len(prompt_ids)]) != prompt_ids:
            raise MaskDisagreement(f"Message {number + 1}: before its answer, the prompt has other tokens than alone.")
    return [len(prompt_ids) for prompt_ids in whole]


def _unused_characters(messages: Sequence[Message]) -> tuple[str, str]:
    used = set().union(*(text for message in messages for text in message.texts()))
    free = (chr(code) for code in _PRIVATE_USE if chr(code) not in used)
    return next(free), next(free)


def _said(message: Message) -> list[str]:
    """What the answer says in its own words, in the order of speech: of its calls, the names."""
    opening = [text for text in (message.reasoning, message.content) if text]
    return [*opening, *(call.name for call in message.calls)]


def _marked(message: Message, marks: tuple[str, str]) -> Message:
    def between(text: str) -> str:
        return marks[0] + text + marks[1]

    return replace(
        message,
        content=between(message.content) if message.content else "",
        reasoning=between(message.reasoning) if message.reasoning else message.reasoning,
        calls=tuple(ToolCall(between(call.name), call.arguments, call.id) for call in message.calls),
    )


def _leaves(value: Any) -> Iterator[Any]:
    """The texts, numbers and truth values of a JSON value, keys among them."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield key
            yield from _leaves(held)
    elif isinstance(value, list):
        for held in value:
            yield from _leaves(held)
    elif value is not None:
        yield value


def _listed(numbers: Sequence[int]) -> str:
    names = ", ".join(str(number + 1) for number in numbers)
    return f"Message {names}" if len(numbers) == 1 else f"One of messages {names}"


def _is_written(value: Any, text: str) -> bool:
    return json.dumps(value, ensure_ascii=False) in text or str(value) in text


def _shown(span: Span, tokens: Tokens, text: str) -> str:
    """A token range with the text at its two ends: `12 to 30 ("Hello" ... "<|eot_id|>")`."""
    edges = [tokens.offsets[index] for index in (span[0], span[1] - 1) if 0 <= index < len(tokens.offsets)]
    first, last = (repr(text[start:end]) for start, end in (edges[0], edges[-1])) if edges else ("?", "?")
    return f"{span[0]} to {span[1] - 1} ({first} ... {last})"
