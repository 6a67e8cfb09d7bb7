"""Prepared conversations to token sequences, and sequences to steps. No torch, nothing cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.datasets.prepared import PreparedConversation
from brightrun.errors import DatasetError
from brightrun.templating.batches import ExampleSize, Step, plan_steps
from brightrun.templating.chat_model import ChatModel, EncodedConversation
from brightrun.templating.separate import separate_examples


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


def encode_examples(
    conversations: Iterable[PreparedConversation], chat: ChatModel, hyperparameters: Hyperparameters
) -> list[TokenizedExample]:
    """Every conversation as one sequence, or as one for each answer, by the recipe.

    Raises:
        DatasetError: a sequence is longer than max_seq_length, or learns nothing.
        MaskDisagreement: the two computations of the learnt tokens differ.
    """
    examples = []
    for conversation in conversations:
        whole = tuple(conversation.chat_messages())
        parts = separate_examples(whole) if hyperparameters.example_unit == "answer" else [whole]
        for messages in parts:
            example = TokenizedExample(conversation.id, chat.encode_conversation(messages))
            _check(example, hyperparameters.max_seq_length)
            examples.append(example)
    return examples


def plan_run(examples: list[TokenizedExample], hyperparameters: Hyperparameters) -> list[Step]:
    """The run's optimizer steps, in order."""
    return plan_steps(
        [example.size for example in examples],
        batch_size=hyperparameters.batch_size,
        gradient_accumulation_steps=hyperparameters.gradient_accumulation_steps,
        num_epochs=hyperparameters.num_epochs,
        max_steps=hyperparameters.max_steps,
        seed=hyperparameters.seed,
    )


def _check(example: TokenizedExample, max_seq_length: int | None) -> None:
    size = example.size
    if size.trained_tokens == 0:
        raise DatasetError(f"Conversation {example.conversation_id} has no token to learn from.")
    if max_seq_length is not None and size.tokens > max_seq_length:
        raise DatasetError(
            f"Conversation {example.conversation_id} has {size.tokens} tokens, over max_seq_length {max_seq_length}.",
            hint=f"Set max_seq_length to {size.tokens} or more; nothing is ever cut silently.",
        )
