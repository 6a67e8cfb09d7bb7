"""What the untouched base says and scores, measured before step 1 and kept for the comparison and the proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file

from brightrun.chat.chat_model import ChatModel
from brightrun.chat.messages import Message
from brightrun.evaluation.comparison import AdapterProof, Generated
from brightrun.files import whole_folder, write_model
from brightrun.worker.answer import Prompt, answer_prompts
from brightrun.worker.held_out import AnswerLoss, measure_losses
from brightrun.worker.journal import Journal
from brightrun.worker.limits import Limits
from brightrun.worker.load_model import LoadedBase
from brightrun.worker.sequences import Sequence

_PROBE_TOKENS = 64


class Measured(BaseModel):
    """Held-out losses and answers of one state of the model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    losses: tuple[AnswerLoss, ...]
    answers: tuple[Generated, ...]


class Baseline(BaseModel):
    """`baseline.json`; the probe's logits lie beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    measured: Measured


def measure(  # noqa: PLR0913 whom to ask, what, and who hears of it
    base: LoadedBase,
    model: Any,
    chat: ChatModel,
    held_out: list[Sequence],
    prompts: list[Prompt],
    *,
    journal: Journal,
    limits: Limits,
    max_tokens: int,
    phase: str,
) -> Measured:
    """Losses of every held-out answer and greedy answers to the prompts.

    Raises:
        LimitReached: the run may not go on; nothing of this is kept.
    """
    losses = measure_losses(base, model, held_out, between=limits.check)
    tokens = sum(loss.learnt_tokens for loss in losses)
    mean = sum(loss.loss * loss.learnt_tokens for loss in losses) / tokens
    journal.write("evaluation", data={"loss": mean, "phase": phase, "answers": len(losses), "learnt_tokens": tokens})
    texts: list[tuple[Message, ...]] = [prompt.messages for prompt in prompts]

    def answered(done: int) -> None:
        journal.write("sample", data={"done": done, "total": len(texts), "phase": phase})
        limits.check()

    answers = answer_prompts(
        base,
        model,
        chat,
        texts,
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


def keep_baseline(folder: Path, measured: Measured, *, fingerprint: str, probe: torch.Tensor) -> None:
    with whole_folder(folder) as staging:
        write_model(staging / "baseline.json", Baseline(fingerprint=fingerprint, measured=measured))
        save_file({"logits": probe.contiguous()}, staging / "probe.safetensors")


def probe_logits(base: LoadedBase, model: Any, held_out: list[Sequence]) -> torch.Tensor:
    """fp32 logits of shape (tokens, vocabulary) over the beginning of the first held-out answer's context."""
    ids = held_out[0].encoded.input_ids[: held_out[0].encoded.answer_spans[0][1]][-_PROBE_TOKENS:]
    with base.inference():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids], device=base.device), use_cache=False).logits
    return logits[0].float().cpu()


def prove_adapter(base: LoadedBase, tuned: Any, held_out: list[Sequence], folder: Path) -> AdapterProof:
    """Compare the tuned model, adapter off and on, with the logits the untouched base gave before step 1.

    On a CPU adapter-off must be the base to the last bit; on CUDA kernels may sum in another order, so a hundredth of
    the logits' spread is allowed. Adapter-on must differ by more than that.
    """
    before = load_file(folder / "probe.safetensors")["logits"]
    on = probe_logits(base, tuned, held_out)
    with tuned.disable_adapter():
        off = probe_logits(base, tuned, held_out)
    allowed = 0.0 if base.device.type == "cpu" else 0.01 * float(before.std())
    off_difference = float((off - before).abs().max())
    on_difference = float((on - before).abs().max())
    return AdapterProof(
        adapter_off_equals_base=off_difference <= allowed,
        adapter_off_max_difference=off_difference,
        adapter_on_differs=on_difference > max(allowed, 1e-3),
        adapter_on_max_difference=on_difference,
        probe_tokens=before.shape[0],
    )
