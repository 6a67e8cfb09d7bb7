"""Every knob of a training run, documented field by field; form help, CLI help and recipes come from this model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

LLAMA_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
NAMED_TWICE = "named_twice"
"""Type of the validation error of a list that names something more than once."""

NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""Bytes per weight in NF4 with double quantization (QLoRA, arXiv 2305.14314, section 3): 4.127 bits."""

DeviceKind = Literal["cpu", "cuda"]
ComputeType = Literal["fp32", "bf16"]


def compute_type(kind: DeviceKind) -> ComputeType:
    """What a device computes in: bf16 on a GPU; fp32 on a CPU, where bf16 products are about 60 times slower
    (measured)."""
    return "bf16" if kind == "cuda" else "fp32"


def bytes_per_number(kind: DeviceKind) -> int:
    """Of a number in products, and of a weight that is not quantized."""
    return {"fp32": 4, "bf16": 2}[compute_type(kind)]


@dataclass(frozen=True, slots=True)
class Precision:
    """How a kind of device holds and computes a model.

    Attributes:
        kind: The device.
        gradient_checkpointing: Activations are computed again in the backward pass.
        quantized: The base's projections are in 4 bits (NF4, double quantization).
    """

    kind: DeviceKind
    gradient_checkpointing: bool
    quantized: bool

    @property
    def compute(self) -> ComputeType:
        return compute_type(self.kind)

    @property
    def width(self) -> int:
        """Bytes of a number in products: fp32 on a CPU, bf16 on a GPU."""
        return bytes_per_number(self.kind)

    @property
    def weights(self) -> Literal["nf4", "fp32", "bf16"]:
        """What the base's projections are held in; embeddings, output head and norms are in `compute`."""
        return "nf4" if self.quantized else self.compute

    @property
    def weight_bytes(self) -> float:
        """Bytes of a weight of the base's projections."""
        return NF4_BYTES if self.quantized else self.width

    @property
    def quantization(self) -> Literal["nf4", "none"]:
        """What the setting of that name came to."""
        return "nf4" if self.quantized else "none"


ExampleUnit = Literal["conversation", "answer"]


class Hyperparameters(BaseModel):
    """The resolved settings of a run, under the names of the specification's configuration.

    `batch_size` and `gradient_accumulation_steps` are counted in answers: one optimizer step sees about
    `batch_size × gradient_accumulation_steps` answers, in rows of at most `batch_size` answers each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    r: int = Field(16, ge=1, le=512, description="Rank of the adapter: how much it can store.")
    lora_alpha: int = Field(32, ge=1, le=2048, description="Scale of the adapter; it acts as alpha / r.")
    lora_dropout: float = Field(0.05, ge=0.0, lt=1.0, description="Share of adapter inputs dropped while training.")
    target_modules: tuple[str, ...] = Field(
        LLAMA_PROJECTIONS, min_length=1, description="The linear layers that receive an adapter."
    )
    num_epochs: float = Field(3.0, gt=0, le=100, description="How often every conversation is seen.")
    max_steps: int | None = Field(
        None, ge=1, description="Stop after this many steps, even if num_epochs would take more."
    )
    learning_rate: float = Field(2e-4, gt=0, le=1.0, description="Peak step size of the optimizer.")
    lr_scheduler_type: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        "cosine", description="How the learning rate changes after the warm-up."
    )
    warmup_ratio: float = Field(0.03, ge=0.0, lt=1.0, description="Share of the steps spent raising the learning rate.")
    batch_size: int = Field(4, ge=1, le=1024, description="Answers per row that the machine holds at once.")
    gradient_accumulation_steps: int = Field(4, ge=1, le=1024, description="Rows summed into one optimizer step.")
    max_seq_length: int | None = Field(
        None,
        ge=16,
        description="Longest example in tokens. Not set: as long as the data needs. Nothing is ever cut off silently.",
    )
    overlength_policy: Literal["refuse", "drop"] = Field(
        "refuse",
        description="What to do with a conversation over max_seq_length: refuse the run, or leave it out and log it.",
    )
    example_unit: ExampleUnit = Field(
        "conversation",
        description="One sequence per conversation with loss on every answer, or one per answer.",
    )
    packing: bool = Field(True, description="Join the sequences of a row without padding; they never see each other.")
    optim: Literal["adamw_torch_fused", "adamw_torch", "paged_adamw_32bit", "paged_adamw_8bit", "adamw_8bit"] = Field(
        "adamw_torch_fused", description="The optimizer."
    )
    weight_decay: float = Field(0.0, ge=0.0, le=1.0, description="Decay of the adapter's weights per step.")
    max_grad_norm: float = Field(
        0.3, gt=0, description="Gradients longer than this are scaled down (QLoRA paper, 2305.14314)."
    )
    quantization: Literal["auto", "nf4", "none"] = Field(
        "auto",
        description="How the base is held: 4-bit NF4, doubly quantized, or as it is. auto: nf4 on CUDA, none on a CPU.",
    )
    gradient_checkpointing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Recompute activations in the backward pass to save memory. auto: on for CUDA, off on a CPU.",
    )
    adapter_choice: Literal["last", "best"] = Field(
        "last", description="Deliver the last adapter, or the one with the lowest validation loss."
    )
    seed: int = Field(
        42,
        ge=0,
        lt=2**32,
        description="Decides the adapter's first weights, the order of the data and dropout.",
    )
    validation_fraction: float = Field(
        0.1, gt=0.0, le=0.5, description="Share of the conversations kept aside for validation."
    )
    evaluations: int = Field(10, ge=1, le=100, description="How often validation loss is measured during the run.")
    checkpoints: int = Field(10, ge=1, le=1000, description="How often a checkpoint is written during the run.")
    sample_answers: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Validation prompts answered before and after training. Not set: as many as take about a fifth of "
        "the training's time.",
    )
    sample_tokens: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="Longest answer to a validation prompt, in tokens. Not set: 1.25 times the longest in the data.",
    )
    prompted_tokens: int = Field(
        2048,
        ge=0,
        le=32768,
        description="Real conversations that the base is shown before each prompt, in tokens, to see what prompting "
        "alone does. 0: it is not asked so.",
    )
    general_questions: int = Field(
        128, ge=0, le=128, description="General questions asked before and after training, to see what is lost."
    )
    memorization_answers: int = Field(
        16,
        ge=0,
        le=256,
        description="Training answers asked for after training, to see what it repeats word for word.",
    )

    @field_validator("target_modules")
    @classmethod
    def _each_once(cls, modules: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for name, count in Counter(modules).items() if count > 1]
        if twice:
            raise PydanticCustomError(
                NAMED_TWICE, "it names {names} more than once; name every layer once", {"names": ", ".join(twice)}
            )
        return modules

    def resolve(self, kind: DeviceKind) -> Precision:
        """What `auto` means on a device. The one place that says so, for plans and for the worker alike."""
        cuda = kind == "cuda"
        return Precision(
            kind=kind,
            gradient_checkpointing={"auto": cuda, "on": True, "off": False}[self.gradient_checkpointing],
            quantized={"auto": cuda, "nf4": True, "none": False}[self.quantization],
        )

    @property
    def answers_per_step(self) -> int:
        """The effective batch in answers."""
        return self.batch_size * self.gradient_accumulation_steps
