"""Peak memory of the worker's training step, measured in processes of their own, beside what the plan says.

    python benchmarks/memory.py                 all cases, about eight minutes
    python benchmarks/memory.py --case short    those whose name holds the word
    python benchmarks/memory.py --json

Measured is what a run reports (`worker/memory.py`): the largest resident size of the process until the end of two
optimizer steps of four rows each, without the libraries' mapped files: Python, the training stack, the model,
everything. The rows are of four lengths, as a dataset's are: a heap that has served one length alone wastes less.
Models have random weights in the shapes named.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.runs.flops import make_micro_batch
from brightrun.runs.memory import estimate_memory
from brightrun.templating.batches import ExampleSize, Step

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.tiny_model import pull_shape

TOLERANCE = 0.15
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 400, "tie_word_embeddings": False,
    },
    "smollm2-135m": {
        "num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9,
        "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True,
    },
    "wide": {
        "num_hidden_layers": 8, "hidden_size": 1024, "intermediate_size": 2816, "num_attention_heads": 16,
        "num_key_value_heads": 4, "vocab_size": 32000, "tie_word_embeddings": False,
    },
}  # fmt: skip


LENGTHS = (0.7, 0.5, 1.0, 0.85)
"""Of the rows of a step, as shares of the case's tokens; the second step takes them backwards."""
STEADY = {"initializer_range": 0.02}
"""Random weights so small that thirty layers of them give finite gradients."""


@dataclass(frozen=True)
class Case:
    """Rows of `sequences` sequences, in the longest row of `tokens` tokens each, two thirds of them learned."""

    name: str
    shape: str
    tokens: int
    examples: int = 1
    settings: dict[str, Any] = field(default_factory=dict)

    def hyperparameters(self) -> Hyperparameters:
        return Hyperparameters.model_validate({"lora_dropout": 0.0, **self.settings})

    def sizes(self) -> list[ExampleSize]:
        """Of the sequences of each row."""
        tokens = [int(self.tokens * share) for share in LENGTHS]
        return [ExampleSize(count, count - count // 3, 1) for count in tokens]


CASES = (
    Case("tiny, short", "tiny", 200),
    Case("tiny, long", "tiny", 3000),
    Case("tiny, long, dropout", "tiny", 3000, settings={"lora_dropout": 0.05}),
    Case("short", "smollm2-135m", 150),
    Case("usual", "smollm2-135m", 500),
    Case("usual, dropout", "smollm2-135m", 500, settings={"lora_dropout": 0.1}),
    Case("usual, rank 64", "smollm2-135m", 500, settings={"r": 64}),
    Case("usual, two modules", "smollm2-135m", 500, settings={"target_modules": ("q_proj", "v_proj")}),
    Case("usual, recomputed", "smollm2-135m", 500, settings={"gradient_checkpointing": "on"}),
    Case("three joined", "smollm2-135m", 200, examples=3),
    Case("three padded", "smollm2-135m", 200, examples=3, settings={"packing": False}),
    Case("long", "smollm2-135m", 1100),
    Case("long, recomputed", "smollm2-135m", 1100, settings={"gradient_checkpointing": "on", "lora_dropout": 0.05}),
    Case("in 4 bits", "smollm2-135m", 300, settings={"quantization": "nf4"}),
    Case("in 4 bits, long", "smollm2-135m", 900, settings={"quantization": "nf4"}),
    Case("wide, usual", "wide", 400),
    Case("wide, recomputed", "wide", 400, settings={"gradient_checkpointing": "on"}),
    Case("wide, in 4 bits", "wide", 400, settings={"quantization": "nf4"}),
)


@dataclass(frozen=True)
class Found:
    """Bytes expected, with the band, and measured."""

    case: str
    predicted: int
    low: int
    high: int
    measured: int

    @property
    def off(self) -> float:
        return self.predicted / self.measured - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--case", default="", help="only cases whose name holds this")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        measure_here(**json.loads(arguments.child))
        return
    found = compare([case for case in CASES if arguments.case in case.name])
    print(
        json.dumps([{**asdict(one), "off": one.off} for one in found], indent=2) if arguments.json else as_table(found)
    )


def compare(cases: list[Case]) -> list[Found]:
    with tempfile.TemporaryDirectory() as scratch:
        folders = {
            shape: pull_shape(Path(scratch), shape, {**SHAPES[shape], **STEADY})
            for shape in {case.shape for case in cases}
        }
        found = []
        for case in cases:
            found.append(compare_one(case, folders[case.shape]))
            sys.stderr.write(f"{case.name}: {found[-1].off:+.1%}\n")
        return found


def compare_one(case: Case, folder: Path) -> Found:
    """The plan's figure, and the peak of a process that trains two such steps."""
    entry, chosen = entry_of_folder(folder), case.hyperparameters()
    memory = estimate_memory(
        entry,
        chosen,
        adapter_parameters=entry.adapter_parameters(chosen.r, chosen.target_modules),
        micro_batches=[make_micro_batch([size] * case.examples, packing=chosen.packing) for size in case.sizes()],
        kind="cpu",
    )
    request = {"case": asdict(case), "folder": str(folder)}
    child = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(request)], capture_output=True, text=True, check=False
    )
    if child.returncode:
        sys.exit(f"error: {case.name}: {child.stderr.strip().splitlines()[-1]}")
    measured = int(child.stdout.strip().splitlines()[-1])
    return Found(case.name, memory.total_bytes, memory.low_bytes, memory.high_bytes, measured)


def measure_here(case: dict[str, Any], folder: str) -> None:
    """Two optimizer steps in this process, then its peak on standard output."""
    from brightrun.worker.quiet import hush_libraries, prepare_environment

    prepare_environment()
    from brightrun.contract.run_folder import RunFolder
    from brightrun.runs.examples import TokenizedExample
    from brightrun.templating.chat_model import EncodedConversation
    from brightrun.worker.device import device_kind
    from brightrun.worker.event_log import EventLog
    from brightrun.worker.load_model import load_base
    from brightrun.worker.memory import peak_memory_bytes
    from brightrun.worker.train_adapter import Training, train_adapter

    hush_libraries()
    what = Case(**case)
    base = load_base(Path(folder), what.hyperparameters().resolve(device_kind()))
    examples = []
    for size in what.sizes():
        first = size.tokens - size.trained_tokens
        ids = [6 + 7 * position % (base.model.config.vocab_size - 6) for position in range(size.tokens)]  # 5 pads
        trained = [position >= first for position in range(size.tokens)]
        examples.append(TokenizedExample("one", EncodedConversation(ids, trained, [(first, size.tokens)])))
    micro_batches = tuple((number,) * what.examples for number in range(len(examples)))
    with tempfile.TemporaryDirectory() as scratch:
        train_adapter(
            base,
            Training(
                hyperparameters=what.hyperparameters(),
                examples=examples,
                steps=[Step(1.0, micro_batches), Step(1.0, micro_batches[::-1])],
                folder=RunFolder(Path(scratch)),
                fingerprint="benchmark",
                event_log=EventLog(Path(scratch) / "events.jsonl"),
                validation_loss=lambda _: 0.0,
                pad_id=0,
            ),
        )
    print(peak_memory_bytes(base.device))


def as_table(found: list[Found]) -> str:
    lines = [f"{'':24}{'planned MB':>12}{'measured MB':>13}{'off':>8}"]
    lines += [f"{one.case:24}{one.predicted / 1e6:12,.0f}{one.measured / 1e6:13,.0f}{one.off:+8.1%}" for one in found]
    within = sum(abs(one.off) <= TOLERANCE for one in found)
    inside = sum(one.low <= one.measured <= one.high for one in found)
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    lines.append(f"{within} of {len(found)} within {TOLERANCE:.0%}, {inside} inside the plan's band; {threads} threads")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
