"""Answers prompts, greedily, so that base and tuned differ by the adapter alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig

from brightrun.datasets.prepared import PreparedConversation
from brightrun.evaluation.comparison import Generated
from brightrun.runs.prompts import PROMPTS_AT_ONCE, sampled_answers
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.messages import Message
from brightrun.worker.load_model import LoadedBase


class Asked(NamedTuple):
    """What a model is asked: messages, and whether its answer is to begin with reasoning."""

    messages: tuple[Message, ...]
    reasons: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """A validation conversation up to one of its answers, and what the consultant wrote there; `reasons`: behind
    reasoning.
    """

    conversation_id: str
    answer_number: int
    persona: str | None
    arc: str | None
    messages: tuple[Message, ...]
    reference: str
    reasons: bool = False

    @property
    def asked(self) -> Asked:
        return Asked(self.messages, self.reasons)


def choose_prompts(conversations: list[PreparedConversation], count: int) -> list[Prompt]:
    """The prompts of the answers that are sampled (`runs/prompts.py` says which)."""
    by_id = {conversation.id: conversation for conversation in conversations}
    places = {name: _trained_places(conversation.chat_messages()) for name, conversation in by_id.items()}
    chosen = sampled_answers({name: len(found) for name, found in places.items()}, count)
    return [_prompt(by_id[name], number, places[name][number - 1]) for number, name in chosen]


def _trained_places(messages: list[Message]) -> list[int]:
    return [index for index, message in enumerate(messages) if message.trained]


def _prompt(conversation: PreparedConversation, number: int, index: int) -> Prompt:
    messages = conversation.chat_messages()
    before, answer = tuple(messages[:index]), messages[index]
    reasons = answer.reasoning is not None
    return Prompt(
        conversation.id, number, conversation.persona, conversation.arc, before, written_answer(answer), reasons
    )


def written_answer(answer: Message) -> str:
    """What the consultant wrote, tool calls as they would be read aloud."""
    calls = [f"{call.name}({call.arguments})" for call in answer.calls]
    return "\n".join(filter(None, (answer.content, *calls)))


def answer_prompts(
    base: LoadedBase,
    model: Any,
    chat: ChatModel,
    prompts: list[Asked],
    *,
    max_tokens: int,
    done: Callable[[int], None] | None = None,
) -> list[Generated]:
    """Greedy answers to prompts, in order, without the reasoning before them. `done` hears how many are finished."""
    answers: list[Generated] = []
    batch = PROMPTS_AT_ONCE[base.precision.kind]
    for start in range(0, len(prompts), batch):
        asked = prompts[start : start + batch]
        encoded = [chat.encode_prompt(one.messages, reasons=one.reasons) for one in asked]
        answers.extend(generate_answers(base, model, chat, encoded, max_tokens=max_tokens))
        if done is not None:
            done(len(answers))
    return answers


def generate_answers(
    base: LoadedBase,
    model: Any,
    chat: ChatModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    prefix: Sequence[int] = (),
    cache: Any = None,
) -> list[Generated]:
    """Greedy answers to one batch of encoded prompts.

    Args:
        prefix: Tokens with which every prompt begins and that the model has read; padding stands behind them.
        cache: What it keeps of them, one row; it is left as it is.
    """
    read, rests = len(prefix), [list(ids[len(prefix) :]) for ids in prompts]
    longest = max(len(ids) for ids in rests)
    width = read + longest
    padded = [[*prefix, *([chat.pad_id] * (longest - len(ids))), *ids] for ids in rests]
    mask = [[1] * read + [0] * (longest - len(ids)) + [1] * len(ids) for ids in rests]
    kept = copy.deepcopy(cache) if read else None
    if kept is not None:
        kept.batch_repeat_interleave(len(rests))
    settings = GenerationConfig(
        max_new_tokens=max_tokens,
        do_sample=False,
        eos_token_id=sorted(chat.stop_ids),
        pad_token_id=chat.pad_id,
        bos_token_id=chat.bos_id,
    )
    was_training = model.training
    model.eval()
    with base.inference():
        output = model.generate(
            input_ids=torch.tensor(padded, device=base.device),
            attention_mask=torch.tensor(mask, device=base.device),
            generation_config=settings,
            **({} if kept is None else {"past_key_values": kept}),
        )
    model.train(was_training)
    return [_read_answer(chat, row[width:].tolist()) for row in output]


def _read_answer(chat: ChatModel, ids: list[int]) -> Generated:
    for position, token in enumerate(ids):
        if token in chat.stop_ids:
            return Generated(text=_spoken(chat, ids[:position]), tokens=position + 1, stopped=True)
    return Generated(text=_spoken(chat, ids), tokens=len(ids), stopped=False)


def _spoken(chat: ChatModel, ids: list[int]) -> str:
    """What the person reads; all of it where the reasoning never came to an end."""
    _, answer = chat.split_reasoning(chat.decode(ids).strip())
    return answer
