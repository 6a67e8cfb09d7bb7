"""A plan counts the general questions twice and the training answers once, where a run asks for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brightrun.planning.job_plan import plan_job
from brightrun.templating.batches import ExampleSize
from tests.unit.test_planning_job_plan import HELD, quiet, small

QUESTIONS = (ExampleSize(22, 8, 3),) * 128
PROMPTS = (300, 280, 320, 310) * 4  # a whole batch


def phase(name: str, **asked: object) -> float:
    plan = plan_job(small(), quiet(), validation=replace(HELD, **asked))  # type: ignore[arg-type]
    return plan.phases[name].expected_seconds  # type: ignore[index]


def test_general_questions_are_put_to_the_base_and_to_the_tuned_model() -> None:
    before = phase("model_loaded", general=QUESTIONS) - phase("model_loaded")
    after = phase("evaluating", general=QUESTIONS) - phase("evaluating")
    assert 3 < before < 15  # 10 s were measured on such a processor
    assert before < after < 2 * before


def test_training_answers_are_asked_of_the_tuned_model_alone() -> None:
    assert phase("model_loaded", training_prompts=PROMPTS) == phase("model_loaded")
    asked = phase("evaluating", training_prompts=PROMPTS) - phase("evaluating")
    assert asked > 0
    again = phase("evaluating", training_prompts=PROMPTS * 2) - phase("evaluating")
    assert again == pytest.approx(2 * asked)


def test_the_high_end_is_a_run_that_repeats_every_answer() -> None:
    plan = plan_job(small(), quiet(), validation=replace(HELD, training_prompts=PROMPTS))
    without = plan_job(small(), quiet(), validation=HELD)
    more = plan.phases["evaluating"].high_seconds - without.phases["evaluating"].high_seconds
    expected = plan.phases["evaluating"].expected_seconds - without.phases["evaluating"].expected_seconds
    assert more > 3 * expected
