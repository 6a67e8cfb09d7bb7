"""General questions under every family that can be trained: read with a cache, the losses are those of reading each
answer alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
import transformers

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.runs.general_questions import encode_questions
from brightrun.worker.general import ask_general
from brightrun.worker.load_model import load_base
from tests.contract.test_worker_families import KINDS, SHAPE
from tests.unit.family_models import family_model
from tests.unit.test_worker_general import alone

pytestmark = pytest.mark.worker

_WINDOW = {"sliding_window": 512, "layer_types": SHAPE["layer_types"]}


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_every_answer_read_alone(tmp_path: Path, kind: str) -> None:
    config, template, _ = KINDS[kind]
    chat = family_model(tmp_path / "model", template)
    shape = {name: value for name, value in SHAPE.items() if name not in _WINDOW}
    windows = _WINDOW if kind == "gemma3_text" else {}
    torch.manual_seed(1)
    made = getattr(transformers, config)(vocab_size=300, **shape, **windows)
    transformers.AutoModelForCausalLM.from_config(made).save_pretrained(tmp_path / "model")
    base = load_base(tmp_path / "model", Hyperparameters().resolve("cpu"))
    questions = encode_questions(chat, 24)
    found = ask_general(base, base.model, questions, between=lambda _: None)
    for question, each in zip(questions, found, strict=True):
        assert each.losses == pytest.approx(alone(base, question), abs=2e-5), question.question.id
