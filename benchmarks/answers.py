"""What one more token of every answer of a batch takes beside a trained token, by how many are written at once.

    python benchmarks/answers.py --model FOLDER
    python benchmarks/answers.py --model FOLDER --json

The folder is that of a pulled base model. Both sides are timed in turn, so that the ratio holds on a busy machine, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import GenerationConfig

from brightrun.contract.hyperparameters import LLAMA_PROJECTIONS, Hyperparameters
from brightrun.worker.device import device_kind
from brightrun.worker.load_model import LoadedBase, load_base

ROW, PROMPT, WRITTEN = 512, 300, 24
BATCHES = (4, 8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder of a pulled base model")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is timed")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    base = load_base(options.model, Hyperparameters().resolve(device_kind()))
    base.model = get_peft_model(base.model, LoraConfig(r=16, target_modules=list(LLAMA_PROJECTIONS)))
    rounds = [measure(base) for _ in range(options.rounds + 1)][1:]  # the first warms up
    result = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    print(json.dumps(result, indent=2) if options.json else as_text(result))


def measure(base: LoadedBase) -> dict[str, float]:
    """Milliseconds for a trained token, and how many of those one more token of a batch takes, by its answers."""
    trained = seconds(lambda: train(base)) / ROW
    found = {"trained token, ms": 1000 * trained}
    for batch in BATCHES:
        ids = torch.randint(10, min(1000, base.model.config.vocab_size), (batch, PROMPT), device=base.device)
        read = seconds(lambda ids=ids: write(base, ids, 1))  # type: ignore[misc]
        whole = seconds(lambda ids=ids: write(base, ids, 1 + WRITTEN))  # type: ignore[misc]
        found[f"{batch} at once"] = (whole - read) / WRITTEN / trained
    return found


def train(base: LoadedBase) -> None:
    ids = torch.randint(10, min(1000, base.model.config.vocab_size), (1, ROW), device=base.device)
    base.model.train()
    with torch.autocast("cuda", torch.bfloat16, enabled=base.precision.compute == "bf16"):
        base.model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    base.model.zero_grad(set_to_none=True)


def write(base: LoadedBase, ids: Any, tokens: int) -> None:
    settings = GenerationConfig(max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0)
    base.model.eval()
    with base.inference():
        base.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)


def seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def as_text(result: dict[str, float]) -> str:
    first, *others = result.items()
    lines = [f"{first[0]:<20} {first[1]:.1f}"]
    lines += [f"{name:<20} {ratio:.0f} trained tokens for one more token of each" for name, ratio in others]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
