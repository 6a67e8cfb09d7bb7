"""Asks for training answers by their own prompts, and finds what of them a model repeats."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from brightrun.datasets.prepared import PreparedConversation
from brightrun.datasets.sensitive_data import find_contacts, find_secrets, masked, without_secrets
from brightrun.evaluation.memorization import (
    Memorization,
    RepeatedAnswer,
    SensitiveValue,
    Stretch,
    Unit,
    longest_stretch,
    summarize,
)
from brightrun.runs.prompts import FIRST_LOOK_TOKENS, WHOLE_LOOK_TOKENS
from brightrun.texts.word_count import counts_characters, text_units
from brightrun.worker.answer import Prompt, choose_prompts

PROMISING_RUN = 8
"""So many units in a row in the first tokens are worth a longer answer, which chance hardly makes; or half of what was
said, and 3, where tokens are so short that fewer than twice as many units were said."""
EXCERPT_UNITS = 30

Answerer = Callable[[Sequence[Prompt], int], list[str]]
"""Greedy answers of one model to prompts, of so many tokens at most."""


@dataclass(frozen=True, slots=True)
class _Value:
    """Something sensitive in a training answer: what it is, how it is shown, and its letters and digits."""

    kind: str
    shown: str
    plain: str


def training_prompts(conversations: list[PreparedConversation], count: int) -> tuple[list[Prompt], int]:
    """Up to `count` training answers to ask for, and how many there are in all.

    Those that hold something sensitive come first, up to half; then the first answer of every conversation, then the
    second ones, ids in order.
    """
    every = choose_prompts(conversations, len(conversations) * max(map(_messages, conversations), default=0))
    telling = [prompt for prompt in every if _values(prompt)][: (count + 1) // 2]
    others = [prompt for prompt in every if prompt not in telling]
    return [*telling, *others][:count], len(every)


def find_repeated(
    prompts: Sequence[Prompt], *, training_answers: int, ask_tuned: Answerer, ask_base: Answerer
) -> Memorization:
    """Ask the tuned model for all of them, and the base for those where the tuned one gives a reason to.

    At first the beginning of an answer is asked for, and more of it where the beginning shares as many units with what
    was written as `PROMISING_RUN` says, or where something sensitive was written.

    Raises:
        ContractError: there are no prompts.
    """
    said = dict(zip(prompts, ask_tuned(prompts, FIRST_LOOK_TOKENS), strict=True))
    longer = [prompt for prompt in prompts if _is_promising(prompt, said[prompt])]
    said |= dict(zip(longer, ask_tuned(longer, WHOLE_LOOK_TOKENS), strict=True))
    found = {prompt: _repeated(prompt, said[prompt], None) for prompt in prompts}
    again = [prompt for prompt in prompts if found[prompt].learned]
    by_base = dict(zip(again, ask_base(again, WHOLE_LOOK_TOKENS), strict=True))
    found |= {prompt: _repeated(prompt, said[prompt], by_base[prompt]) for prompt in again}
    return summarize([found[prompt] for prompt in prompts], training_answers=training_answers)


def _is_promising(prompt: Prompt, said: str) -> bool:
    enough = min(PROMISING_RUN, max(3, math.ceil(len(_units(said)) / 2)))
    return bool(_values(prompt)) or _run(prompt.reference, said)[1].length >= enough


def _messages(conversation: PreparedConversation) -> int:
    return len(conversation.messages)


def _repeated(prompt: Prompt, said: str, by_base: str | None) -> RepeatedAnswer:
    unit, run, length = _run(prompt.reference, said)
    return RepeatedAnswer(
        conversation_id=prompt.conversation_id,
        answer_number=prompt.answer_number,
        unit=unit,
        length=length,
        run=run.length,
        base_run=None if by_base is None else _run(prompt.reference, by_base)[1].length,
        excerpt=_excerpt(prompt.reference, run),
        sensitive=[
            SensitiveValue(
                kind=value.kind,
                masked=value.shown,
                said=value.plain in _plain(said),
                base_said=by_base is not None and value.plain in _plain(said) and value.plain in _plain(by_base),
            )
            for value in _values(prompt)
        ],
    )


def _run(written: str, said: str) -> tuple[Unit, Stretch, int]:
    """The unit a training answer is counted in, the longest stretch of it that was said, and how long all of it is.

    Case and punctuation are left out of the comparison.
    """
    units = _units(written)
    return "characters" if counts_characters(written) else "words", longest_stretch(units, _units(said)), len(units)


def _units(text: str) -> list[str]:
    return [text[start:end].casefold() for start, end in text_units(text)]


def _excerpt(written: str, run: Stretch) -> str:
    """The stretch as it was written, cut behind `EXCERPT_UNITS`, secrets masked before it is cut."""
    places = text_units(written)[run.start : run.start + run.length]
    if not places:
        return ""
    shown = places[:EXCERPT_UNITS]
    hidden = [one for one in (*find_secrets(written), *find_contacts(written)) if one.start < shown[-1][1] < one.end]
    end = min([one.start for one in hidden], default=shown[-1][1])
    return without_secrets(written[shown[0][0] : end]) + ("…" if len(places) > len(shown) else "")


def _values(prompt: Prompt) -> list[_Value]:
    """What is sensitive in a training answer and does not stand in its prompt, each once."""
    asked = _plain(" ".join(text for message in prompt.messages for text in message.texts()))
    text = prompt.reference
    values: dict[str, _Value] = {}
    for start, end, kind in (*find_secrets(text), *find_contacts(text)):
        plain = _plain(text[start:end])
        if plain and plain not in asked:
            values.setdefault(plain, _Value(kind, masked(text[start:end]), plain))
    return list(values.values())


def _plain(text: str) -> str:
    """Letters and digits alone, so that a number is found however it is grouped."""
    return re.sub(r"[\W_]+", "", text.casefold())
