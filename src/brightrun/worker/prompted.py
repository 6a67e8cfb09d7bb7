"""What prompting alone does: the untouched base with real conversations before each prompt, scored and asked.

The shown conversations are read once; every conversation and every answer goes on from there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch.nn.functional import cross_entropy
from transformers import DynamicCache

from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.contract.event_data import SampleData
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.prepared import PreparedConversation, read_prepared
from brightrun.errors import BrightRunError
from brightrun.evaluation.comparison import Generated
from brightrun.files import write_model
from brightrun.format import counted, loss_text
from brightrun.runs.examples import TokenizedExample
from brightrun.runs.prompts import PROMPTS_AT_ONCE, sampling_of
from brightrun.runs.shown_conversations import ShownConversations, behind_shown, choose_shown
from brightrun.templating.chat_model import ChatModel, EncodedConversation
from brightrun.worker.answer import Prompt, generate_answers
from brightrun.worker.event_log import EventLog
from brightrun.worker.limits import RunLimits
from brightrun.worker.load_model import LoadedBase
from brightrun.worker.validation import AnswerLoss, mean_loss

_SEVERAL_SYSTEMS = 4
"""Where conversations have system prompts of their own, what is shown is read again for each: so much less of it."""


class Prompted(BaseModel):
    """Losses of the validation answers, and answers to the prompts, with so many conversations before them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    conversations: int
    tokens: int
    losses: tuple[AnswerLoss, ...]
    answers: tuple[Generated, ...]


class KeptPrompted(BaseModel):
    """`prompted.json`: what an attempt asked; `prompted` is absent where it could not be asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    prompted: Prompted | None


def load_prompted(path: Path, *, fingerprint: str) -> KeptPrompted | None:
    """What an earlier attempt of this very run asked, if it did."""
    try:
        kept = KeptPrompted.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return kept if kept.fingerprint == fingerprint else None


def save_prompted(path: Path, prompted: Prompted | None, *, fingerprint: str) -> None:
    write_model(path, KeptPrompted(fingerprint=fingerprint, prompted=prompted))


def ask_prompted(
    base: LoadedBase,
    chat: ChatModel,
    spec: JobSpec,
    folder: RunFolder,
    examples: Sequence[TokenizedExample],
    prompts: Sequence[Prompt],
    *,
    event_log: EventLog,
    limits: RunLimits,
) -> Prompted | None:
    """Score and ask the base behind real conversations; None, said in the log, where it cannot be asked so.

    Args:
        examples: The validation conversations as they are without the shown ones.

    Raises:
        LimitReached: the run may not go on; nothing of this is kept.
    """
    if not spec.hyperparameters.prompted_tokens:
        return None
    validation = list(read_prepared(folder.root / spec.dataset.validation_path))
    train = read_prepared(folder.root / spec.dataset.train_path)
    longest = max(max(example.encoded.sequence_lengths) for example in examples)
    shown = choose_shown(train, chat, room=_room(spec, validation, longest))
    if not shown.conversations:
        event_log.say("No training conversation is short and plain enough to be shown to the base.")
        return None
    try:
        encoded = {
            one.id: chat.encode_conversation(behind_shown(shown.turns, one.chat_messages())) for one in validation
        }
        asked = [chat.encode_prompt(behind_shown(shown.turns, one.messages), reasons=one.reasons) for one in prompts]
    except BrightRunError as error:
        event_log.say(f"The base cannot be asked with real conversations before the prompt: {error}")
        return None
    event_log.say(f"Asking the base model with {counted(shown.conversations, 'real conversation')} before each prompt.")
    try:
        prompted = _measure(base, chat, spec, shown, encoded, asked, event_log, limits)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        event_log.say("This GPU has not the memory to show conversations to the base: it is not asked so.")
        return None
    event_log.say(f"Prompted so, its validation loss is {loss_text(mean_loss(prompted.losses))}.")
    return prompted


def _room(spec: JobSpec, validation: Sequence[PreparedConversation], longest: int) -> int:
    """Tokens that may be shown: what was asked for, or what the model holds beside the longest conversation."""
    context = entry_of_folder(Path(spec.model.path)).context_length
    systems = {one.messages[0].content if one.messages[0].role == "system" else "" for one in validation}
    wanted = spec.hyperparameters.prompted_tokens // (1 if len(systems) == 1 else _SEVERAL_SYSTEMS)
    return min(wanted, context - longest - sampling_of(spec.hyperparameters).tokens)


def _measure(
    base: LoadedBase,
    chat: ChatModel,
    spec: JobSpec,
    shown: ShownConversations,
    encoded: dict[str, EncodedConversation],
    asked: Sequence[Sequence[int]],
    event_log: EventLog,
    limits: RunLimits,
) -> Prompted:
    prefix = common_prefix([*(ids for one in encoded.values() for ids, _ in sequences_of(one)), *asked])
    base.model.eval()
    with base.inference():
        cache = read_prefix(base, prefix)
        losses: list[AnswerLoss] = []
        for name, one in encoded.items():
            limits.check()
            losses.extend(losses_behind(base, cache, len(prefix), name, one))
    answers: list[Generated] = []
    batch = PROMPTS_AT_ONCE[base.precision.kind]
    for start in range(0, len(asked), batch):
        limits.check()
        some = asked[start : start + batch]
        tokens = sampling_of(spec.hyperparameters).tokens
        answers += generate_answers(base, base.model, chat, some, max_tokens=tokens, prefix=prefix, cache=cache)
        event_log.write(SampleData(done=len(answers), total=len(asked), phase="baseline", of="prompted"))
    return Prompted(conversations=shown.conversations, tokens=len(prefix), losses=tuple(losses), answers=tuple(answers))


def sequences_of(encoded: EncodedConversation) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
    """Ids and answer spans of each of its sequences."""
    for start, end in pairwise((*encoded.sequence_starts, len(encoded.input_ids))):
        spans = [(begin - start, stop - start) for begin, stop in encoded.answer_spans if start <= begin < end]
        yield encoded.input_ids[start:end], spans


def common_prefix(sequences: Sequence[Sequence[int]]) -> list[int]:
    """The tokens with which all of them begin; each goes on for at least two tokens behind them."""
    shortest = min(len(sequence) for sequence in sequences) - 2
    first = sequences[0]
    length = next(
        (place for place in range(shortest) if any(one[place] != first[place] for one in sequences)), max(shortest, 0)
    )
    return list(first[:length])


def read_prefix(base: LoadedBase, prefix: Sequence[int]) -> Any:
    """What the base keeps of these tokens: a transformers cache of one row."""
    cache = DynamicCache(config=base.model.config)
    if prefix:
        ids = torch.tensor([list(prefix)], device=base.device)
        base.model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True)
    return cache


def losses_behind(
    base: LoadedBase, cache: Any, read: int, conversation_id: str, encoded: EncodedConversation
) -> Iterator[AnswerLoss]:
    """The loss of every answer; the output head is applied to trained positions only, as in `validation.py`."""
    model, number = base.model, 0
    for ids, spans in sequences_of(encoded):
        rest = torch.tensor([ids[read:]], device=base.device)
        hidden = model.get_decoder()(
            input_ids=rest, past_key_values=copy.deepcopy(cache), use_cache=True
        ).last_hidden_state[0]
        for start, end in spans:
            number += 1
            logits = model.get_output_embeddings()(hidden[start - 1 - read : end - 1 - read]).float()
            loss = float(cross_entropy(logits, rest[0, start - read : end - read]))
            yield AnswerLoss(conversation_id, number, end - start, loss)
