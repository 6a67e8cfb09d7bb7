"""What the untouched base says and scores, measured before step 1 and kept for the comparison and the proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file

from brightrun.contract.event_data import EvaluationData, Phase, SampleData
from brightrun.evaluation.comparison import AdapterCheck, Generated
from brightrun.files import whole_folder, write_model
from brightrun.runs.examples import TokenizedExample
from brightrun.templating.chat_model import ChatModel
from brightrun.worker.answer import Prompt, answer_prompts
from brightrun.worker.event_log import EventLog
from brightrun.worker.limits import RunLimits
from brightrun.worker.load_model import LoadedBase
from brightrun.worker.validation import AnswerLoss, measure_losses

_FINGERPRINT_TOKENS = 64


class Measured(BaseModel):
    """Validation losses and answers of one state of the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    losses: tuple[AnswerLoss, ...]
    answers: tuple[Generated, ...]


class Baseline(BaseModel):
    """`baseline.json`; the fingerprint's logits lie beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    measured: Measured


def measure(  # noqa: PLR0913 whom to ask, what, and who hears of it
    base: LoadedBase,
    model: Any,
    chat: ChatModel,
    validation: list[TokenizedExample],
    prompts: list[Prompt],
    *,
    event_log: EventLog,
    limits: RunLimits,
    max_tokens: int,
    phase: Phase,
) -> Measured:
    """Losses of every validation answer and greedy answers to the prompts.

    Raises:
        LimitReached: the run may not go on; nothing of this is kept.
    """
    losses = measure_losses(base, model, validation, between=limits.check)
    tokens = sum(loss.trained_tokens for loss in losses)
    mean = sum(loss.loss * loss.trained_tokens for loss in losses) / tokens
    event_log.write(EvaluationData(loss=mean, phase=phase, answers=len(losses), trained_tokens=tokens))
    asked = [prompt.asked for prompt in prompts]

    def answered(done: int) -> None:
        event_log.write(SampleData(done=done, total=len(asked), phase=phase))
        limits.check()

    answers = answer_prompts(
        base,
        model,
        chat,
        asked,
        max_tokens=max_tokens,
        done=answered,
    )
    return Measured(losses=tuple(losses), answers=tuple(answers))


def load_baseline(folder: Path, *, fingerprint: str) -> Measured | None:
    """The baseline an earlier attempt of this very run left, if it did."""
    path = folder / "baseline.json"
    if not path.exists():
        return None
    baseline = Baseline.model_validate_json(path.read_bytes())
    return baseline.measured if baseline.fingerprint == fingerprint else None


def save_baseline(folder: Path, measured: Measured, *, fingerprint: str, logits: torch.Tensor) -> None:
    with whole_folder(folder) as staging:
        write_model(staging / "baseline.json", Baseline(fingerprint=fingerprint, measured=measured))
        save_file({"logits": logits.contiguous()}, staging / "logit_fingerprint.safetensors")


def logit_fingerprint(base: LoadedBase, model: Any, validation: list[TokenizedExample]) -> torch.Tensor:
    """fp32 logits of shape (tokens, vocabulary) over the beginning of the first validation answer's context."""
    ids = validation[0].encoded.input_ids[: validation[0].encoded.answer_spans[0][1]][-_FINGERPRINT_TOKENS:]
    with base.inference():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids], device=base.device), use_cache=False).logits
    return logits[0].float().cpu()


def verify_adapter(base: LoadedBase, tuned: Any, validation: list[TokenizedExample], folder: Path) -> AdapterCheck:
    """Compare the tuned model, adapter off and on, with the logits the untouched base gave before step 1.

    On a CPU adapter-off must be the base to the last bit; on CUDA kernels may sum in another order, so a hundredth of
    the logits' spread is allowed. Adapter-on must differ by more than that.
    """
    before = load_file(folder / "logit_fingerprint.safetensors")["logits"]
    on = logit_fingerprint(base, tuned, validation)
    with tuned.disable_adapter():
        off = logit_fingerprint(base, tuned, validation)
    allowed = 0.0 if base.device.type == "cpu" else 0.01 * float(before.std())
    off_difference = float((off - before).abs().max())
    on_difference = float((on - before).abs().max())
    return AdapterCheck(
        adapter_off_equals_base=off_difference <= allowed,
        adapter_off_max_difference=off_difference,
        adapter_on_differs=on_difference > max(allowed, 1e-3),
        adapter_on_max_difference=on_difference,
        fingerprint_tokens=before.shape[0],
    )
