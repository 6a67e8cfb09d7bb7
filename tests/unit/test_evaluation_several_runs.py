"""Which of several runs is best, and only where it is more than chance."""

from __future__ import annotations

import pytest

from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.several_runs import best_run, same_prompts
from tests.unit.run_reports import report


def _run(lower: float = 0.0, *, conversations: int = 8, uneven: float = 0.0, looped: bool = False) -> Comparison:
    """A run whose tuned losses are so much lower; `uneven`: by turns more and less."""
    comparison = report(conversations=conversations, looped=looped).comparison
    scores = [
        score.model_copy(
            update={"tuned_loss": score.tuned_loss - lower * (1 + uneven * (-1) ** int(score.conversation_id[1:]))}
        )
        for score in comparison.scores
    ]
    tokens = sum(score.trained_tokens for score in scores)
    loss = sum(score.tuned_loss * score.trained_tokens for score in scores) / tokens
    overall = comparison.overall.model_copy(update={"tuned_loss": loss})
    return comparison.model_copy(update={"scores": scores, "overall": overall})


def test_the_run_that_beats_all_others_on_the_same_answers_is_best() -> None:
    assert best_run([_run(), _run(0.2), _run(0.1)]) == 1


def test_chance_makes_no_best_run() -> None:
    assert best_run([_run(), _run(0.02, uneven=5.0)]) is None
    assert best_run([_run(), _run()]) is None


@pytest.mark.parametrize("others", [[], [None]])
def test_one_run_alone_is_not_the_best(others: list[Comparison | None]) -> None:
    assert best_run([_run(0.2), *others]) is None


def test_runs_on_other_answers_or_tokens_are_not_compared() -> None:
    assert best_run([_run(), _run(0.2, conversations=7)]) is None
    better = _run(0.2)
    other = [better.scores[0].model_copy(update={"trained_tokens": 201}), *better.scores[1:]]
    assert best_run([_run(), better.model_copy(update={"scores": other})]) is None


def test_a_run_that_needs_a_look_is_not_the_best() -> None:
    assert best_run([_run(), _run(0.2, looped=True)]) is None


def test_a_run_without_a_comparison_does_not_hide_the_best_of_the_others() -> None:
    assert best_run([_run(), None, _run(0.2)]) == 2


def test_prompts_that_all_answered_stand_side_by_side() -> None:
    first, second = _run(), _run(looped=True)
    shared = same_prompts([first, second])
    assert [(one.sample.conversation_id, len(one.tuned)) for one in shared] == [("Elena", 2)]
    assert shared[0].tuned == (first.samples[0].tuned, second.samples[0].tuned)
    assert same_prompts([first, None]) == []
    assert same_prompts([]) == []
