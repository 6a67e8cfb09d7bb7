"""The general questions of our own that show what a model still knows, and how they are put to it. No torch."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from brightrun.templating.batches import ExampleSize
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.messages import Message

QuestionKind = Literal["instructions", "arithmetic", "facts", "safety"]
QUESTIONS_AT_ONCE = 16
"""Questions that a model reads in one batch."""
KINDS: tuple[QuestionKind, ...] = get_args(QuestionKind)


class GeneralQuestion(BaseModel):
    """A question with its right answer and one to three wrong ones; `kind` is that of its table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    kind: QuestionKind
    question: str = Field(min_length=1)
    right: str = Field(min_length=1)
    wrong: tuple[str, ...] = Field(min_length=1, max_length=3)

    @property
    def answers(self) -> tuple[str, ...]:
        """The right one first."""
        return (self.right, *self.wrong)


@dataclass(frozen=True, slots=True)
class EncodedAnswer:
    """What follows the tokens that all answers of a question share; those from `scored_from` on are the answer."""

    ids: tuple[int, ...]
    scored_from: int


@dataclass(frozen=True, slots=True)
class EncodedQuestion:
    """A question as the model reads it: tokens that its answers share, and each answer, the right one first."""

    question: GeneralQuestion
    shared: tuple[int, ...]
    answers: tuple[EncodedAnswer, ...]


@cache
def all_questions() -> tuple[GeneralQuestion, ...]:
    """Every question, in an order of which any beginning has as many of each kind as can be."""
    table = tomllib.loads(files("brightrun.runs").joinpath("general_questions.toml").read_text(encoding="utf-8"))
    by_kind = [[GeneralQuestion(kind=kind, **entry) for entry in table[kind]] for kind in KINDS]
    return tuple(question for round_ in zip(*by_kind, strict=True) for question in round_)


def encode_questions(chat: ChatModel, count: int) -> list[EncodedQuestion]:
    """The first `count` questions under the model's own template, each answer as the assistant's turn.

    The end of the turn is not part of an answer: whether a model would go on says nothing about which one it prefers.

    Raises:
        DatasetError, MaskDisagreement: the template takes no such conversation.
    """
    return [_encoded(chat, question) for question in all_questions()[:count]]


def common_prefix(questions: Sequence[EncodedQuestion]) -> tuple[int, ...]:
    """The tokens that every question begins with: what the template writes before the first word of a user.

    One token less than the shortest question at most, so that there is always one left to read.
    """
    shortest = min(len(question.shared) for question in questions)
    return questions[0].shared[: min(_common([question.shared for question in questions]), shortest - 1)]


def question_sizes(questions: Sequence[EncodedQuestion]) -> tuple[ExampleSize, ...]:
    """What is read for each question, all of its answers included, and how many tokens of it are scored."""
    prefix = len(common_prefix(questions)) if questions else 0
    return tuple(
        ExampleSize(
            tokens=len(each.shared) - prefix + sum(len(answer.ids) - 1 for answer in each.answers),
            trained_tokens=sum(len(answer.ids) - answer.scored_from for answer in each.answers),
            answers=len(each.answers),
        )
        for each in questions
    )


def _encoded(chat: ChatModel, question: GeneralQuestion) -> EncodedQuestion:
    asked = Message("user", question.question)
    encoded = [
        chat.encode_conversation([asked, Message("assistant", answer, trained=True)]) for answer in question.answers
    ]
    starts = [conversation.answer_spans[0][0] for conversation in encoded]
    ends = [conversation.answer_spans[0][1] - 1 for conversation in encoded]  # without the end of the turn
    ids = [tuple(conversation.input_ids[:end]) for conversation, end in zip(encoded, ends, strict=True)]
    shared = min(_common(ids), *starts)
    return EncodedQuestion(
        question,
        ids[0][:shared],
        tuple(EncodedAnswer(each[shared:], start - shared) for each, start in zip(ids, starts, strict=True)),
    )


def _common(sequences: Sequence[Sequence[int]]) -> int:
    """How many tokens all of them begin with."""
    places = enumerate(zip(*sequences, strict=False))
    return next((place for place, ids in places if len(set(ids)) > 1), min(map(len, sequences)))
