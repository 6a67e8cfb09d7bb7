"""Our Llama 3 against Meta's own `ChatFormat`, and the known counts of EQ-12."""

from __future__ import annotations

import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from brightrun.templating import ChatModel, Message, llama3_chat_model, separate_examples
from brightrun.templating.assemble import assemble_chat_model
from brightrun.templating.template import ChatTemplate

Conversation = tuple[Message, ...]


@pytest.fixture(scope="module")
def chat() -> ChatModel:
    return llama3_chat_model()


@pytest.fixture(scope="module")
def conversations(eq12_json: Path) -> list[Conversation]:
    """Every conversation whole, also where it ends on a client turn that nobody answers."""
    file = json.loads(eq12_json.read_text("utf-8"))
    return [tuple(messages_of(entry["training_pairs"])) for entry in file["conversations"]]


def messages_of(pairs: list[dict[str, Any]]) -> list[Message]:
    messages = [Message("system", pairs[0]["system_prompt"])]
    for pair in pairs:
        answer = pair["target_response"]
        is_client = answer is None
        messages.append(
            Message("user", pair["current_user_input"]) if is_client else Message("assistant", answer, trained=True)
        )
    return messages


def answered(messages: Conversation) -> Conversation:
    """Without the client's last turn where nobody answers it."""
    return messages[:-1] if messages[-1].role == "user" else messages


@pytest.fixture(scope="module")
def chat_format() -> Any:
    if find_spec("PIL") is None:
        # Meta's module imports Pillow for pictures, which no conversation here has.
        sys.modules.setdefault("PIL", ModuleType("PIL"))
        sys.modules["PIL"].Image = ModuleType("PIL.Image")  # type: ignore[attr-defined]
        sys.modules["PIL"].Image.Image = object
    from llama_models.llama3.chat_format import ChatFormat
    from llama_models.llama3.tokenizer import Tokenizer

    return ChatFormat(Tokenizer.get_instance())


def metas_prompt(chat_format: Any, messages: Conversation) -> list[int]:
    from llama_models.datatypes import RawMessage

    raw = [RawMessage(role=message.role, content=message.content) for message in messages]
    ids: list[int] = chat_format.encode_dialog_prompt(raw).tokens
    return ids


def metas_whole(chat_format: Any, messages: Conversation) -> list[int]:
    """Meta's class writes prompts only; a whole conversation is one without the last answer's header."""
    header = chat_format._encode_header("assistant")
    prompt = metas_prompt(chat_format, messages)
    assert prompt[-len(header) :] == header
    return prompt[: -len(header)]


def test_whole_conversations_are_metas(chat: ChatModel, conversations: list[Conversation], chat_format: Any) -> None:
    for messages in conversations:
        for part in (messages, answered(messages)):
            assert chat.encode_conversation(part).input_ids == metas_whole(chat_format, part)


def test_prompts_are_metas(chat: ChatModel, conversations: list[Conversation], chat_format: Any) -> None:
    prompts = [prefix[:-1] for messages in conversations for prefix in separate_examples(messages)]
    assert len(prompts) == 44
    for prompt in prompts:
        assert chat.encode_prompt(prompt) == metas_prompt(chat_format, prompt)


@pytest.mark.parametrize(
    "content",
    [
        "Hello",
        "é 🥐 中文\n\n1234567 o'clock   ",
        "a\r\n\tb",
        "x" * 60_000,
        "a" + " " * 60_000 + "b",
    ],
    ids=["word", "scripts", "breaks", "long-word", "long-gap"],
)
def test_hard_texts_are_metas(chat: ChatModel, chat_format: Any, content: str) -> None:
    messages = (Message("user", content.strip()), Message("assistant", content.strip(), trained=True))
    assert chat.encode_conversation(messages).input_ids == metas_whole(chat_format, messages)


@pytest.mark.parametrize("name", ["llama3", "llama3_1", "llama3_2"])
def test_the_published_templates_of_the_family_can_be_trained_with(chat: ChatModel, name: str) -> None:
    trl = find_spec("trl")
    if trl is None or trl.origin is None:
        pytest.skip("the published templates come with TRL, which is not installed")
    source = (Path(trl.origin).parent / "chat_templates" / f"{name}.jinja").read_text("utf-8")
    published = assemble_chat_model(
        name=name,
        source="TRL",
        tokenizer=chat._tokenizer,
        template=ChatTemplate(source, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}),
        bos="<|begin_of_text|>",
        stops=[],
    )
    messages = (
        Message("system", "Be kind."),
        Message("user", "Hi"),
        Message("assistant", "Hello.", trained=True),
    )
    assert [text for text, trained in published.preview_spans(messages) if trained] == ["Hello.<|eot_id|>"]
    assert (published.bos_id, published.end_of_turn_id) == (128000, 128009)
    assert ("Today Date: 26 Jul 2024" in published.render(messages)) == (name != "llama3")
    assert (published.render(messages) == chat.render(messages)) == (name == "llama3")


def test_eq12_counts(chat: ChatModel, conversations: list[Conversation]) -> None:
    """The figures of dataset-format.md; a last client turn without an answer is not part of the sequence."""
    merged = [chat.encode_conversation(answered(messages)) for messages in conversations]
    separate = [
        chat.encode_conversation(example) for messages in conversations for example in separate_examples(messages)
    ]
    assert len(merged) == 12
    assert sum(len(encoded.answer_spans) for encoded in merged) == len(separate) == 44
    assert sum(len(encoded.input_ids) for encoded in merged) == 24_087
    assert sum(encoded.trained_tokens for encoded in merged) == 16_117
    assert max(len(encoded.input_ids) for encoded in merged) == 2_642
    assert sum(len(encoded.input_ids) for encoded in separate) == 57_859
    assert sum(encoded.trained_tokens for encoded in separate) == 16_117


def test_the_trained_tokens_are_the_answers_word_for_word(chat: ChatModel, conversations: list[Conversation]) -> None:
    for messages in conversations:
        encoded = chat.encode_conversation(messages)
        trained = [chat.decode(encoded.input_ids[start:end], skip_special=False) for start, end in encoded.answer_spans]
        assert trained == [message.content + "<|eot_id|>" for message in messages if message.trained]


def test_a_production_file_is_encoded_fast(chat: ChatModel, conversations: list[Conversation]) -> None:
    """242 conversations, half a million tokens, both masks: half a second, and room for a slow machine."""
    begun = time.process_time()
    for number in range(242):
        chat.encode_conversation(conversations[number % len(conversations)])
    assert time.process_time() - begun < 4
