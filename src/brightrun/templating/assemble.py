"""Makes a ChatModel of a tokenizer and a template, having tried both on a conversation."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from brightrun.errors import DatasetError, MaskDisagreement, ModelError
from brightrun.templating.chat_model import ChatModel, ControlTokens
from brightrun.templating.messages import Message
from brightrun.templating.template import ChatTemplate
from brightrun.templating.tokenizer import Tokenizer

_SYSTEM = Message("system", "Please speak as a lighthouse keeper.")
_TURNS = (
    Message("user", "Which way is north?"),
    Message("assistant", "Behind the kitchen door.", trained=True),
    Message("user", "And the harbour?"),
    Message("assistant", "Follow the gulls downhill.", trained=True),
)
_USUAL_PADS = (
    "<|finetune_right_pad_id|>",
    "<pad>",
    "<|pad|>",
    "[PAD]",
    "<|reserved_special_token_0|>",
    "<|endoftext|>",
)


def assemble_chat_model(
    *,
    name: str,
    source: str,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    bos: str | None,
    stops: Collection[int],
    pad: str | None = None,
) -> ChatModel:
    """A ChatModel whose template is known to work.

    The end-of-turn token is the first control token after an answer. `bos` counts as the opening token where
    the template writes it once, at the very beginning (in ChatML it opens every turn and is none). The pad is
    `pad` or one of the usual ones, as long as the template does not write it and it ends nothing; then any
    such control token. A model that has none gets its lowest id that ends nothing, and no token by name: harmless,
    since rows are packed and pads carry no loss, whereas a plain token named as padding would be split off texts.

    Raises:
        ModelError: The template fails, drops a message or an answer's end, or is too unusual for safe masks.
    """
    text = _try_rendering(name, template)
    ids = tokenizer.ids(text)
    end_of_turn = _end_of_turn(name, tokenizer, template)
    end_of_turn_id = tokenizer.special_ids[end_of_turn]
    stop_ids = frozenset((*stops, end_of_turn_id))
    bos_id = tokenizer.special_ids.get(bos) if bos else None
    if bos_id is not None and ids[:2] == [bos_id, bos_id]:
        raise ModelError(f"{name}: its chat template writes {bos} twice at the beginning.")
    if bos_id is not None and (ids[0] != bos_id or ids.count(bos_id) != 1):
        bos_id = None
    pad, pad_id = _padding(tokenizer, pad, forbidden={*stop_ids, *ids})
    control = ControlTokens(bos_id, end_of_turn, end_of_turn_id, stop_ids, pad, pad_id)
    model = ChatModel(name=name, source=source, tokenizer=tokenizer, template=template, control=control)
    _try_masks(model)
    return model


def _try_rendering(name: str, template: ChatTemplate) -> str:
    try:
        text = template.render((_SYSTEM, *_TURNS))
    except (DatasetError, ModelError) as error:
        raise ModelError(f"{name}: {error.message}", hint="Choose another base model.") from error
    for message in (_SYSTEM, *_TURNS):
        if (times := text.count(message.content)) != 1:
            raise ModelError(
                f"{name}: its chat template writes a {message.role} message {times} times instead of once.",
                hint="Choose another base model.",
            )
    return text


def _end_of_turn(name: str, tokenizer: Tokenizer, template: ChatTemplate) -> str:
    """The first control string after the last answer."""
    answer = _TURNS[-1].content
    after = template.render((_SYSTEM, *_TURNS)).partition(answer)[2]
    places = {token: after.find(token) for token in tokenizer.special_ids if token in after}
    if not places:
        raise ModelError(
            f"{name}: its chat template writes no control token after an answer; no end could be trained on.",
            hint="Choose the Instruct model of the family: a base model has not learned turns.",
        )
    return min(places, key=lambda token: (places[token], -len(token)))


def _padding(tokenizer: Tokenizer, pad: str | None, forbidden: Collection[int]) -> tuple[str | None, int]:
    """The control token to fill up with, where there is one, and the id to do it with."""
    wanted: Sequence[str] = [token for token in (pad, *_USUAL_PADS, *tokenizer.special_ids) if token]
    for token in wanted:
        number = tokenizer.special_ids.get(token)
        if number is not None and number not in forbidden:
            return token, number
    return None, next(number for number in range(len(forbidden) + 1) if number not in forbidden)


def _try_masks(model: ChatModel) -> None:
    try:
        for messages in ((_SYSTEM, *_TURNS), _TURNS):
            model.encode_conversation(messages)
    except (MaskDisagreement, DatasetError) as error:
        raise ModelError(
            f"{model.name}: its chat template cannot be used for training. {error.message}",
            hint="Choose another base model.",
        ) from error
