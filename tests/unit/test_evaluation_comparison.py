"""Figures, intervals and verdicts of a comparison, against cases computed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from brightrun.contract.verdicts import ChangeVerdict as Verdict
from brightrun.errors import ContractError, LossNotFinite
from brightrun.evaluation.comparison import (
    AdapterCheck,
    AnswerScore,
    Comparison,
    Generated,
    SampleAnswer,
    compare,
    loss_change,
)
from brightrun.evaluation.measurements import LossChange
from brightrun.evaluation.sentences import change_sentence, owner_sentence

ADAPTER_CHECK = AdapterCheck(
    adapter_off_equals_base=True,
    adapter_off_max_difference=0.0,
    adapter_on_differs=True,
    adapter_on_max_difference=3.5,
    fingerprint_tokens=64,
)


def score(
    conversation: int,
    base: float,
    tuned: float,
    *,
    answer: int = 1,
    tokens: int = 100,
    persona: str | None = "planner",
    arc: str | None = None,
) -> AnswerScore:
    return AnswerScore(
        conversation_id=f"c{conversation:03}",
        answer_number=answer,
        persona=persona,
        arc=arc,
        trained_tokens=tokens,
        base_loss=base,
        tuned_loss=tuned,
    )


def spread(effect: float, *, conversations: int = 12, noise: float = 0.05, seed: int = 3) -> list[AnswerScore]:
    """Three answers a conversation; answers of one conversation share most of their noise."""
    generator = np.random.default_rng(seed)
    scores = []
    for number in range(conversations):
        shared = generator.normal(scale=noise)
        for answer in (1, 2, 3):
            difference = effect + shared + generator.normal(scale=noise / 5)
            scores.append(score(number, 2.0, 2.0 + difference, answer=answer))
    return scores


def test_means_are_weighted_by_tokens_and_differences_by_answers() -> None:
    change = loss_change([score(1, 3.0, 2.0, tokens=300), score(2, 1.0, 1.5, tokens=100)], seed=0)
    assert change.base_loss == pytest.approx((3.0 * 300 + 1.0 * 100) / 400)
    assert change.tuned_loss == pytest.approx((2.0 * 300 + 1.5 * 100) / 400)
    assert change.base_perplexity == pytest.approx(math.exp(2.5))
    assert change.tuned_perplexity == pytest.approx(math.exp(1.875))
    assert change.relative_change == pytest.approx(1.875 / 2.5 - 1)
    assert change.mean_difference == pytest.approx((-1.0 + 0.5) / 2)
    assert (change.conversations, change.answers, change.trained_tokens) == (2, 2, 400)


def test_ties_count_half_in_the_win_rate() -> None:
    change = loss_change([score(1, 2.0, 1.0), score(2, 2.0, 2.0), score(3, 2.0, 2.5), score(4, 2.0, 1.9)], seed=0)
    assert change.win_rate == pytest.approx(2.5 / 4)
    assert (change.improved, change.unchanged) == (2, 1)


def test_five_conversations_are_too_few_however_many_answers() -> None:
    scores = [score(c, 2.0, 1.0, answer=a) for c in range(5) for a in range(1, 20)]
    change = loss_change(scores, seed=0)
    assert change.verdict == "too_few"
    assert change.interval_low is change.interval_high is change.relative_low is change.relative_high is None
    assert "95 validation answers from 5 conversations" in change.sentence
    assert "with fewer than 6 conversations" in change.sentence
    assert "too few to claim" in change.sentence


def test_six_conversations_get_an_interval() -> None:
    change = loss_change([score(c, 2.0, 1.5 + c / 100) for c in range(6)], seed=0)
    assert change.verdict == "better"
    assert change.interval_low is not None
    assert change.interval_low < change.mean_difference < 0


@pytest.mark.parametrize(("effect", "verdict"), [(-0.3, "better"), (0.3, "worse"), (0.0, "unclear")])
def test_verdict_follows_the_interval(effect: float, verdict: str) -> None:
    change = loss_change(spread(effect), seed=0)
    assert change.verdict == verdict
    words = {"better": "fell from", "worse": "rose from", "unclear": "no clear change"}
    assert words[verdict] in change.sentence
    assert "36 validation answers from 12 conversations" in change.sentence


def test_no_claim_where_the_two_intervals_disagree() -> None:
    """Long answers got much better, short ones as much worse: per token a gain, per answer none."""
    scores = [
        score(c, 2.0, 1.0 + c / 50 if a == 1 else 2.95 + c / 50, answer=a, tokens=900 if a == 1 else 10)
        for c in range(8)
        for a in (1, 2)
    ]
    change = loss_change(scores, seed=0)
    assert change.relative_high is not None
    assert change.relative_high < 0
    assert change.interval_high is not None
    assert change.interval_high > 0
    assert change.verdict == "unclear"
    assert "counted per answer" in change.sentence


@pytest.mark.parametrize("direction", [-1, 1])
def test_a_change_too_small_to_act_on_is_no_claim_however_sure(direction: int) -> None:
    """Every answer changes by 0.03 %."""
    change = loss_change([score(c, 2.0, 2.0 + direction * (0.0006 + c / 1e6)) for c in range(12)], seed=0)
    assert change.relative_low is not None
    assert change.relative_high is not None
    assert change.relative_low * change.relative_high > 0
    assert change.verdict == "unclear"
    assert "the 95 % interval comes within 0.1 % of no change: no clear change is shown." in change.sentence


@pytest.mark.parametrize("ends", [(0.0, 0.1, 0.0005, 0.1), (-0.1, 0.0, -0.1, -0.0005)])
def test_an_interval_per_answer_that_touches_zero_is_told_as_including_it(ends: tuple[float, ...]) -> None:
    names = ("interval_low", "interval_high", "relative_low", "relative_high")
    change = loss_change(spread(0.0), seed=0).model_copy(update=dict(zip(names, ends, strict=True)))
    assert "counted per answer the 95 % interval of the difference includes zero" in change_sentence(change)


def test_nothing_changed_is_said_plainly() -> None:
    change = loss_change([score(c, 2.0, 2.0) for c in range(6)], seed=0)
    assert change.verdict == "unclear"
    assert change.win_rate == 0.5
    assert "stayed exactly as it was" in change.sentence


def test_the_interval_is_of_conversations_not_of_answers() -> None:
    """Repeating every answer ten times within its conversation adds no evidence."""
    once = [score(c, 2.0, 1.9 + c / 40) for c in range(10)]
    tenfold = [s.model_copy(update={"answer_number": a}) for s in once for a in range(1, 11)]
    single, many = loss_change(once, seed=5), loss_change(tenfold, seed=5)
    assert many.interval_low == pytest.approx(single.interval_low)
    assert many.interval_high == pytest.approx(single.interval_high)


def test_seed_decides_and_order_does_not() -> None:
    scores = spread(-0.1)
    first = compare(scores, [], ADAPTER_CHECK, seed=7)
    assert compare(list(reversed(scores)), [], ADAPTER_CHECK, seed=7).overall == first.overall
    assert compare(scores, [], ADAPTER_CHECK, seed=8).overall.interval_low != first.overall.interval_low


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """95 % intervals over 200 draws of 8 conversations: more often for a symmetric spread, as the widening is for a
    skewed one."""
    hits = 0
    for seed in range(200):
        change = loss_change(spread(-0.1, conversations=8, seed=seed), seed=seed)
        assert change.interval_low is not None
        assert change.interval_high is not None
        hits += change.interval_low <= -0.1 <= change.interval_high
    assert hits / 200 >= 0.95


def test_groups_carry_their_own_numbers_and_the_unlabelled_come_last() -> None:
    scores = [
        score(1, 2.0, 1.0, persona="zealous", arc="a"),
        score(2, 2.0, 1.5, persona=None, arc="a"),
        score(3, 2.0, 1.8, persona="anxious", arc=None),
        score(3, 2.0, 1.6, persona="anxious", arc=None, answer=2),
    ]
    comparison = compare(scores, [], ADAPTER_CHECK, seed=0)
    assert list(comparison.by_persona) == ["anxious", "zealous", "unlabelled"]
    assert (comparison.by_persona["anxious"].answers, comparison.by_persona["anxious"].conversations) == (
        2,
        1,
    )
    assert comparison.by_persona["anxious"].tuned_loss == pytest.approx(1.7)
    assert {name: change.answers for name, change in comparison.by_arc.items()} == {"a": 2, "unlabelled": 2}


def test_answers_that_ended_by_themselves_are_counted() -> None:
    def sample(number: int, base: bool, tuned: bool) -> SampleAnswer:
        return SampleAnswer(
            conversation_id="c",
            answer_number=number,
            prompt=[{"role": "user", "content": "Hello"}],
            reference="Hello.",
            base=Generated(text="x", tokens=4, stopped=base),
            tuned=Generated(text="y", tokens=4, stopped=tuned),
        )

    samples = [sample(1, False, True), sample(2, True, True), sample(3, False, False)]
    comparison = compare([score(1, 2.0, 1.0)], samples, ADAPTER_CHECK, seed=0)
    assert (comparison.base_stopped, comparison.tuned_stopped) == (1, 2)
    assert comparison.samples == samples


def test_an_unverified_comparison_claims_nothing() -> None:
    broken = ADAPTER_CHECK.model_copy(update={"adapter_off_equals_base": False})
    comparison = compare(spread(-0.3), [], broken, seed=0)
    assert comparison.overall.verdict == "unclear"
    assert comparison.by_persona["planner"].verdict == "unclear"
    assert "does not count" in comparison.overall.sentence


def test_a_comparison_survives_json() -> None:
    comparison = compare(spread(-0.3, conversations=6), [], ADAPTER_CHECK, seed=0)
    assert comparison.interval_method == "bootstrap_t"
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison


def test_a_comparison_of_an_earlier_version_keeps_its_figures_and_names_its_method() -> None:
    """It had intervals from five conversations on, and did not say how they were made."""
    document = compare(spread(-0.3, conversations=6), [], ADAPTER_CHECK, seed=0).model_dump(mode="json")
    del document["interval_method"]
    document["overall"] |= {"conversations": 5, "relative_low": -0.2, "verdict": "better"}
    earlier = Comparison.model_validate(document)
    assert earlier.interval_method == "expanded_percentile"
    assert (earlier.overall.relative_low, earlier.overall.verdict) == (-0.2, "better")


@pytest.mark.parametrize("loss", [math.nan, math.inf, 701.0])
def test_a_loss_that_is_no_number_is_refused_with_its_place(loss: float) -> None:
    with pytest.raises(LossNotFinite, match="Answer 2 of validation conversation c004: the tuned model's loss"):
        compare([score(1, 2.0, 1.0), score(4, 2.0, loss, answer=2)], [], ADAPTER_CHECK, seed=0)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([], "no validation answers"),
        ([score(1, 2.0, 1.0), score(1, 2.0, 1.5)], "scored twice"),
        ([score(1, 2.0, -0.5)], "below zero"),
        ([score(1, 0.0, 0.0)], "exactly zero"),
    ],
)
def test_scores_that_cannot_be_right_are_refused(scores: Sequence[AnswerScore], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        compare(scores, [], ADAPTER_CHECK, seed=0)


def closer_on(improved: int, unchanged: int, worsened: int, verdict: Verdict) -> LossChange:
    differences = [-0.5] * improved + [0.0] * unchanged + [0.5] * worsened
    scores = [score(number, 2.0, 2.0 + difference) for number, difference in enumerate(differences)]
    return loss_change(scores, seed=0).model_copy(update={"verdict": verdict})


def test_the_owner_reads_the_verdict_in_a_sentence_without_losses() -> None:
    said = {
        verdict: owner_sentence(closer_on(31, 1, 4, verdict)) for verdict in ("better", "worse", "unclear", "too_few")
    }
    assert said == {
        "better": "Closer to the consultant's own words on 31 of 36 answers it had never seen.",
        "worse": "Further from the consultant's own words on 4 of 36 answers it had never seen.",
        "unclear": "It came closer to the consultant's own words on 31 of 36 answers it had never seen, which chance "
        "could do as well.",
        "too_few": "36 conversations kept aside for the comparison; 6 are needed to tell a change from chance.",
    }
    assert "does not count" in owner_sentence(closer_on(31, 1, 4, "better"), passed=False)
