"""One base model's own way with messages: its tokenizer and its template together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

from brightrun.errors import BrightRunError, DatasetError, MaskDisagreement
from brightrun.templating import masks
from brightrun.templating.messages import Message
from brightrun.templating.template import ChatTemplate
from brightrun.templating.tokenizer import Tokenizer

_WORDS_OF_A_PROMPT = 4  # fewer are a role's name
IGNORE_INDEX = -100  # what PyTorch's cross entropy leaves out by default (`ignore_index`)


@dataclass(frozen=True, slots=True)
class EncodedConversation:
    """A conversation as the model is trained on it.

    Attributes:
        input_ids: Its tokens.
        loss_mask: Of the same length; True where the token carries loss (an answer and its end-of-turn token).
        answer_spans: Half-open token ranges of the trained answers, in order, end-of-turn token included.
    """

    input_ids: list[int]
    loss_mask: list[bool]
    answer_spans: list[tuple[int, int]]

    @property
    def trained_tokens(self) -> int:
        return sum(self.loss_mask)

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
        end_of_turn: The string after every answer, the only control token that is trained on.
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

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """The text of `messages`, ending in the header of the next answer where `add_generation_prompt`.

        Raises:
            DatasetError: A message holds a control string, an answer is empty, or the template refuses roles.
        """
        return self._template.render(self._checked(messages), add_generation_prompt=add_generation_prompt)

    def encode_prompt(self, messages: Sequence[Message]) -> list[int]:
        """Ids of `messages` and the header of the next answer, ready for generation. Raises as `render`."""
        return self._tokenizer.ids(self.render(messages, add_generation_prompt=True))

    def encode_conversation(self, messages: Sequence[Message]) -> EncodedConversation:
        """Ids of `messages` and which are trained on, from two independent computations.

        Raises:
            DatasetError: As `render`.
            MaskDisagreement: The two computations differ, or the opening token is missing or doubled.
        """
        _, encoded, _ = self._encode(messages)
        return encoded

    def preview_spans(self, messages: Sequence[Message]) -> list[tuple[str, bool]]:
        """The rendered text in pieces, each with whether it is trained on. Joined, they are the whole text."""
        text, _, answers = self._encode(messages)
        pieces, position = [], 0
        for start, end in answers:
            pieces += [(text[position:start], False), (text[start:end], True)]
            position = end
        pieces.append((text[position:], False))
        return [(piece, trained) for piece, trained in pieces if piece]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of `ids`, without control tokens where `skip_special`."""
        return self._tokenizer.text(ids, skip_special=skip_special)

    def _encode(self, messages: Sequence[Message]) -> tuple[str, EncodedConversation, list[tuple[int, int]]]:
        """The text, its encoding, and the character ranges of the trained answers."""
        checked = self._checked(messages)
        text = self._template.render(checked)
        tokens = self._tokenizer.tokens(text)
        self._check_opening(tokens.ids)
        answers = masks.answer_characters(self._template, checked, text, self.end_of_turn)
        spans = masks.characters_to_tokens(answers, tokens.offsets)
        others = masks.answer_tokens(
            self._template, self._tokenizer.ids, checked, text, tokens.ids, self.end_of_turn_id
        )
        masks.agree(spans, others, checked, tokens, text)
        trained = [False] * len(tokens.ids)
        for start, end in spans:
            trained[start:end] = [True] * (end - start)
        return text, EncodedConversation(tokens.ids, trained, spans), answers

    def _checked(self, messages: Sequence[Message]) -> list[Message]:
        checked = []
        for number, message in enumerate(messages, start=1):
            place = f"Message {number} ({message.role})"
            if found := self._control.search(message.content):
                raise DatasetError(
                    f"{place} contains {found.group()}, which {self.name} reads as a control token.",
                    hint="Remove it from the text or write it differently.",
                    details={"message": number, "control_string": found.group()},
                )
            if message.role == "assistant":
                message = replace(message, content=message.content.strip())  # noqa: PLW2901
                if not message.content:
                    raise DatasetError(f"{place} is empty.", details={"message": number})
            elif message.trained:
                raise DatasetError(f"{place} is marked as trained on; only answers of the assistant can be.")
            checked.append(message)
        return checked

    def _check_opening(self, ids: Sequence[int]) -> None:
        if self.bos_id is None:
            return
        times = ids.count(self.bos_id)
        if ids[:1] != [self.bos_id] or times != 1:
            raise MaskDisagreement(f"The opening token must stand once, at the beginning; it is there {times} times.")
