"""Conversations to sequences and steps: nothing is cut, nothing unlearnt is trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.datasets.prepared import PreparedConversation
from brightrun.errors import DatasetError
from brightrun.runs.examples import encode_examples
from brightrun.runs.steps import run_steps
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.model_folder import load_chat_model
from tests.unit.tiny_chat_model import LLAMA3, LLAMA3_CONFIG, write_model


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    return load_chat_model(write_model(tmp_path_factory.mktemp("model"), LLAMA3, LLAMA3_CONFIG))


def conversation(name: str, *trained: bool) -> PreparedConversation:
    messages = [{"role": "system", "content": "Keep calm."}]
    for number, is_trained in enumerate(trained, start=1):
        messages.append({"role": "user", "content": f"Question {number}?"})
        messages.append({"role": "assistant", "content": f"Answer {number}.", "trained": is_trained})  # type: ignore[dict-item]
    return PreparedConversation.model_validate({"id": name, "messages": messages})


def test_one_sequence_holds_every_answer_of_a_conversation(chat: ChatModel) -> None:
    (example,) = encode_examples([conversation("c", True, False, True)], chat, Hyperparameters())

    trained = [chat.decode(example.encoded.input_ids[start:end]) for start, end in example.encoded.answer_spans]
    assert trained == ["Answer 1.", "Answer 3."]
    assert example.size.answers == 2
    assert example.size.tokens == len(example.encoded.input_ids)
    assert example.size.trained_tokens == sum(end - start for start, end in example.encoded.answer_spans)


def test_separate_examples_hold_one_answer_each(chat: ChatModel) -> None:
    settings = Hyperparameters(example_unit="answer")
    examples = encode_examples([conversation("c", True, False, True), conversation("d", True)], chat, settings)

    assert [example.conversation_id for example in examples] == ["c", "c", "d"]
    assert [example.size.answers for example in examples] == [1, 1, 1]
    long, short = examples[1], examples[0]
    assert long.encoded.input_ids[: len(short.encoded.input_ids)] == short.encoded.input_ids
    assert "Answer 2." in chat.decode(long.encoded.input_ids)


@pytest.mark.parametrize("mode", ["conversation", "answer"])
def test_a_sequence_over_the_maximum_is_refused_by_name_and_length(chat: ChatModel, mode: str) -> None:
    settings = Hyperparameters.model_validate({"example_unit": mode})
    lengths = [example.size.tokens for example in encode_examples([conversation("long", True, True)], chat, settings)]
    longest = max(lengths)

    exact = settings.model_copy(update={"max_seq_length": longest})
    assert len(encode_examples([conversation("long", True, True)], chat, exact)) == len(lengths)
    too_short = settings.model_copy(update={"max_seq_length": longest - 1})
    with pytest.raises(DatasetError, match=f"Conversation long has {longest} tokens") as raised:
        encode_examples([conversation("long", True, True)], chat, too_short)
    assert str(longest) in raised.value.hint


def test_a_conversation_that_learns_nothing_is_refused(chat: ChatModel) -> None:
    with pytest.raises(DatasetError, match="Conversation mute has no token to train on"):
        encode_examples([conversation("mute", False, False)], chat, Hyperparameters())


def test_a_run_sees_every_sequence_once_an_epoch(chat: ChatModel) -> None:
    conversations = [conversation(f"c{number}", *[True] * (1 + number % 3)) for number in range(10)]
    settings = Hyperparameters(batch_size=2, gradient_accumulation_steps=2, num_epochs=2)
    examples = encode_examples(conversations, chat, settings)

    steps = run_steps([example.size for example in examples], settings)

    seen = [index for step in steps for micro_batch in step.micro_batches for index in micro_batch]
    assert sorted(seen) == sorted([*range(10)] * 2)
    assert steps[-1].epoch == 2.0
    assert run_steps([example.size for example in examples], settings.model_copy(update={"max_steps": 3})) == steps[:3]


def test_another_seed_is_another_order(chat: ChatModel) -> None:
    examples = encode_examples([conversation(f"c{n}", True) for n in range(12)], chat, Hyperparameters())

    one, other = (run_steps([example.size for example in examples], Hyperparameters(seed=seed)) for seed in (1, 2))

    assert one != other
    assert one == run_steps([example.size for example in examples], Hyperparameters(seed=1))


def test_sequences_need_no_torch(tmp_path: Path) -> None:
    """Planning reads them on machines without the training stack."""
    import subprocess
    import sys

    code = "import sys, brightrun.runs.examples; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path).returncode == 0
