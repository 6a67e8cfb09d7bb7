"""What fields beside the text mean, in every format: honored, refused by name, or told as not read.

A field is known by its plain name (see `record_fields.plain_name`), so spelling does not matter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from brightrun.datasets.problems import UnreadableRecordError
from brightrun.datasets.readers.fields import kind
from brightrun.datasets.readers.record_fields import Field, RecordFields, plain_name

# Ask that an answer, or a record, be learned or not.
WEIGHT = (
    "weight", "loss_weight", "sample_weight", "train", "trainable", "training", "train_on", "learn", "loss",
)  # fmt: skip
# Tell, where they are true or false, whether an answer was wanted: the unpaired preferences of KTO.
DESIRABLE = ("label", "kto_tag", "desirable", "is_desirable", "preferred_label")
# An answer that was preferred to another one.
PREFERRED = ("chosen", "chosen_response", "preferred", "preferred_output", "preferred_response", "chosen_output")
REJECTED = (
    "rejected", "rejected_response", "rejected_output", "rejected_answer", "rejected_message", "rejected_messages",
    "rejected_responses", "response_rejected", "output_rejected", "wrong_answer", "incorrect_answer",
    "incorrect_answers", "bad_response", "negative_response", "non_preferred", "non_preferred_output", "dispreferred",
    "dispreferred_output",
)  # fmt: skip
# Written by tools that store a list as its JSON text.
_EMPTY_TEXTS = frozenset({"[]", "{}", "null", "none", "nan"})
REASONING = ("reasoning_content", "reasoning", "thinking", "thoughts", "thinking_blocks", "reasoning_text")
SYSTEM = ("system", "system_prompt", "system_message", "system_instruction", "developer", "instructions")
# Chat formats take them where they belong; anywhere else they are refused.
TOOLS = (
    "tool_calls", "tool_call", "tools", "functions", "function_call", "function_calls", "tool_results",
    "tool_call_id", "tool_responses",
)  # fmt: skip
IMAGES = ("images", "image", "image_url", "image_path", "image_urls")
SOUNDS = ("audios", "audio", "audio_path", "audio_url")
FILMS = ("videos", "video", "video_path", "video_url")
PARTIAL = ("train_detail", "training_detail", "loss_mask", "weights", "token_weights", "labels_mask")
REINFORCEMENT = ("reference_answer", "reward_model", "ground_truth", "verifier", "reward")

_YES_NO = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
MOST_WEIGHT = 100.0
# `loss` may well be a measured one, so that only these may be other than 0 and 1.
_ANY_WEIGHT = frozenset({"weight", "loss_weight", "sample_weight"})


class _Refused(NamedTuple):
    names: tuple[str, ...]
    what: str
    hint: str


_REFUSED = (
    _Refused(
        TOOLS,
        "tool calling (`{key}`) in a place where it cannot be read",
        "Write such conversations in OpenAI's chat format: `tools` beside the messages, `tool_calls` in the "
        "assistant's, results as messages of role `tool`.",
    ),
    _Refused(
        IMAGES,
        "images (`{key}`): a vision record, and only text can be trained on",
        "Leave such records out with --unreadable leave-out, or remove the field where the text does without it.",
    ),
    _Refused(
        SOUNDS,
        "sound (`{key}`), and only text can be trained on",
        "Leave such records out with --unreadable leave-out, or remove the field where the text does without it.",
    ),
    _Refused(
        FILMS,
        "video (`{key}`), and only text can be trained on",
        "Leave such records out with --unreadable leave-out, or remove the field where the text does without it.",
    ),
    _Refused(
        PARTIAL,
        "weights for parts of a text (`{key}`); a turn is trained on as a whole or not at all",
        "Give the turn a `weight` of 0 or 1 instead.",
    ),
)

_REFUSED_NAMES = frozenset(name for meaning in _REFUSED for name in meaning.names)
_WEIGHT_NAMES, _DESIRABLE_NAMES = frozenset(WEIGHT), frozenset(DESIRABLE)


def refuse_meanings(fields: RecordFields) -> None:
    """Refuse by its name what stands beside a text, changes what is to be learned, and is not supported.

    Raises:
        UnreadableRecordError
    """
    if not fields.has_any(_REFUSED_NAMES):
        return
    for meaning in _REFUSED:
        while (field := fields.take(*meaning.names)) is not None:
            if is_empty_text(field.value):
                continue
            raise UnreadableRecordError(field.place, meaning.what.format(key=field.key), hint=meaning.hint)


def is_empty_text(value: Any) -> bool:
    """Whether it is the text that some tools write for a list or an object with nothing in it."""
    return isinstance(value, str) and value.strip().casefold() in _EMPTY_TEXTS


def take_weight(fields: RecordFields) -> float | None:
    """How much the text counts, 0 where it is not to be learned; None where nothing says so. Several are multiplied.

    Raises:
        UnreadableRecordError: a weight that is no number from 0 to 100.
    """
    asked: float | None = None
    if not fields.has_any(_WEIGHT_NAMES):
        return None
    while (field := fields.take(*WEIGHT)) is not None:
        asked = _weight(field) * (1.0 if asked is None else asked)
    return asked


def take_desirable(fields: RecordFields) -> bool | None:
    """Whether the answer was wanted; None where no field says so. A label that is no truth value is not one."""
    if not fields.has_any(_DESIRABLE_NAMES):
        return None
    for name in DESIRABLE:
        value = fields.peek(name)
        if isinstance(value, bool) or (isinstance(value, str) and value.strip().casefold() in {"true", "false"}):
            fields.take(name)
            return value if isinstance(value, bool) else value.strip().casefold() == "true"
    return None


def _weight(field: Field) -> float:
    text = str(field.value).strip().casefold()
    try:
        weight = _YES_NO[text] if text in _YES_NO else float(text)
    except ValueError:
        weight = -1.0
    part = plain_name(field.key) in _ANY_WEIGHT
    if isinstance(field.value, list | dict) or not 0 <= weight <= MOST_WEIGHT or (not part and weight not in (0, 1)):
        shown = f"{field.value!r:.40}" if isinstance(field.value, int | float | str) else kind(field.value)
        raise UnreadableRecordError(
            field.place,
            f"expected {f'a weight from 0 to {MOST_WEIGHT:.0f}' if part else '0 or 1'}, found {shown}",
            hint=f"Write 0 into `{field.key}` for an answer that is not to be learned and 1 for one that is"
            + (", 2 for one that counts twice" if part else "")
            + "; or leave the field out where every answer counts alike.",
        )
    return weight
