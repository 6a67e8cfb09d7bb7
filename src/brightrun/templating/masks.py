"""Which tokens are trained on, computed twice on separate ways: from characters, and from tokens of prompts.

The two share nothing but rendering and tokenizing.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from operator import itemgetter

from brightrun.errors import MaskDisagreement
from brightrun.templating.messages import Message
from brightrun.templating.template import ChatTemplate
from brightrun.templating.tokenizer import Tokens

Span = tuple[int, int]
_START, _END = itemgetter(0), itemgetter(1)
_PRIVATE_USE = range(0xE000, 0xF8FF)


def answer_characters(template: ChatTemplate, messages: Sequence[Message], text: str, end_of_turn: str) -> list[Span]:
    """First way, characters: the range of every trained answer in `text`, its end-of-turn string included.

    The conversation is rendered once more with each trained answer between two marks that occur nowhere else;
    where the marks come out is where the answers stand.

    Raises:
        MaskDisagreement: The template changes, repeats or drops an answer.
    """
    marks = _unused_characters(messages)
    marked = template.render([_marked(message, marks) if message.trained else message for message in messages])
    pieces = re.split(f"[{''.join(marks)}]", marked)
    numbers = [number for number, message in enumerate(messages, start=1) if message.trained]
    if "".join(pieces) != text or len(pieces) != 2 * len(numbers) + 1:
        listed = ", ".join(map(str, numbers))
        raise MaskDisagreement(f"One of messages {listed}: the chat template cuts, repeats or drops the answer.")
    spans, position = [], 0
    for before, answer, number in zip(pieces[:-1:2], pieces[1::2], numbers, strict=True):
        if answer != messages[number - 1].content:
            raise MaskDisagreement(f"Message {number}: the chat template changes the answer.")
        start = position + len(before)
        position = start + len(answer)
        between, found, _ = text[position:].partition(end_of_turn)
        if not found or between.strip():
            raise MaskDisagreement(f"Message {number}: the answer is not followed by {end_of_turn}.")
        spans.append((start, position + len(between) + len(end_of_turn)))
    return spans


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
    prompts = [template.render(messages[:number], add_generation_prompt=True) for number in numbers]
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
    used = set().union(*(message.content for message in messages))
    free = (chr(code) for code in _PRIVATE_USE if chr(code) not in used)
    return next(free), next(free)


def _marked(message: Message, marks: tuple[str, str]) -> Message:
    return replace(message, content=marks[0] + message.content + marks[1])


def _shown(span: Span, tokens: Tokens, text: str) -> str:
    """A token range with the text at its two ends: `12 to 30 ("Hello" ... "<|eot_id|>")`."""
    edges = [tokens.offsets[index] for index in (span[0], span[1] - 1) if 0 <= index < len(tokens.offsets)]
    first, last = (repr(text[start:end]) for start, end in (edges[0], edges[-1])) if edges else ("?", "?")
    return f"{span[0]} to {span[1] - 1} ({first} ... {last})"
