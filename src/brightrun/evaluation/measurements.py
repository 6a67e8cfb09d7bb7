"""What the worker measures on held-out conversations, before and after. Plain records; they judge nothing."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Measurement(BaseModel):
    """Frozen, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Generated(Measurement):
    """A model's own answer to a prompt."""

    text: str
    tokens: int = Field(ge=0)
    stopped: bool = Field(description="It ended by itself with a stop token; otherwise it was cut at the limit.")


class AnswerScore(Measurement):
    """How likely base and tuned model find one held-out answer. Losses are mean nats per learnt token."""

    conversation_id: str
    answer_number: int = Field(ge=1, description="Which answer of its conversation, from 1.")
    persona: str | None = None
    arc: str | None = None
    trained_tokens: int = Field(ge=1)
    base_loss: float
    tuned_loss: float


class SampleAnswer(Measurement):
    """A held-out prompt answered by the base and by the tuned model, beside the written answer."""

    conversation_id: str
    answer_number: int = Field(ge=1)
    persona: str | None = None
    arc: str | None = None
    prompt: list[dict[str, str]] = Field(min_length=1, description="Messages with role and content.")
    reference: str = Field(description="The answer that stands in the dataset.")
    base: Generated
    tuned: Generated


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
