"""What a verdict will rest on is said before a run, in one place for every surface."""

from __future__ import annotations

import numpy as np
import pytest

from brightrun.datasets.split import SplitCandidate, split_conversations
from brightrun.evaluation.outlook import USUAL_SPREAD, verdict_outlook
from brightrun.evaluation.verdicts import MINIMUM_CONVERSATIONS, judge


@pytest.mark.parametrize("conversations", [0, 1, MINIMUM_CONVERSATIONS - 1])
def test_too_few_is_said_before_the_run(conversations: int) -> None:
    outlook = verdict_outlook(conversations)
    assert not outlook.possible
    assert outlook.smallest_change is None
    assert "\u201cToo few to say\u201d whatever the run does" in outlook.sentence


def test_the_sentences() -> None:
    assert verdict_outlook(1).sentence == (
        "The verdict will rest on 1 conversation; 6 are needed, so it will be \u201cToo few to say\u201d whatever the "
        "run does."
    )
    assert verdict_outlook(8).sentence == (
        "The verdict will rest on 8 conversations; it could tell a change of about 4 % from chance."
    )
    assert verdict_outlook(200).sentence.endswith("a change of less than 1 % from chance.")


@pytest.mark.parametrize("conversations", [6, 8, 12, 36])
def test_the_smallest_change_is_where_the_verdict_turns(conversations: int) -> None:
    """Normal data of the usual spread: at the stated change about half of the runs would be called better."""
    smallest = verdict_outlook(conversations).smallest_change
    assert smallest is not None

    def share_of_claims(change: float) -> float:
        generator = np.random.default_rng(5)
        tables = np.ones((400, conversations, 5))
        spread = generator.normal(size=(400, conversations)) * USUAL_SPREAD
        tables[..., 2] = tables[..., 3] = 100.0
        tables[..., 4] = 100.0 * (1 - change + spread)
        tables[..., 0] = tables[..., 4] / 100.0 - 1.0
        return sum(each.verdict == "better" for each in judge(tables, seed=1, resamples=500)) / 400

    assert share_of_claims(smallest / 3) < 0.2
    assert 0.3 < share_of_claims(smallest) < 0.75
    assert share_of_claims(smallest * 2) > 0.9


@pytest.mark.parametrize("there", range(12, 24))
def test_the_share_that_is_proposed_is_enough(there: int) -> None:
    outlook = verdict_outlook(2, out_of=there)
    if outlook.validation_fraction is None:
        assert there < 16
        return
    items = [SplitCandidate(f"c{number}", None, None) for number in range(there)]
    for seed in range(30):
        split = split_conversations(items, validation_fraction=outlook.validation_fraction, seed=seed)
        assert len(split.validation) >= MINIMUM_CONVERSATIONS


def test_nothing_is_proposed_where_more_conversations_are_needed() -> None:
    assert verdict_outlook(1, out_of=11).validation_fraction is None
    assert verdict_outlook(8, out_of=27).validation_fraction is None
    assert verdict_outlook(2).validation_fraction is None
