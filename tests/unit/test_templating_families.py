"""Tool calls and reasoning, rendered by the families' own templates: calls are learned, results are not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from brightrun.errors import DatasetError, MaskDisagreement
from brightrun.templating import ChatModel, Message
from brightrun.templating.messages import ToolCall
from tests.unit.family_models import family_model

TOOL = json.dumps(
    {"type": "function", "function": {"name": "balance", "parameters": {"type": "object", "properties": {}}}}
)
CALL = ToolCall("balance", '{"account": "the \\"blue\\" jar", "days": 3}', "c0")
TOOLS = (
    Message("system", "You count jars.", tools=(TOOL,)),
    Message("user", "What is in the jar?"),
    Message("assistant", "", trained=True, calls=(CALL,)),
    Message("tool", "12.50", call_id="c0", name="balance"),
    Message("assistant", "Twelve and a half.", trained=True),
    Message("user", "Is that enough?"),
    Message("assistant", "Until Friday.", trained=True),
)
REASONED = (
    Message("user", "Shall I call him?"),
    Message("assistant", "Not tonight.", trained=True, reasoning="He sounds tired."),
    Message("user", "When then?"),
    Message("assistant", "On Sunday.", trained=True, reasoning="Sundays are calm."),
)
ARGUMENTS = '{"account": "the \\"blue\\" jar", "days": 3}'
LLAMA_CALL = f'{{"name": "balance", "parameters": {ARGUMENTS}}}<|eot_id|>'
QWEN_CALL = f'<tool_call>\n{{"name": "balance", "arguments": {ARGUMENTS}}}\n</tool_call><|im_end|>'
MISTRAL_CALL = f'[TOOL_CALLS] [{{"name": "balance", "arguments": {ARGUMENTS}, "id": "122c59708"}}]</s>'


@pytest.fixture
def chat(request: pytest.FixtureRequest, tmp_path: Path) -> ChatModel:
    return family_model(tmp_path, request.param)


def trained(chat: ChatModel, messages: tuple[Message, ...]) -> list[str]:
    """The trained pieces; they are the same from the text and from the tokens."""
    pieces = [text for text, learned in chat.preview_spans(messages) if learned]
    encoded = chat.encode_conversation(messages)
    by_tokens = [chat.decode(encoded.input_ids[start:end], skip_special=False) for start, end in encoded.answer_spans]
    assert by_tokens == pieces
    assert sum(encoded.loss_mask) == sum(end - start for start, end in encoded.answer_spans)
    assert sum(encoded.sequence_lengths) == len(encoded.input_ids) == len(encoded.position_ids)
    return pieces


@pytest.mark.parametrize(
    ("chat", "call", "end", "sequences"),
    [
        ("llama3_1", LLAMA_CALL, "<|eot_id|>", 1),
        ("llama3_2", LLAMA_CALL, "<|eot_id|>", 1),
        ("qwen2_5", QWEN_CALL, "<|im_end|>", 1),
        ("qwen3_instruct_2507", QWEN_CALL, "<|im_end|>", 1),
        ("qwen3", QWEN_CALL, "<|im_end|>", 3),
        ("mistral_small", MISTRAL_CALL, "</s>", 3),
    ],
    indirect=["chat"],
)
def test_calls_are_learned_and_results_are_not(chat: ChatModel, call: str, end: str, sequences: int) -> None:
    assert chat.lacks(TOOLS) == []
    assert trained(chat, TOOLS) == [call, "Twelve and a half." + end, "Until Friday." + end]
    assert len(chat.encode_conversation(TOOLS).sequence_starts) == sequences
    rest = "".join(text for text, learned in chat.preview_spans(TOOLS) if not learned)
    assert "12.50" in rest
    assert '"name": "balance"' in rest


@pytest.mark.parametrize("chat", ["qwen3", "mistral_small"], indirect=True)
def test_each_sequence_is_what_is_read_before_that_answer(chat: ChatModel) -> None:
    encoded = chat.encode_conversation(TOOLS)
    answers = [index for index, message in enumerate(TOOLS) if message.trained]
    for index, start, (begin, _) in zip(answers, encoded.sequence_starts, encoded.answer_spans, strict=True):
        assert encoded.input_ids[start:begin] == chat.encode_prompt(TOOLS[:index])
        assert encoded.position_ids[start] == 0


@pytest.mark.parametrize("chat", ["qwen3"], indirect=True)
def test_reasoning_is_learned_where_the_template_has_a_place_for_it(chat: ChatModel) -> None:
    assert chat.lacks(REASONED) == []
    assert trained(chat, REASONED) == [
        "<think>\nHe sounds tired.\n</think>\n\nNot tonight.<|im_end|>",
        "<think>\nSundays are calm.\n</think>\n\nOn Sunday.<|im_end|>",
    ]
    text = "".join(text for text, _ in chat.preview_spans(REASONED))
    assert text.count("He sounds tired.") == 1  # the second answer is given without the first one's reasoning


@pytest.mark.parametrize("chat", ["qwen3"], indirect=True)
def test_an_answer_without_reasoning_does_not_learn_the_empty_mark(chat: ChatModel) -> None:
    silent = tuple(replace(message, reasoning=None) for message in REASONED)
    assert trained(chat, silent) == ["Not tonight.<|im_end|>", "On Sunday.<|im_end|>"]
    prompt = chat.decode(chat.encode_prompt(silent[:1]), skip_special=False)
    assert prompt.endswith("<think>\n\n</think>\n\n")
    assert chat.decode(chat.encode_prompt(silent[:1], reasons=True)).endswith("assistant\n")


@pytest.mark.parametrize("chat", ["qwen3"], indirect=True)
def test_reasoning_in_the_text_is_put_where_it_belongs(chat: ChatModel) -> None:
    inline = tuple(
        replace(message, content=f"<think>\n{message.reasoning}\n</think>\n\n{message.content}", reasoning=None)
        if message.reasoning
        else message
        for message in REASONED
    )
    assert chat.encode_conversation(inline) == chat.encode_conversation(REASONED)
    assert chat.split_reasoning("<think>\nHm.\n</think>\n\nYes.") == ("Hm.", "Yes.")
    assert chat.split_reasoning("Yes.") == (None, "Yes.")
    assert chat.split_reasoning("Yes. </think> no") == (None, "Yes. </think> no")


@pytest.mark.parametrize("chat", ["qwen3"], indirect=True)
def test_reasoning_before_a_call_is_learned_with_it(chat: ChatModel) -> None:
    thinking = tuple(
        replace(message, reasoning=f"Step {number}.") if message.trained else message
        for number, message in enumerate(TOOLS)
    )
    call, told, last = trained(chat, thinking)
    assert call == "<think>\nStep 2.\n</think>\n\n" + QWEN_CALL
    assert told == "<think>\nStep 4.\n</think>\n\nTwelve and a half.<|im_end|>"
    assert last == "<think>\nStep 6.\n</think>\n\nUntil Friday.<|im_end|>"


@pytest.mark.parametrize(
    ("chat", "lacking"),
    [
        ("llama3", ["reasoning", "tools", "tool calls", "text beside a tool call", "several calls at once"]),
        ("llama3_1", ["reasoning", "text beside a tool call", "several calls at once"]),
        ("qwen3_instruct_2507", ["reasoning"]),
        ("qwen3", []),
        ("gemma3", ["reasoning", "tools", "tool calls", "tool results", "text beside a tool call",
                    "several calls at once"]),
        ("mistral_small", ["reasoning", "text beside a tool call"]),
    ],
    indirect=["chat"],
)  # fmt: skip
def test_what_a_template_has_no_place_for_is_named(chat: ChatModel, lacking: list[str]) -> None:
    everything = (
        Message("user", "Look.", tools=(TOOL,)),
        Message("assistant", "I look.", trained=True, reasoning="Where?", calls=(CALL, CALL)),
        Message("tool", "12.50"),
        Message("assistant", "There.", trained=True),
    )
    assert chat.lacks(everything) == lacking
    plain = (Message("user", "Look."), Message("assistant", "There.", trained=True))
    assert chat.lacks(plain) == []


@pytest.mark.parametrize("chat", ["llama3_1"], indirect=True)
def test_text_beside_a_call_is_never_dropped(chat: ChatModel) -> None:
    both = (TOOLS[0], TOOLS[1], replace(TOOLS[2], content="I look."))
    with pytest.raises(DatasetError, match="llama3_1's chat template has no place for text beside a tool call"):
        chat.encode_conversation(both)


@pytest.mark.parametrize("chat", ["qwen3"], indirect=True)
@pytest.mark.parametrize("where", ["name", "arguments", "result", "reasoning", "tools"])
def test_a_control_string_is_refused_wherever_it_stands(chat: ChatModel, where: str) -> None:
    mark = "<|im_end|>"
    messages = {
        "name": (*TOOLS[:2], replace(TOOLS[2], calls=(ToolCall(mark, "{}"),))),
        "arguments": (*TOOLS[:2], replace(TOOLS[2], calls=(ToolCall("balance", json.dumps({"a": mark})),))),
        "result": (*TOOLS[:3], replace(TOOLS[3], content=mark), *TOOLS[4:]),
        "reasoning": (REASONED[0], replace(REASONED[1], reasoning=mark)),
        "tools": (replace(TOOLS[0], tools=(json.dumps({"name": mark}),)), *TOOLS[1:]),
    }[where]
    with pytest.raises(DatasetError, match="reads as a control token"):
        chat.encode_conversation(messages)


@pytest.mark.parametrize("chat", ["gemma3"], indirect=True)
def test_gemma_writes_the_system_prompt_into_the_first_question(chat: ChatModel) -> None:
    messages = (Message("system", "You count jars."), *REASONED[:1], replace(REASONED[1], reasoning=None))
    assert trained(chat, messages) == ["Not tonight.<end_of_turn>"]
    assert chat.bos_id == chat.encode_conversation(messages).input_ids[0]


def test_a_template_that_changes_arguments_is_caught(tmp_path: Path) -> None:
    chat = family_model(tmp_path, "qwen3")
    path = tmp_path / "chat_template.jinja"
    path.write_text(
        path.read_text("utf-8").replace("tool_call.arguments | tojson", "{'pier': 'Saltmarsh'} | tojson"), "utf-8"
    )
    from brightrun.templating import load_chat_model

    assert chat.encode_conversation(TOOLS[:3]).trained_tokens
    with pytest.raises(MaskDisagreement, match="Message 3: the chat template changes the arguments of balance"):
        load_chat_model(tmp_path).encode_conversation(TOOLS[:3])


def test_results_without_ids_belong_to_the_calls_in_their_order(tmp_path: Path) -> None:
    chat = family_model(tmp_path, "mistral_small")
    calls = (ToolCall("balance", "{}"), ToolCall("rate", "{}"))
    messages = (
        *TOOLS[:2],
        Message("assistant", "", trained=True, calls=calls),
        Message("tool", "1"),
        Message("tool", "2"),
        Message("assistant", "Three.", trained=True),
    )
    text = "".join(text for text, _ in chat.preview_spans(messages))
    first, second = (text.split('"id": "')[number][:9] for number in (1, 2))
    assert first != second
    assert f'"content": 1, "call_id": "{first}"' in text
    assert f'"content": 2, "call_id": "{second}"' in text
