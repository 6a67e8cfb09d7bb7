"""What the settings of a run mean on a device, and which ones are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from brightrun.contract.hyperparameters import DeviceKind, Hyperparameters, Precision


@pytest.mark.parametrize(
    ("asked", "on_cuda", "on_cpu"), [("auto", True, False), ("nf4", True, True), ("none", False, False)]
)
def test_when_the_base_is_in_four_bits(asked: str, on_cuda: bool, on_cpu: bool) -> None:
    settings = Hyperparameters.model_validate({"quantization": asked})
    assert (settings.resolve("cuda").quantized, settings.resolve("cpu").quantized) == (on_cuda, on_cpu)


@pytest.mark.parametrize(
    ("asked", "on_cuda", "on_cpu"), [("auto", True, False), ("on", True, True), ("off", False, False)]
)
def test_when_activations_are_computed_again(asked: str, on_cuda: bool, on_cpu: bool) -> None:
    settings = Hyperparameters.model_validate({"gradient_checkpointing": asked})
    found = settings.resolve("cuda").gradient_checkpointing, settings.resolve("cpu").gradient_checkpointing
    assert found == (on_cuda, on_cpu)


@pytest.mark.parametrize(("kind", "width"), [("cpu", 4), ("cuda", 2)])
def test_numbers_are_fp32_on_a_cpu_and_bf16_on_a_gpu(kind: DeviceKind, width: int) -> None:
    assert Precision(kind, gradient_checkpointing=False, quantized=False).width == width


def test_a_layer_named_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="names q_proj more than once"):
        Hyperparameters(target_modules=("q_proj", "v_proj", "q_proj"))
    assert Hyperparameters(target_modules=("q_proj", "v_proj")).target_modules == ("q_proj", "v_proj")
