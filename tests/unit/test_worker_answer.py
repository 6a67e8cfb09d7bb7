"""Which validation prompts are answered: spread over conversations, first answers first."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from brightrun.datasets.prepared import PreparedConversation
from brightrun.worker.answer import choose_prompts

pytestmark = pytest.mark.worker


def conversation(name: str, *trained: bool) -> PreparedConversation:
    messages: list[dict[str, object]] = [{"role": "system", "content": "Keep calm."}]
    for number, is_trained in enumerate(trained, start=1):
        messages.append({"role": "user", "content": f"{name} asks {number}"})
        messages.append({"role": "assistant", "content": f"{name} hears {number}", "trained": is_trained})
    return PreparedConversation.model_validate({"id": name, "persona": "planner", "arc": "calm", "messages": messages})


TALKS = [conversation("b", True, True, True), conversation("a", True), conversation("c", False, True)]


def chosen(count: int) -> list[tuple[str, int]]:
    return [(prompt.conversation_id, prompt.answer_number) for prompt in choose_prompts(TALKS, count)]


def test_every_conversation_comes_before_any_second_answer() -> None:
    assert chosen(64) == [("a", 1), ("b", 1), ("c", 1), ("b", 2), ("b", 3)]


def test_fewer_prompts_are_the_beginning_of_more() -> None:
    for count in range(1, 6):
        assert chosen(count) == chosen(64)[:count]


def test_the_order_of_the_file_does_not_matter() -> None:
    assert choose_prompts(TALKS[::-1], 64) == choose_prompts(TALKS, 64)


def test_a_prompt_ends_with_the_client_and_keeps_the_answer_apart() -> None:
    prompt = choose_prompts(TALKS, 64)[3]

    assert (prompt.persona, prompt.arc, prompt.reference) == ("planner", "calm", "b hears 2")
    assert [message.content for message in prompt.messages] == ["Keep calm.", "b asks 1", "b hears 1", "b asks 2"]


def test_an_untrained_answer_is_context_and_never_asked_for() -> None:
    (prompt,) = choose_prompts([TALKS[2]], 64)

    assert prompt.answer_number == 1
    assert [message.content for message in prompt.messages][-2:] == ["c hears 1", "c asks 2"]
    assert prompt.reference == "c hears 2"
