"""The prompted base under every family that can be trained: what was read once changes neither a loss nor an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
import transformers
from torch.nn.functional import cross_entropy

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.templating.messages import Message
from brightrun.worker.answer import generate_answers
from brightrun.worker.load_model import load_base
from brightrun.worker.prompted import common_prefix, losses_behind, read_prefix, sequences_of
from tests.contract.test_worker_families import KINDS, PLAIN, SHAPE
from tests.unit.family_models import family_model

pytestmark = pytest.mark.worker

SHOWN = [
    Message("user", "My mother forgets her pills."),
    Message("assistant", "Does she forget the morning ones or the evening ones?"),
]
ASKED = ("He fell again.", "Where do I begin? I have not slept for days, and nobody else is here to help me.")


@pytest.mark.parametrize(("kind", "window"), [*((kind, 512) for kind in KINDS), ("gemma3_text", 16)])
def test_losses_and_answers_are_those_of_reading_everything_anew(tmp_path: Path, kind: str, window: int) -> None:
    config, template, talks = KINDS[kind]
    chat = family_model(tmp_path / "model", template)
    shape = dict(SHAPE) if kind == "gemma3_text" else {
        name: value for name, value in SHAPE.items() if name not in {"sliding_window", "layer_types"}
    }  # fmt: skip
    if "sliding_window" in shape:
        shape["sliding_window"] = window
    torch.manual_seed(5)
    made = getattr(transformers, config)(vocab_size=300, **shape)
    transformers.AutoModelForCausalLM.from_config(made).save_pretrained(tmp_path / "model")
    base = load_base(tmp_path / "model", Hyperparameters().resolve("cpu"))
    plain = [talk for talk in talks if not talk[0].tools]
    encoded = [chat.encode_conversation([*SHOWN, *talk]) for talk in (*plain, PLAIN[2:])]
    asked = [chat.encode_prompt([*SHOWN, Message("user", text)]) for text in ASKED]
    prefix = common_prefix([*(ids for one in encoded for ids, _ in sequences_of(one)), *asked])
    assert len(prefix) > 60
    with base.inference():
        cache = read_prefix(base, prefix)
        for one in encoded:
            found = [answer.loss for answer in losses_behind(base, cache, len(prefix), "c", one)]
            alone = []
            for ids, spans in sequences_of(one):
                logits = base.model(input_ids=torch.tensor([ids])).logits[0]
                alone += [float(cross_entropy(logits[a - 1 : b - 1], torch.tensor(ids[a:b]))) for a, b in spans]
            assert found == pytest.approx(alone, abs=2e-5)
    together = generate_answers(base, base.model, chat, asked, max_tokens=10, prefix=prefix, cache=cache)
    single = [generate_answers(base, base.model, chat, [one], max_tokens=10)[0] for one in asked]
    assert together == single
