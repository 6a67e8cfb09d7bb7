"""What the worker measures on validation conversations, before and after. Plain records; they judge nothing."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from brightrun.contract.verdicts import ChangeVerdict

__all__ = ["AdapterCheck", "AnswerScore", "Generated", "LossChange", "Measurement", "SampleAnswer"]


class Measurement(BaseModel):
    """Frozen, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Generated(Measurement):
    """A model's own answer to a prompt."""

    text: str
    tokens: int = Field(ge=0)
    stopped: bool = Field(description="It finished with a stop token; otherwise it was cut off.")


class AnswerScore(Measurement):
    """How likely base and tuned model find one validation answer. Losses are mean nats per trained token."""

    conversation_id: str
    answer_number: int = Field(ge=1, description="Which answer of its conversation, from 1.")
    persona: str | None = None
    arc: str | None = None
    trained_tokens: int = Field(ge=1)
    base_loss: float
    tuned_loss: float
    prompted_loss: float | None = Field(
        None, description="Of the base with real examples before the conversation; absent where it was not asked so."
    )


class SampleAnswer(Measurement):
    """A validation prompt answered by the base and by the tuned model, beside the written answer."""

    conversation_id: str
    answer_number: int = Field(ge=1)
    persona: str | None = None
    arc: str | None = None
    prompt: list[dict[str, str]] = Field(min_length=1, description="Messages with role and content.")
    reference: str = Field(description="The answer that stands in the dataset.")
    base: Generated
    tuned: Generated
    prompted: Generated | None = Field(
        None, description="The base with real examples before the prompt; absent where it was not asked so."
    )


class AdapterCheck(Measurement):
    """Adapter off leaves the base as it was, adapter on changes it. Differences are of logits."""

    adapter_off_equals_base: bool
    adapter_off_max_difference: float
    adapter_on_differs: bool
    adapter_on_max_difference: float
    fingerprint_tokens: int = Field(ge=1, description="Positions at which the logits were compared.")

    @property
    def passed(self) -> bool:
        return self.adapter_off_equals_base and self.adapter_on_differs


class LossChange(Measurement):
    """How validation loss changed over a group of answers. Losses in nats per trained token; lower is better."""

    conversations: int
    answers: int
    trained_tokens: int
    base_loss: float = Field(description="Mean weighted by trained tokens.")
    tuned_loss: float = Field(description="Mean weighted by trained tokens.")
    base_perplexity: float
    tuned_perplexity: float
    relative_change: float = Field(description="tuned_loss / base_loss - 1; negative is better.")
    relative_low: float | None = Field(
        description="95 % interval of relative_change; absent with too few conversations."
    )
    relative_high: float | None
    mean_difference: float = Field(description="Mean over answers of tuned minus base loss.")
    interval_low: float | None = Field(
        description="95 % interval of mean_difference; absent with too few conversations."
    )
    interval_high: float | None
    win_rate: float = Field(description="Share of answers whose loss fell; ties count half.")
    improved: int = Field(description="Answers whose loss fell.")
    unchanged: int = Field(description="Answers whose loss stayed exactly the same.")
    verdict: ChangeVerdict
    sentence: str
