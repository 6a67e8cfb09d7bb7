"""Rows of a step as tensors: packed without padding, or padded to one length."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from brightrun.runs.examples import TokenizedExample
from brightrun.templating.batches import Step
from brightrun.templating.chat_model import EncodedConversation
from brightrun.worker.micro_batches import build_micro_batches

pytestmark = pytest.mark.worker

PAD = 9
FIRST = TokenizedExample("first", EncodedConversation([1, 2, 3, 4], [False, False, True, True], [(2, 4)]))
SECOND = TokenizedExample("second", EncodedConversation([5, 6], [False, True], [(1, 2)]))
STEP = Step(1.0, ((0, 1), (1,)))


def test_a_packed_row_begins_its_positions_anew_for_every_sequence() -> None:
    both, alone = build_micro_batches(STEP, [FIRST, SECOND], packing=True, pad_id=PAD)

    assert both.input_ids == [[1, 2, 3, 4, 5, 6]]
    assert both.position_ids == [[0, 1, 2, 3, 0, 1]]
    assert both.labels == [[-100, -100, 3, 4, -100, 6]]
    assert both.attention_mask is None
    assert (both.tokens, both.trained_tokens) == (6, 3)
    assert (alone.input_ids, alone.tokens, alone.trained_tokens) == ([[5, 6]], 2, 1)


def test_a_padded_row_has_one_length_and_learns_no_padding() -> None:
    both, alone = build_micro_batches(STEP, [FIRST, SECOND], packing=False, pad_id=PAD)

    assert both.input_ids == [[1, 2, 3, 4], [5, 6, PAD, PAD]]
    assert both.attention_mask == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert both.labels == [[-100, -100, 3, 4], [-100, 6, -100, -100]]
    assert both.position_ids == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert (both.tokens, both.trained_tokens) == (6, 3)  # padding is no work done
    assert alone.attention_mask == [[1, 1]]


@pytest.mark.parametrize("packing", [True, False])
def test_tensors_are_what_a_forward_takes(packing: bool) -> None:
    micro_batch = build_micro_batches(STEP, [FIRST, SECOND], packing=packing, pad_id=PAD)[0]

    tensors = micro_batch.tensors(torch.device("cpu"))

    names = {"input_ids", "position_ids", "labels"} | (set() if packing else {"attention_mask"})
    assert set(tensors) == names
    assert {tensor.dtype for tensor in tensors.values()} == {torch.int64}
    assert {tuple(tensor.shape) for tensor in tensors.values()} == {(1, 6) if packing else (2, 4)}
    assert int((tensors["labels"] != -100).sum()) == micro_batch.trained_tokens
