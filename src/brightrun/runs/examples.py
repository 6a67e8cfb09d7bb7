"""Prepared conversations to tokenized examples: the ones a run trains on. No torch, nothing cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from brightrun.contract.hyperparameters import ExampleUnit, Hyperparameters
from brightrun.errors import DatasetError
from brightrun.templating.batches import ExampleSize
from brightrun.templating.chat_model import ChatModel, EncodedConversation
from brightrun.templating.messages import Message
from brightrun.templating.separate import separate_examples


class Counted(Protocol):
    """A conversation whose tokens were counted."""

    @property
    def tokens(self) -> int: ...

    @property
    def answer_spans(self) -> Sequence[tuple[int, int]]: ...

    @property
    def sequence_starts(self) -> Sequence[int]: ...


class Trainable(Protocol):
    """A conversation as it was prepared for training."""

    @property
    def id(self) -> str: ...

    def chat_messages(self) -> Sequence[Message]: ...


@dataclass(frozen=True, slots=True)
class TokenizedExample:
    """What the model is trained on at once; `conversation_id` says where it came from."""

    conversation_id: str
    encoded: EncodedConversation

    @property
    def size(self) -> ExampleSize:
        return ExampleSize(
            tokens=len(self.encoded.input_ids),
            trained_tokens=self.encoded.trained_tokens,
            answers=len(self.encoded.answer_spans),
        )


def example_sizes(conversations: Iterable[Counted], unit: ExampleUnit) -> Iterator[ExampleSize]:
    """What `training_examples` would count, out of lengths that are known.

    A conversation ends with its last trained answer, so what follows that answer's span is what the template writes
    behind any answer; a prefix of a conversation is a prefix of its tokens, which the masks are checked for.
    """
    for conversation in conversations:
        spans = conversation.answer_spans
        if unit == "conversation":
            trained = sum(end - start for start, end in spans)
            yield ExampleSize(tokens=conversation.tokens, trained_tokens=trained, answers=len(spans))
            continue
        behind = conversation.tokens - spans[-1][1]
        for start, end in spans:
            before = max(begin for begin in conversation.sequence_starts if begin <= start)
            yield ExampleSize(tokens=end + behind - before, trained_tokens=end - start, answers=1)


def training_examples(
    conversations: Iterable[Trainable], chat: ChatModel, hyperparameters: Hyperparameters
) -> Iterator[TokenizedExample]:
    """Every conversation as one example, or as one for each answer, by `example_unit`. Raises MaskDisagreement."""
    for conversation in conversations:
        whole = tuple(conversation.chat_messages())
        parts = separate_examples(whole) if hyperparameters.example_unit == "answer" else [whole]
        for messages in parts:
            yield TokenizedExample(conversation.id, chat.encode_conversation(messages))


def encode_examples(
    conversations: Iterable[Trainable], chat: ChatModel, hyperparameters: Hyperparameters
) -> list[TokenizedExample]:
    """The training examples of a run, each looked at. Raises as `require_trainable`, and MaskDisagreement."""
    examples = training_examples(conversations, chat, hyperparameters)
    return list(require_trainable(examples, hyperparameters.max_seq_length))


def validation_examples(conversations: Iterable[Trainable], chat: ChatModel) -> Iterator[TokenizedExample]:
    """Every conversation as one example, whatever the run trains on: losses are measured answer by answer."""
    for conversation in conversations:
        yield TokenizedExample(conversation.id, chat.encode_conversation(tuple(conversation.chat_messages())))


def require_trainable(examples: Iterable[TokenizedExample], max_seq_length: int | None) -> Iterator[TokenizedExample]:
    """The examples, each looked at on its way.

    Raises:
        DatasetError: one is longer than `max_seq_length`, or has no trained token.
    """
    for example in examples:
        size = example.size
        if size.trained_tokens == 0:
            raise DatasetError(f"Conversation {example.conversation_id} has no token to train on.")
        longest = max(example.encoded.sequence_lengths)
        if max_seq_length is not None and longest > max_seq_length:
            raise DatasetError(
                f"Conversation {example.conversation_id} has {longest} tokens, over max_seq_length {max_seq_length}.",
                hint=f"Set max_seq_length to {longest} or more; nothing is ever cut off silently.",
            )
        yield example
