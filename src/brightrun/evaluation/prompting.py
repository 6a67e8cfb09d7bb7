"""What prompting alone does: the untouched base that is shown real conversations before it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import Field

from brightrun.evaluation.measurements import AnswerScore, LossChange, Measurement
from brightrun.format import counted, loss_text, signed_percent


class Prompting(Measurement):
    """The prompted base beside base and tuned model, on the answers that all three were scored on."""

    shown: int = Field(ge=0, description="Conversations of the training part that stand before every prompt.")
    shown_tokens: int = Field(ge=0, description="Their tokens, the system prompt included.")
    base_loss: float = Field(description="Of the base without them, in nats per trained token.")
    against: LossChange = Field(description="From the prompted base (as `base`) to the tuned model.")

    @property
    def is_as_good(self) -> bool:
        """Training was not shown to do better than prompting."""
        return self.against.verdict != "better"

    @property
    def sentence(self) -> str:
        """What it says about the worth of training."""
        shown = counted(self.shown, "real conversation")
        losses = (
            f"Shown {shown} before each prompt, the base model reaches a loss of {loss_text(self.against.base_loss)} "
            f"({loss_text(self.base_loss)} without); the tuned model reaches {loss_text(self.against.tuned_loss)} "
            f"without being shown any"
        )
        match self.against.verdict:
            case "better":
                return (
                    f"{losses}: training does what prompting does not ({signed_percent(self.against.relative_change)})."
                )
            case "worse":
                return f"{losses}: prompting does better than this training."
            case "unclear":
                return f"{losses}: no clear difference. Prompting may do as well as training here."
            case "too_few":
                return f"{losses}; too few conversations to tell the two apart."


def compare_prompting(
    scores: Sequence[AnswerScore],
    judged: Callable[[Sequence[AnswerScore]], LossChange],
    *,
    shown: int,
    shown_tokens: int,
) -> Prompting | None:
    """The comparison with the prompted base; None where no answer was scored with it. `judged` makes a change."""
    known = [score for score in scores if score.prompted_loss is not None]
    if not known:
        return None
    tokens = sum(score.trained_tokens for score in known)
    return Prompting(
        shown=shown,
        shown_tokens=shown_tokens,
        base_loss=sum(score.base_loss * score.trained_tokens for score in known) / tokens,
        against=judged([score.model_copy(update={"base_loss": score.prompted_loss}) for score in known]),
    )
