"""Conversations to sequences and steps: nothing is cut, nothing unlearnt is trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from brightrun.chat.chat_model import ChatModel
from brightrun.chat.model_folder import load_chat_model
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.datasets.prepared import PreparedConversation
from brightrun.errors import DatasetError
from brightrun.worker.sequences import encode_sequences, plan_run
from tests.unit.tiny_chat_model import LLAMA3, LLAMA3_CONFIG, write_model


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    return load_chat_model(write_model(tmp_path_factory.mktemp("model"), LLAMA3, LLAMA3_CONFIG))


def conversation(name: str, *learnt: bool) -> PreparedConversation:
    messages = [{"role": "system", "content": "Keep calm."}]
    for number, is_learnt in enumerate(learnt, start=1):
        messages.append({"role": "user", "content": f"Question {number}?"})
        messages.append({"role": "assistant", "content": f"Answer {number}.", "learnt": is_learnt})  # type: ignore[dict-item]
    return PreparedConversation.model_validate({"id": name, "messages": messages})


def test_one_sequence_holds_every_answer_of_a_conversation(chat: ChatModel) -> None:
    (sequence,) = encode_sequences([conversation("c", True, False, True)], chat, Hyperparameters())

    learnt = [chat.decode(sequence.encoded.input_ids[start:end]) for start, end in sequence.encoded.answer_spans]
    assert learnt == ["Answer 1.", "Answer 3."]
    assert sequence.size.answers == 2
    assert sequence.size.tokens == len(sequence.encoded.input_ids)
    assert sequence.size.learnt_tokens == sum(end - start for start, end in sequence.encoded.answer_spans)


def test_separate_examples_hold_one_answer_each(chat: ChatModel) -> None:
    settings = Hyperparameters(sequences="answer")
    sequences = encode_sequences([conversation("c", True, False, True), conversation("d", True)], chat, settings)

    assert [sequence.conversation_id for sequence in sequences] == ["c", "c", "d"]
    assert [sequence.size.answers for sequence in sequences] == [1, 1, 1]
    long, short = sequences[1], sequences[0]
    assert long.encoded.input_ids[: len(short.encoded.input_ids)] == short.encoded.input_ids
    assert "Answer 2." in chat.decode(long.encoded.input_ids)


@pytest.mark.parametrize("mode", ["conversation", "answer"])
def test_a_sequence_over_the_maximum_is_refused_by_name_and_length(chat: ChatModel, mode: str) -> None:
    settings = Hyperparameters.model_validate({"sequences": mode})
    lengths = [
        sequence.size.tokens for sequence in encode_sequences([conversation("long", True, True)], chat, settings)
    ]
    longest = max(lengths)

    exact = settings.model_copy(update={"max_seq_length": longest})
    assert len(encode_sequences([conversation("long", True, True)], chat, exact)) == len(lengths)
    too_short = settings.model_copy(update={"max_seq_length": longest - 1})
    with pytest.raises(DatasetError, match=f"Conversation long has {longest} tokens") as raised:
        encode_sequences([conversation("long", True, True)], chat, too_short)
    assert str(longest) in raised.value.hint


def test_a_conversation_that_learns_nothing_is_refused(chat: ChatModel) -> None:
    with pytest.raises(DatasetError, match="Conversation mute has no token to learn from"):
        encode_sequences([conversation("mute", False, False)], chat, Hyperparameters())


def test_a_run_sees_every_sequence_once_an_epoch(chat: ChatModel) -> None:
    conversations = [conversation(f"c{number}", *[True] * (1 + number % 3)) for number in range(10)]
    settings = Hyperparameters(batch_size=2, gradient_accumulation_steps=2, num_epochs=2)
    sequences = encode_sequences(conversations, chat, settings)

    steps = plan_run(sequences, settings)

    seen = [index for step in steps for row in step.rows for index in row]
    assert sorted(seen) == sorted([*range(10)] * 2)
    assert steps[-1].epoch == 2.0
    assert plan_run(sequences, settings.model_copy(update={"max_steps": 3})) == steps[:3]


def test_another_seed_is_another_order(chat: ChatModel) -> None:
    sequences = encode_sequences([conversation(f"c{n}", True) for n in range(12)], chat, Hyperparameters())

    one, other = (plan_run(sequences, Hyperparameters(seed=seed)) for seed in (1, 2))

    assert one != other
    assert one == plan_run(sequences, Hyperparameters(seed=1))


def test_sequences_need_no_torch(tmp_path: Path) -> None:
    """Planning reads them on machines without the training stack."""
    import subprocess
    import sys

    code = "import sys, brightrun.worker.sequences; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0
