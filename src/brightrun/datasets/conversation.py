"""A conversation as every reader yields it, whatever the format was."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from brightrun.templating.messages import Message, Role, ToolCall


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the client, the consultant or a tool; `number` counts from 1 without the system prompt.

    An answer that only calls tools has no `content`. A tool's `call_id` says which call it answers.
    """

    number: int
    role: Role
    content: str
    target: bool = False  # an answer the file offers for training; False for client turns and answers of weight 0
    repaired: bool = False
    excluded: str | None = None  # why this answer is not trained on
    reasoning: str | None = None
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    name: str | None = None
    weight: float = 1.0  # how much it counts where it is trained on

    @property
    def is_answer(self) -> bool:
        return self.role == "assistant"

    @property
    def trainable(self) -> bool:
        return self.target and self.excluded is None

    def message(self) -> Message:
        """For a chat template; trained on where it can be."""
        return Message(
            self.role,
            self.content,
            self.trainable,
            self.reasoning,
            self.calls,
            call_id=self.call_id,
            name=self.name,
            weight=self.weight,
        )


class Labels(NamedTuple):
    """What the file says of one answer. Kept to show that it carries no signal, never used as quality."""

    turn: int
    quality_score: float | None
    sub_scores: tuple[float, ...]
    confidences: tuple[float, ...]
    human_reviewed: bool
    client_emotion: str | None
    context_emotion: str | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in order, and what the file knows of client and topic; `place` is where it stands."""

    id: str
    place: str
    system: str | None
    turns: tuple[Turn, ...]
    persona: str | None = None
    arc: str | None = None
    topic: str | None = None
    client_persona: str | None = None
    client_background: str | None = None
    stated_turns: int | None = None
    quality_tier: str | None = None
    title: str | None = None
    labels: tuple[Labels, ...] = field(default=())
    tools: tuple[str, ...] = ()  # JSON objects, as templates take them
    created_at: datetime | None = None

    @property
    def answers(self) -> tuple[Turn, ...]:
        return tuple(turn for turn in self.turns if turn.is_answer)

    @property
    def worded_answers(self) -> tuple[Turn, ...]:
        """Those that say something to the client, and do not only call tools."""
        return tuple(turn for turn in self.turns if turn.is_answer and turn.content)

    @property
    def has_more_than_text(self) -> bool:
        """Whether it has tools, calls, results or reasoning, for which not every template has a place."""
        return bool(self.tools) or any(turn.reasoning or turn.calls or turn.role == "tool" for turn in self.turns)

    @property
    def trainable_answers(self) -> int:
        return sum(turn.trainable for turn in self.turns)

    @property
    def ends_unanswered(self) -> bool:
        return bool(self.turns) and not self.turns[-1].is_answer

    def messages(self) -> list[Message]:
        """System prompt and turns up to the last answer that is trained on; nothing after it can be trained on.

        Empty where no answer is trainable. Excluded answers before the last one trained on stay as context,
        untrained.
        """
        last = max((index for index, turn in enumerate(self.turns) if turn.trainable), default=-1)
        if last < 0:
            return []
        opening = [] if self.system is None else [Message("system", self.system)]
        messages = opening + [turn.message() for turn in self.turns[: last + 1]]
        messages[0] = replace(messages[0], tools=self.tools)
        return messages

    def with_turns(self, turns: tuple[Turn, ...]) -> Conversation:
        return replace(self, turns=turns)
