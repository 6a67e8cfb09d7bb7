"""One base model's own way with messages: its tokenizer and its template together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import NamedTuple

from brightrun.errors import BrightRunError, DatasetError, MaskDisagreement
from brightrun.templating import masks
from brightrun.templating.messages import Message
from brightrun.templating.places import PLACES, Place, Places, find_places, needed_places
from brightrun.templating.separate import separate_examples
from brightrun.templating.template import ChatTemplate
from brightrun.templating.tokenizer import Tokenizer

_WORDS_OF_A_PROMPT = 4  # fewer are a role's name
IGNORE_INDEX = -100  # what PyTorch's cross entropy leaves out by default (`ignore_index`)


@dataclass(frozen=True, slots=True)
class EncodedConversation:
    """A conversation as the model is trained on it.

    It is one sequence, as a rule. Where the template writes an answer otherwise once the conversation has gone on (as
    Qwen3's leaves out the reasoning of earlier turns), there is one sequence for each trained answer, all behind one
    another: each is what the model reads when it is asked for that answer. Sequences never see each other.

    Attributes:
        input_ids: Its tokens.
        loss_mask: Of the same length; True where the token carries loss (an answer and its end-of-turn token).
        answer_spans: Half-open token ranges of the trained answers, in order, end-of-turn token included.
        answer_weights: How much each trained answer counts in the training loss; empty where all count 1.
        sequence_starts: Where in `input_ids` each sequence begins; (0,) where there is one.
    """

    input_ids: list[int]
    loss_mask: list[bool]
    answer_spans: list[tuple[int, int]]
    sequence_starts: tuple[int, ...] = (0,)
    answer_weights: tuple[float, ...] = ()

    @property
    def trained_tokens(self) -> int:
        return sum(self.loss_mask)

    @property
    def sequence_lengths(self) -> list[int]:
        return [end - start for start, end in pairwise((*self.sequence_starts, len(self.input_ids)))]

    @property
    def position_ids(self) -> list[int]:
        """The place of every token in its own sequence, from 0."""
        return [position for length in self.sequence_lengths for position in range(length)]

    def token_weights(self) -> list[float]:
        """The weight of every trained token, in order."""
        weights = self.answer_weights or (1.0,) * len(self.answer_spans)
        return [
            weight for weight, (start, end) in zip(weights, self.answer_spans, strict=True) for _ in range(end - start)
        ]

    def labels(self) -> list[int]:
        """`input_ids` with -100 where nothing is trained on."""
        return [
            number if trained else IGNORE_INDEX for number, trained in zip(self.input_ids, self.loss_mask, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class ControlTokens:
    """The tokens with a meaning of their own. See `assemble.py` for how each is found.

    Attributes:
        bos_id: The token that opens every sequence exactly once; None where the template writes none such.
        end_of_turn: The string after every answer; but for the marks of tool calls, the only control token that is
            trained on.
        end_of_turn_id: Its id.
        stop_ids: Every id that ends a generated answer.
        pad: The control token for filling up, which ends nothing; None where every one has another use.
        pad_id: Its id, or that of any token that ends nothing.
    """

    bos_id: int | None
    end_of_turn: str
    end_of_turn_id: int
    stop_ids: frozenset[int]
    pad: str | None
    pad_id: int


class _Sequence(NamedTuple):
    """A rendered text, its encoding, and the character ranges of its trained answers."""

    text: str
    encoded: EncodedConversation
    answers: list[tuple[int, int]]


class ChatModel:
    """Messages to text, to token ids, and to which of them are trained on.

    Outer white space of assistant messages is taken off before rendering: Llama 3's template does so itself,
    and in others a leading line break would melt into the header's last token.
    """

    def __init__(
        self, *, name: str, source: str, tokenizer: Tokenizer, template: ChatTemplate, control: ControlTokens
    ) -> None:
        self.name = name
        self.source = source
        self.template = template.source
        self.template_sha256 = template.sha256
        self.bos_id = control.bos_id
        self.end_of_turn = control.end_of_turn
        self.end_of_turn_id = control.end_of_turn_id
        self.stop_ids = control.stop_ids
        self.pad = control.pad
        self.pad_id = control.pad_id
        self.special_tokens = frozenset(tokenizer.special_ids)
        self._tokenizer = tokenizer
        self._template = template
        self._control = re.compile("|".join(map(re.escape, sorted(self.special_tokens, key=len, reverse=True))))

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 over everything that decides which tokens a conversation becomes, and which are trained on."""
        facts = (self._tokenizer.fingerprint, self._template.fingerprint, self.end_of_turn, self.bos_id, self.name)
        return sha256(repr(facts).encode()).hexdigest()

    @cached_property
    def injected_system(self) -> str | None:
        """The system prompt that the template writes where the messages have none; None where it writes none.

        A preamble that it writes in any case, such as a date, is not one.
        """
        asked, system = "What time is it?", "Answer briefly."
        try:
            alone = self.render([Message("user", asked)])
            with_system = self.render([Message("system", system), Message("user", asked)])
        except BrightRunError:  # the template refuses one of them: then it does not write it either
            return None
        texts = [text.strip() for text in self._control.split(alone.partition(asked)[0])]
        own = [text for text in texts if len(text.split()) >= _WORDS_OF_A_PROMPT and text not in with_system]
        return max(own, key=len, default=None)

    @cached_property
    def _places(self) -> Places:
        return find_places(self._template)

    def lacks(self, messages: Sequence[Message]) -> list[Place]:
        """What `messages` hold that this model's template has no place for."""
        needed = needed_places(messages)
        return [place for place in PLACES if place in needed - self._places.known]

    def split_reasoning(self, text: str) -> tuple[str | None, str]:
        """The reasoning at the beginning of an answer's text, between the template's own tags, and the answer itself.

        None and the whole text where the template knows no reasoning, or the text has none.
        """
        if self._places.reasoning_tags is None:
            return None, text
        opening, closing = self._places.reasoning_tags
        before, found, answer = text.partition(closing)
        if not found or not before.strip().startswith(opening):
            return None, text
        return before.strip().removeprefix(opening).strip(), answer.strip()

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False, reasons: bool = False) -> str:
        """The text of `messages`, ending in the header of the next answer where `add_generation_prompt`.

        `reasons`: that answer is to begin with reasoning.

        Raises:
            DatasetError: A message holds a control string, an answer is empty, or the template refuses roles.
        """
        return self._template.render(
            self._checked(messages), add_generation_prompt=add_generation_prompt, reasons=reasons
        )

    def encode_prompt(self, messages: Sequence[Message], *, reasons: bool = False) -> list[int]:
        """Ids of `messages` and the header of the next answer, ready for generation. Raises as `render`."""
        return self._tokenizer.ids(self.render(messages, add_generation_prompt=True, reasons=reasons))

    def encode_conversation(self, messages: Sequence[Message]) -> EncodedConversation:
        """Ids of `messages` and which are trained on, from two independent computations.

        Raises:
            DatasetError: As `render`, or the template has no place for something that the messages hold.
            MaskDisagreement: The two computations differ, or the opening token is missing or doubled.
        """
        sequences = self._sequences(messages)
        if len(sequences) == 1:
            return sequences[0].encoded
        starts = [0, *accumulate(len(sequence.encoded.input_ids) for sequence in sequences)]
        placed = list(zip(starts, (sequence.encoded for sequence in sequences), strict=False))
        return EncodedConversation(
            [number for _, encoded in placed for number in encoded.input_ids],
            [trained for _, encoded in placed for trained in encoded.loss_mask],
            [(at + start, at + end) for at, encoded in placed for start, end in encoded.answer_spans],
            tuple(starts[:-1]),
            _joined_weights([encoded for _, encoded in placed]),
        )

    def preview_spans(self, messages: Sequence[Message]) -> list[tuple[str, bool]]:
        """The rendered text in pieces, each with whether it is trained on. Joined, they are the whole text."""
        pieces = []
        for text, _, answers in self._sequences(messages):
            position = 0
            for start, end in answers:
                pieces += [(text[position:start], False), (text[start:end], True)]
                position = end
            pieces.append((text[position:], False))
        return [(piece, trained) for piece, trained in pieces if piece]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of `ids`, without control tokens where `skip_special`."""
        return self._tokenizer.text(ids, skip_special=skip_special)

    def _sequences(self, messages: Sequence[Message]) -> list[_Sequence]:
        """One for the conversation, or one for each trained answer where the template rewrites what came before.

        Then no single text holds every answer as it is given; whatever the reason, each sequence proves its own mask.
        """
        checked = self._checked(messages)
        if lacking := self.lacks(checked):
            raise DatasetError(
                f"{self.name}'s chat template has no place for {', '.join(lacking)}.",
                hint="Choose a base model that has, or leave it out of the dataset.",
                details={"lacking": list(lacking)},
            )
        try:
            return [self._sequence(checked)]
        except MaskDisagreement:
            separate = separate_examples(checked)
            if not separate or separate == [tuple(checked)]:
                raise
            return [self._sequence(part) for part in separate]

    def _sequence(self, checked: Sequence[Message]) -> _Sequence:
        text = self._template.render(checked, reasons=masks.reasons_last(checked))
        tokens = self._tokenizer.tokens(text)
        self._check_opening(tokens.ids)
        by_tokens = masks.answer_tokens(
            self._template, self._tokenizer.ids, checked, text, tokens.ids, self.end_of_turn_id
        )
        answers = masks.answer_characters(self._template, checked, text, self.end_of_turn)
        spans = masks.characters_to_tokens(answers, tokens.offsets)
        masks.agree(spans, by_tokens, checked, tokens, text)
        trained = [False] * len(tokens.ids)
        for start, end in spans:
            trained[start:end] = [True] * (end - start)
        weights = tuple(message.weight for message in checked if message.trained)
        weighted = weights if any(weight != 1.0 for weight in weights) else ()
        return _Sequence(text, EncodedConversation(tokens.ids, trained, spans, answer_weights=weighted), answers)

    def _checked(self, messages: Sequence[Message]) -> list[Message]:
        checked = []
        for number, message in enumerate(messages, start=1):
            place = f"Message {number} ({message.role})"
            for found in filter(None, map(self._control.search, message.texts())):
                raise DatasetError(
                    f"{place} contains {found.group()}, which {self.name} reads as a control token.",
                    hint="Remove it from the text or write it differently.",
                    details={"message": number, "control_string": found.group()},
                )
            if message.role == "assistant":
                message = self._answer(message)  # noqa: PLW2901
                if not message.content and not message.calls:
                    raise DatasetError(f"{place} is empty.", details={"message": number})
            elif message.trained:
                raise DatasetError(f"{place} is marked as trained on; only answers of the assistant can be.")
            checked.append(message)
        return checked

    def _answer(self, message: Message) -> Message:
        """The answer without outer white space, reasoning that stands in its text put where it belongs."""
        reasoning, content = message.reasoning, message.content.strip()
        if reasoning is None:
            reasoning, content = self.split_reasoning(content)
        return replace(message, content=content, reasoning=(reasoning or "").strip() or None)

    def _check_opening(self, ids: Sequence[int]) -> None:
        if self.bos_id is None:
            return
        times = ids.count(self.bos_id)
        if ids[:1] != [self.bos_id] or times != 1:
            raise MaskDisagreement(f"The opening token must stand once, at the beginning; it is there {times} times.")


def _joined_weights(sequences: Sequence[EncodedConversation]) -> tuple[float, ...]:
    """The weights of all their answers; none where all count 1."""
    if not any(sequence.answer_weights for sequence in sequences):
        return ()
    return tuple(
        weight for sequence in sequences for weight in sequence.answer_weights or (1.0,) * len(sequence.answer_spans)
    )
