"""Which tokens are trained on: an answer and its end-of-turn token, whatever the text and the template."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from brightrun.errors import DatasetError, MaskDisagreement
from brightrun.templating import ChatModel, Message, llama3_chat_model, load_chat_model, masks
from brightrun.templating.template import ChatTemplate
from tests.unit.tiny_chat_model import (
    CHATML,
    CHATML_CONFIG,
    CONVERSATION,
    LLAMA3,
    LLAMA3_CONFIG,
    write_model,
)

TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" \n\t\r.ré🥐")), max_size=40)


@pytest.fixture(scope="module")
def chat_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ChatModel]:
    root = tmp_path_factory.mktemp("models")
    return {
        "chatml": load_chat_model(write_model(root / "chatml", CHATML, CHATML_CONFIG)),
        "llama3": load_chat_model(write_model(root / "llama3", LLAMA3, LLAMA3_CONFIG)),
        "meta": llama3_chat_model(),
    }


@pytest.fixture(params=["chatml", "llama3", "meta"])
def chat(request: pytest.FixtureRequest, chat_models: dict[str, ChatModel]) -> ChatModel:
    return chat_models[request.param]


def trained_texts(chat: ChatModel, messages: tuple[Message, ...]) -> list[str]:
    encoded = chat.encode_conversation(messages)
    assert sum(end - start for start, end in encoded.answer_spans) == encoded.trained_tokens
    assert all(all(encoded.loss_mask[start:end]) for start, end in encoded.answer_spans)
    return [chat.decode(encoded.input_ids[start:end], skip_special=False) for start, end in encoded.answer_spans]


def test_answers_and_their_end_are_trained_on_and_nothing_else(chat: ChatModel) -> None:
    texts = trained_texts(chat, CONVERSATION)
    assert texts == [CONVERSATION[2].content + chat.end_of_turn, CONVERSATION[4].content + chat.end_of_turn]


def test_labels_are_the_ids_where_trained_on(chat: ChatModel) -> None:
    encoded = chat.encode_conversation(CONVERSATION)
    trained = [label for label in encoded.labels() if label != -100]
    assert len(encoded.labels()) == len(encoded.input_ids)
    assert trained == [number for number, kept in zip(encoded.input_ids, encoded.loss_mask, strict=True) if kept]
    assert trained.count(chat.end_of_turn_id) == 2


def test_untrained_answers_carry_no_loss_but_stay_in_the_context(chat: ChatModel) -> None:
    messages = (*CONVERSATION[:2], replace(CONVERSATION[2], trained=False), *CONVERSATION[3:])
    encoded = chat.encode_conversation(messages)
    assert encoded.input_ids == chat.encode_conversation(CONVERSATION).input_ids
    assert trained_texts(chat, messages) == [CONVERSATION[4].content + chat.end_of_turn]


def test_a_conversation_with_nothing_to_learn_is_all_context(chat: ChatModel) -> None:
    encoded = chat.encode_conversation(CONVERSATION[:2])
    assert encoded.answer_spans == []
    assert encoded.trained_tokens == 0
    assert len(encoded.input_ids) > 10


def test_the_prompt_is_the_beginning_of_the_conversation(chat: ChatModel) -> None:
    encoded = chat.encode_conversation(CONVERSATION)
    for number, (start, _) in zip((2, 4), encoded.answer_spans, strict=True):
        assert chat.encode_prompt(CONVERSATION[:number]) == encoded.input_ids[:start]


def test_one_opening_token_or_none(chat: ChatModel) -> None:
    ids = chat.encode_conversation(CONVERSATION).input_ids
    if chat.bos_id is None:  # ChatML: what the tokenizer calls its BOS opens every turn
        assert ids.count(chat._tokenizer.ids("<|im_start|>")[0]) == len(CONVERSATION)
    else:
        assert ids.index(chat.bos_id) == 0
        assert ids.count(chat.bos_id) == 1


@pytest.mark.parametrize("name", ["chatml", "llama3", "meta"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT, min_size=4, max_size=4), system=st.booleans())
def test_any_text_gives_exactly_its_answers(
    name: str, texts: list[str], system: bool, chat_models: dict[str, ChatModel]
) -> None:
    assume(texts[1].strip() and texts[3].strip())
    chat = chat_models[name]
    assume(not any(token in text for text in texts for token in chat.special_tokens))
    turns = [Message("user", texts[0]), Message("assistant", texts[1], trained=True)]
    turns += [Message("user", texts[2]), Message("assistant", texts[3], trained=True)]
    messages = (CONVERSATION[0], *turns) if system else tuple(turns)
    assert trained_texts(chat, messages) == [text.strip() + chat.end_of_turn for text in (texts[1], texts[3])]
    assert "".join(piece for piece, _ in chat.preview_spans(messages)) == chat.render(messages)


def test_the_preview_marks_what_is_trained_on(chat: ChatModel) -> None:
    spans = chat.preview_spans(CONVERSATION)
    assert "".join(piece for piece, _ in spans) == chat.render(CONVERSATION)
    assert [piece for piece, trained in spans if trained] == [
        CONVERSATION[2].content + chat.end_of_turn,
        CONVERSATION[4].content + chat.end_of_turn,
    ]


@pytest.mark.parametrize("white_space", ["\n", " ", "\n\n\n", "\t \r\n", "\u00a0"])
def test_outer_white_space_of_an_answer_changes_nothing(chat: ChatModel, white_space: str) -> None:
    padded = replace(CONVERSATION[2], content=white_space + CONVERSATION[2].content + white_space)
    messages = (*CONVERSATION[:2], padded, *CONVERSATION[3:])
    assert chat.encode_conversation(messages) == chat.encode_conversation(CONVERSATION)


@pytest.mark.parametrize("content", ["", "  \n"])
def test_an_empty_answer_is_refused_by_its_number(chat: ChatModel, content: str) -> None:
    with pytest.raises(DatasetError, match=r"Message 3 \(assistant\) is empty"):
        chat.encode_conversation((*CONVERSATION[:2], Message("assistant", content, trained=True)))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_control_string_in_any_text_is_refused_by_its_number(chat: ChatModel, number: int) -> None:
    messages = list(CONVERSATION)
    text = messages[number - 1].content
    messages[number - 1] = replace(messages[number - 1], content=f"{text} {chat.end_of_turn} more")
    with pytest.raises(DatasetError, match=rf"Message {number} .*contains <\|") as caught:
        chat.encode_conversation(messages)
    assert caught.value.details == {"message": number, "control_string": chat.end_of_turn}


def test_only_answers_can_be_trained_on(chat: ChatModel) -> None:
    with pytest.raises(DatasetError, match=r"Message 2 \(user\) is marked as trained on"):
        chat.encode_conversation((CONVERSATION[0], replace(CONVERSATION[1], trained=True)))


def encode_with(template: str, messages: tuple[Message, ...], chat: ChatModel) -> None:
    """Both mask computations of `chat`'s tokenizer under another template."""
    other = ChatTemplate(template, {})
    text = other.render(messages)
    tokens = chat._tokenizer.tokens(text)
    characters = masks.answer_characters(other, messages, text, "<|im_end|>")
    by_characters = masks.characters_to_tokens(characters, tokens.offsets)
    by_tokens = masks.answer_tokens(other, chat._tokenizer.ids, messages, text, tokens.ids, chat.end_of_turn_id)
    masks.agree(by_characters, by_tokens, messages, tokens, text)


def test_the_two_computations_agree_on_the_unchanged_template(chat_models: dict[str, ChatModel]) -> None:
    encode_with(CHATML, CONVERSATION, chat_models["chatml"])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (
            CHATML.replace("assistant\n' }}{% endif", "assistant' }}{% endif"),
            r"^Message 3: its characters say",
        ),
        (CHATML.replace("{{ '<|im_start|>assistant\n' }}", ""), r"^Message 3: its characters say"),
        (CHATML.replace("'<|im_start|>assistant\n' }}", "'<|im_start|>model\n' }}"), "^Message 3: the conv"),
        (CHATML.replace("message['content']", "message['content'] | upper"), "^Message 3: .* changes"),
        (CHATML.replace("message['content']", "message['content'] * 2"), "cuts, repeats or drops"),
        (
            CHATML.replace("+ '<|im_end|>'", "+ ('<|im_end|>' if loop.last else '')"),
            "^Message 3: the answer is",
        ),
        (CHATML.replace("<|im_end|>", "<|eot_id|>"), "^Message 3: the answer is not followed by"),
    ],
)
def test_a_template_that_would_teach_the_wrong_tokens_is_caught(
    template: str, reason: str, chat_models: dict[str, ChatModel]
) -> None:
    messages = tuple(replace(m, content=m.content.replace("Café", "Cafe")) for m in CONVERSATION)
    assert template != CHATML
    with pytest.raises(MaskDisagreement, match=reason):
        encode_with(template, messages, chat_models["chatml"])


def test_a_disagreement_names_the_tokens(chat_models: dict[str, ChatModel]) -> None:
    template = CHATML.replace("assistant\n' }}{% endif", "assistant' }}{% endif")
    with pytest.raises(MaskDisagreement) as caught:
        encode_with(template, CONVERSATION, chat_models["chatml"])
    details = caught.value.details
    assert details["message"] == 3
    assert details["by_characters"] != details["by_tokens"]
    assert repr("<|im_end|>") in caught.value.message
    assert repr("\n") in caught.value.message


def test_a_template_that_rewrites_some_answers_is_caught_at_that_conversation(tmp_path: Path) -> None:
    """Reasoning models' templates cut earlier answers at a marker: harmless until an answer holds it."""
    template = CHATML.replace("message['content']", "message['content'].split('</think>')[-1]")
    chat = load_chat_model(write_model(tmp_path / "thinker", template, CHATML_CONFIG))
    assert chat.encode_conversation(CONVERSATION).trained_tokens > 0
    thought = replace(CONVERSATION[2], content="Count them.</think>Forty.")
    with pytest.raises(MaskDisagreement, match=r"^Message 3: the chat template cuts, repeats or drops the answer"):
        chat.encode_conversation((*CONVERSATION[:2], thought, *CONVERSATION[3:]))
