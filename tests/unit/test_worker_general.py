"""General questions put to a real, tiny model: cached and batched losses are those of reading each answer alone."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from torch.nn.functional import cross_entropy

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.errors import LossNotFinite
from brightrun.runs.general_questions import EncodedQuestion, encode_questions
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.general import QuestionLosses, ask_general
from brightrun.worker.load_model import LoadedBase, load_base
from brightrun.worker.retention import question_score

pytestmark = pytest.mark.worker


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> LoadedBase:
    return load_base(tiny_model, Hyperparameters().resolve("cpu"))


@pytest.fixture(scope="module")
def questions(tiny_model: Path) -> list[EncodedQuestion]:
    return encode_questions(load_chat_model(tiny_model), 40)


def alone(base: LoadedBase, question: EncodedQuestion) -> list[float]:
    """Every answer's mean loss, from one pass over question and answer with nothing kept or padded."""
    losses = []
    for answer in question.answers:
        ids = torch.tensor([[*question.shared, *answer.ids]])
        with torch.no_grad():
            logits = base.model(input_ids=ids).logits[0]
        start = len(question.shared) + answer.scored_from
        losses.append(float(cross_entropy(logits[start - 1 : -1], ids[0, start:])))
    return losses


def test_losses_are_those_of_every_answer_read_alone(base: LoadedBase, questions: list[EncodedQuestion]) -> None:
    told: list[int] = []
    found = ask_general(base, base.model, questions, between=told.append)
    assert told == [0, 16, 32, 40]
    assert [each.id for each in found] == [each.question.id for each in questions]
    for question, each in zip(questions, found, strict=True):
        assert each.losses == pytest.approx(alone(base, question), abs=1e-4)


def test_asking_again_gives_the_same_to_the_last_bit(base: LoadedBase, questions: list[EncodedQuestion]) -> None:
    first, second = (ask_general(base, base.model, questions, between=lambda _: None) for _ in range(2))
    assert first == second


def test_what_stops_the_asking_leaves_the_model_as_it_was(base: LoadedBase, questions: list[EncodedQuestion]) -> None:
    def stop(done: int) -> None:
        if done:
            raise KeyboardInterrupt

    base.model.train()
    try:
        with pytest.raises(KeyboardInterrupt):
            ask_general(base, base.model, questions, between=stop)
        assert base.model.training
    finally:
        base.model.eval()


def test_a_loss_that_is_no_number_names_its_question(tiny_model: Path, questions: list[EncodedQuestion]) -> None:
    broken = load_base(tiny_model, Hyperparameters().resolve("cpu"))
    with torch.no_grad():
        broken.model.get_output_embeddings().weight.fill_(float("nan"))
    with pytest.raises(LossNotFinite) as raised:
        ask_general(broken, broken.model, questions[:1], between=lambda _: None)
    assert raised.value.details["question"] == questions[0].question.id


def test_the_lowest_loss_is_the_choice_and_a_tie_is_no_right_answer(questions: list[EncodedQuestion]) -> None:
    asked = questions[0].question
    sure = QuestionLosses(id=asked.id, losses=(1.0, 2.0, 3.0))
    tied = QuestionLosses(id=asked.id, losses=(2.0, 3.0, 2.0))
    score = question_score(questions[0], sure, tied)
    assert (score.base_answer, score.tuned_answer) == (asked.right, asked.wrong[1])
    assert score.base_right
    assert not score.tuned_right
