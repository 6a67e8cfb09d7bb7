"""Prepared conversations to token sequences, and sequences to steps. No torch, nothing cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from brightrun.chat.batches import SequenceSize, Step, plan_steps
from brightrun.chat.chat_model import ChatModel, EncodedConversation
from brightrun.chat.separate import separate_examples
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.datasets.prepared import PreparedConversation
from brightrun.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Sequence:
    """What the model is trained on at once; `conversation_id` says where it came from."""

    conversation_id: str
    encoded: EncodedConversation

    @property
    def size(self) -> SequenceSize:
        return SequenceSize(
            tokens=len(self.encoded.input_ids),
            learnt_tokens=self.encoded.learnt_tokens,
            answers=len(self.encoded.answer_spans),
        )


def encode_sequences(
    conversations: Iterable[PreparedConversation], chat: ChatModel, hyperparameters: Hyperparameters
) -> list[Sequence]:
    """Every conversation as one sequence, or as one for each answer, by the recipe.

    Raises:
        DatasetError: a sequence is longer than max_seq_length, or learns nothing.
        MaskDisagreement: the two computations of the learnt tokens differ.
    """
    sequences = []
    for conversation in conversations:
        whole = tuple(conversation.chat_messages())
        examples = separate_examples(whole) if hyperparameters.sequences == "answer" else [whole]
        for messages in examples:
            sequence = Sequence(conversation.id, chat.encode_conversation(messages))
            _check(sequence, hyperparameters.max_seq_length)
            sequences.append(sequence)
    return sequences


def plan_run(sequences: list[Sequence], hyperparameters: Hyperparameters) -> list[Step]:
    """The run's optimizer steps, in order."""
    return plan_steps(
        [sequence.size for sequence in sequences],
        batch_size=hyperparameters.batch_size,
        gradient_accumulation_steps=hyperparameters.gradient_accumulation_steps,
        num_epochs=hyperparameters.num_epochs,
        max_steps=hyperparameters.max_steps,
        seed=hyperparameters.seed,
    )


def _check(sequence: Sequence, max_seq_length: int | None) -> None:
    size = sequence.size
    if size.learnt_tokens == 0:
        raise DatasetError(f"Conversation {sequence.conversation_id} has no token to learn from.")
    if max_seq_length is not None and size.tokens > max_seq_length:
        raise DatasetError(
            f"Conversation {sequence.conversation_id} has {size.tokens} tokens, over max_seq_length {max_seq_length}.",
            hint=f"Set max_seq_length to {size.tokens} or more; nothing is ever cut silently.",
        )
