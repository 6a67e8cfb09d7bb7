"""The one honest sentence of a comparison. Decides nothing."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from brightrun.evaluation.answer_comparison import AnswerComparison, Habit
from brightrun.evaluation.answer_facts import FLAWS
from brightrun.evaluation.measurements import LossChange
from brightrun.evaluation.verdicts import MINIMUM_CONVERSATIONS, SMALLEST_CHANGE, IntervalMethod
from brightrun.format import counted, direction, loss_text, possessive, span

METHODS: dict[IntervalMethod, str] = {
    "expanded_percentile": "a percentile bootstrap over whole conversations, expanded where they are few",
    "bootstrap_t": "a bootstrap-t over whole conversations, widened where they are few",
}
"""How an interval was made, in an engineer's words."""


class HabitWords(NamedTuple):
    """A habit in the middle of a sentence, and as the heading of a row of figures."""

    spoken: str
    heading: str


HABITS: dict[Habit, HabitWords] = {
    "finishes": HabitWords("coming to an end", "Came to an end"),
    "repetition": HabitWords("repeating words", "Runs of four words said before"),
    "loops": HabitWords("loops", "Answers in a loop"),
    "length": HabitWords("length", "Length"),
    "asks_back": HabitWords("asking back", "Asked something back"),
    "new_names": HabitWords("names that stand nowhere in the dataset", "Named someone or something new"),
    "helpline": HabitWords("naming the helpline", "Named a crisis line"),
    "refuses": HabitWords("stock refusals", "Refused in stock words"),
    "markdown": HabitWords("Markdown", "Headings, lists, bold words"),
}


def change_sentence(change: LossChange) -> str:
    """What was measured, on how many, and what it does or does not show."""
    where, losses, size = _where(change), _losses(change), direction(change.relative_change)
    if change.unchanged == change.answers:
        return f"On {where}, the loss stayed exactly as it was, {loss_text(change.base_loss)}."
    if change.relative_low is None or change.relative_high is None:
        return (
            f"On {where}, the loss went {losses} ({size}); with fewer than {MINIMUM_CONVERSATIONS} conversations "
            "this is what was measured, too few to claim that the model became better or worse."
        )
    reach = span(change.relative_low, change.relative_high)
    if change.verdict == "unclear" and _both_beside_zero(change):
        return (
            f"On {where}, the loss went {losses} ({size}), but the 95 % interval comes within "
            f"{SMALLEST_CHANGE * 100:g} % of no change: no clear change is shown."
        )
    if change.verdict == "unclear" and (change.relative_low > 0 or change.relative_high < 0):
        return (
            f"On {where}, the loss went {losses} ({size}), but counted per answer the 95 % interval of the "
            "difference includes zero: no clear change is shown."
        )
    if change.verdict == "unclear":
        return (
            f"On {where}, the loss went {losses} ({size}), but the 95 % interval reaches {reach}: "
            "no clear change is shown."
        )
    verb = "fell" if change.verdict == "better" else "rose"
    return (
        f"On {where}, the loss {verb} {losses}: {size} (95 % interval {reach}); "
        f"it fell on {change.improved} of the {change.answers} answers."
    )


def owner_sentence(
    change: LossChange,
    answers: AnswerComparison | None = None,
    *,
    passed: bool = True,
    consultant: str | None = None,
) -> str:
    """The verdict's reason for someone who knows no losses.

    Args:
        change: Of all answers together.
        answers: What the sampled ones are like; where some need a look, a sentence says why.
        passed: The adapter check held.
        consultant: Their name, where the dataset has it.
    """
    if not passed:
        return "Base and tuned model were not shown to be two different models, so their comparison does not count."
    said = [_closeness(change, "the consultant's" if consultant is None else possessive(consultant))]
    if answers is not None:
        said += filter(None, [flaws_sentence(answers), habits_sentence(answers)])
    return " ".join(said)


def flaws_sentence(answers: AnswerComparison) -> str | None:
    """How many of the tuned model's answers need a look, and why; None where none does."""
    if not answers.flagged:
        return None
    worst = Counter(flagged.flaws[0] for flagged in answers.flagged)
    reasons = ", ".join(f"{worst[flaw]:,} {words.several}" for flaw, words in FLAWS.items() if flaw in worst)
    verb = "needs" if len(answers.flagged) == 1 else "need"
    return f"{len(answers.flagged):,} of {counted(answers.answers, 'answer')} it wrote {verb} a look: {reasons}."


def habits_sentence(answers: AnswerComparison) -> str | None:
    """In which habits the tuned model's answers went away from the consultant's; None where in none."""
    if not answers.worse:
        return None
    habits = ", ".join(HABITS[row.habit].spoken for row in answers.worse)
    return f"Farther from the consultant's than the base's in {habits}."


def _closeness(change: LossChange, whose: str) -> str:
    if change.verdict == "too_few":
        kept = counted(change.conversations, "conversation")
        return f"{kept} kept aside for the comparison; {MINIMUM_CONVERSATIONS} are needed to tell a change from chance."
    worsened = change.answers - change.improved - change.unchanged
    seen = f"of {counted(change.answers, 'answer')} it had never seen"
    if change.verdict == "worse":
        return f"Further from {whose} own words on {worsened:,} {seen}."
    closer = f"closer to {whose} own words on {change.improved:,} {seen}"
    if change.verdict == "better":
        return f"{closer[0].upper()}{closer[1:]}."
    return f"It came {closer}, which chance could do as well."


def _both_beside_zero(change: LossChange) -> bool:
    """Both intervals lie on the same side of zero."""
    ends = (change.interval_low, change.interval_high, change.relative_low, change.relative_high)
    known = [end for end in ends if end is not None]
    return max(known) < 0 or min(known) > 0


def failed_check_sentence(change: LossChange) -> str:
    """The same figures where base and tuned model were not shown to be two different models."""
    return (
        f"On {_where(change)}, the loss went {_losses(change)}, but the check that base and tuned model "
        "differ by the adapter and by nothing else failed: this comparison does not count."
    )


def _where(change: LossChange) -> str:
    answers = counted(change.answers, "validation answer")
    return f"{answers} from {counted(change.conversations, 'conversation')}"


def _losses(change: LossChange) -> str:
    return f"from {loss_text(change.base_loss)} to {loss_text(change.tuned_loss)}"
