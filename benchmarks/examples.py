"""How many learnt tokens a second our sequences give, against the literal recipe of the product's specification.

    python benchmarks/examples.py                     on the sample dataset, under five minutes on two cores
    python benchmarks/examples.py --pairs 5 --json
    python benchmarks/examples.py --dataset ../shared/data/EQ-12-conversations-demo.json

ours     the worker's own trainer: one sequence per conversation, rows of `batch_size` answers packed without padding,
         loss on the answers.
literal  TRL's trainer with its defaults: one example per answer, the client's message twice (the history already ends
         with it), loss on all tokens, cut at 2,048, padded batches of 4, gradient checkpointing on.

Both take one optimizer step (forward, backward, update) over the same answers in turn, again and again. Only the
answers' tokens that are still there count as learnt, on both sides. Both compute in fp32 with the same optimizer and
adapter: TRL's default of bf16 would be unfair here, as most CPUs are many times slower in it. The ratio is of wall
seconds; that of processor seconds stands beside it, since it shifts less where other programs run meanwhile.
"""

from __future__ import annotations

from brightrun.worker.quiet import hush_libraries, prepare_environment

prepare_environment()  # before anything imports torch
hush_libraries()

import argparse  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import psutil  # noqa: E402
import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import PrinterCallback, TrainerCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

from brightrun.catalogue.recipes import find_recipe  # noqa: E402
from brightrun.contract.hyperparameters import Hyperparameters  # noqa: E402
from brightrun.contract.run_folder import RunFolder  # noqa: E402
from brightrun.datasets.options import ReadOptions  # noqa: E402
from brightrun.datasets.prepare import prepare_dataset  # noqa: E402
from brightrun.datasets.prepared import PreparedConversation, read_prepared  # noqa: E402
from brightrun.runs.examples import TokenizedExample, encode_examples  # noqa: E402
from brightrun.runs.steps import run_steps  # noqa: E402
from brightrun.settings import read_settings  # noqa: E402
from brightrun.templating.batches import Step  # noqa: E402
from brightrun.templating.chat_model import ChatModel, EncodedConversation  # noqa: E402
from brightrun.templating.messages import Message  # noqa: E402
from brightrun.templating.model_folder import load_chat_model  # noqa: E402
from brightrun.templating.separate import separate_examples  # noqa: E402
from brightrun.worker.event_log import EventLog  # noqa: E402
from brightrun.worker.load_model import load_base  # noqa: E402
from brightrun.worker.train_adapter import Training, _AnswerTrainer  # noqa: E402

MODEL = "smollm2-135m-instruct"
SAMPLE = Path(__file__).resolve().parents[1] / "examples" / "lantern-care-sample.json"
LITERAL_LENGTH = 2048
LITERAL_BATCH = 4


@dataclass(frozen=True, slots=True)
class Spent:
    """Time of one step: wall seconds, this process's processor seconds, and those of all other programs."""

    seconds: float
    cpu_seconds: float
    others_cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One side's step: tokens that went through the model (padding included), learnt ones, and its time."""

    tokens: int
    trained_tokens: int
    spent: Spent

    @property
    def rate(self) -> float:
        return self.trained_tokens / self.spent.seconds

    @property
    def cpu_rate(self) -> float:
        return self.trained_tokens / self.spent.cpu_seconds


@dataclass(frozen=True, slots=True)
class Example:
    """One example of the literal recipe, already cut; `trained_tokens` are the answer's that were left."""

    input_ids: list[int]
    trained_tokens: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", type=Path, default=SAMPLE, help="a dataset file (default: the sample)")
    parser.add_argument("--pairs", type=int, default=5, help="how often both sides take their step")
    parser.add_argument("--limit", type=float, default=270, help="seconds after which no further pair is begun")
    parser.add_argument("--answers", type=int, default=4, help="answers of a step, on both sides; the recipe has 16")
    parser.add_argument(
        "--literal-checkpointing",
        choices=("on", "off"),
        default="on",
        help="gradient checkpointing of the literal side; TRL's default is on, ours on a CPU is off",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    result = measure(
        arguments.dataset,
        arguments.pairs,
        limit=arguments.limit,
        answers=arguments.answers,
        checkpointing=arguments.literal_checkpointing == "on",
    )
    print(json.dumps(result, indent=2) if arguments.json else as_table(result))


def measure(dataset: Path, pairs: int, *, limit: float, answers: int, checkpointing: bool) -> dict[str, Any]:
    began = time.perf_counter()
    model = read_settings().models / MODEL
    if not model.is_dir():
        sys.exit(f"error: {MODEL} is not on this machine\nhint: brightrun model pull {MODEL}")
    chat = load_chat_model(model)
    hyperparameters = settings_of_a_step(answers)
    conversations = read_conversations(dataset, chat, hyperparameters)
    examples = encode_examples(conversations, chat, hyperparameters)
    steps = run_steps([example.size for example in examples], hyperparameters)
    separate = [literal_examples(conversation, chat) for conversation in conversations]
    with tempfile.TemporaryDirectory() as folder:
        ours = OurSide(model, Path(folder), examples, hyperparameters, chat)
        literal = LiteralSide(model, Path(folder), hyperparameters, checkpointing=checkpointing)
        shortest = min(range(len(examples)), key=lambda index: examples[index].size.tokens)
        ours.take(Step(1.0, ((shortest,),)))  # memory, caches and thread pools warm up
        literal.take(examples[shortest])
        turns: list[tuple[Turn, Turn]] = []
        for pair in range(pairs):
            # A pair is begun only if one as long as the longest so far would end within the limit.
            longest = max((mine.spent.seconds + theirs.spent.seconds for mine, theirs in turns), default=0.0)
            if time.perf_counter() - began + longest > limit and turns:
                break
            step = steps[pair % len(steps)]
            mine = ours.take(step)
            theirs = literal.take(
                [example for micro_batch in step.micro_batches for index in micro_batch for example in separate[index]]
            )
            turns.append((mine, theirs))
            say(pair + 1, pairs, mine, theirs)
    return summary(dataset, turns, checkpointing=checkpointing)


def settings_of_a_step(answers: int) -> Hyperparameters:
    """The balanced recipe, with steps of about `answers` answers and nothing measured or saved in between."""
    recipe = Hyperparameters.model_validate(find_recipe("balanced").hyperparameters)
    changes = {
        "gradient_accumulation_steps": max(answers // recipe.batch_size, 1),
        "evaluations": 1,
        "checkpoints": 1,
    }
    return recipe.model_copy(update=changes)


def read_conversations(dataset: Path, chat: ChatModel, settings: Hyperparameters) -> list[PreparedConversation]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        prepare_dataset(
            dataset,
            folder,
            chat=chat,
            options=ReadOptions(),
            validation_fraction=settings.validation_fraction,
            seed=settings.seed,
        )
        return list(read_prepared(folder / "train.jsonl"))


def literal_examples(conversation: PreparedConversation, chat: ChatModel) -> list[Example]:
    """As the specification's preprocessor writes them: the history, the current input once more, the answer."""
    return [literal_example(chat, *messages) for messages in separate_examples(conversation.chat_messages())]


def literal_example(chat: ChatModel, *messages: Message) -> Example:
    *history, answer = messages
    encoded: EncodedConversation = chat.encode_conversation([*history, history[-1], answer])
    return Example(encoded.input_ids[:LITERAL_LENGTH], sum(encoded.loss_mask[:LITERAL_LENGTH]))


class StepClock(TrainerCallback):  # type: ignore[misc]
    """Times a step from its first forward to the end of its update."""

    def __init__(self) -> None:
        self.spent = Spent(0.0, 0.0, 0.0)
        self._began = (0.0, 0.0, 0.0)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        wall, own, all_programs = (end - start for start, end in zip(self._began, now(), strict=True))
        self.spent = Spent(wall, own, max(all_programs - own, 0.0))


def now() -> tuple[float, float, float]:
    """Wall seconds, this process's processor seconds, and all programs' on this machine."""
    machine = psutil.cpu_times()
    busy = machine.user + machine.system + getattr(machine, "nice", 0.0)
    return time.perf_counter(), time.process_time(), busy


class OurSide:
    """The worker's trainer, one step at a time."""

    def __init__(
        self, model: Path, folder: Path, examples: list[TokenizedExample], settings: Hyperparameters, chat: ChatModel
    ) -> None:
        self._examples = examples
        self._clock = StepClock()
        self._training = Training(
            hyperparameters=settings,
            examples=examples,
            steps=[Step(1.0, ((0,),))],
            folder=RunFolder(folder),
            fingerprint="benchmark",
            event_log=EventLog(folder / "events.jsonl"),
            validation_loss=lambda _: 0.0,
            pad_id=chat.pad_id,
        )
        self._trainer = _AnswerTrainer(load_base(model, nf4=False), self._training)
        self._trainer.add_callback(self._clock)

    def take(self, step: Step) -> Turn:
        self._training.steps = [step]
        self._trainer.train()
        sizes = [self._examples[index].size for micro_batch in step.micro_batches for index in micro_batch]
        return Turn(
            tokens=sum(size.tokens for size in sizes),
            trained_tokens=sum(size.trained_tokens for size in sizes),
            spent=self._clock.spent,
        )


class LiteralSide:
    """TRL's trainer as it comes, over padded batches of separate examples."""

    def __init__(self, model: Path, folder: Path, settings: Hyperparameters, *, checkpointing: bool) -> None:
        base = load_base(model, nf4=False)
        self._clock = StepClock()
        self._padded_tokens = 0
        self._trainer = SFTTrainer(
            model=base.model,
            processing_class=base.tokenizer,
            train_dataset=Dataset.from_dict({"input_ids": [[0, 0]], "labels": [[0, 0]]}),
            args=SFTConfig(
                output_dir=str(folder / "literal"),
                max_steps=1,
                per_device_train_batch_size=LITERAL_BATCH,
                gradient_accumulation_steps=settings.gradient_accumulation_steps,
                gradient_checkpointing=checkpointing,
                learning_rate=settings.learning_rate,
                max_length=LITERAL_LENGTH,
                bf16=False,
                use_cpu=True,
                dataloader_pin_memory=False,
                dataset_kwargs={"skip_prepare_dataset": True},
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            peft_config=LoraConfig(
                r=settings.r,
                lora_alpha=settings.lora_alpha,
                lora_dropout=settings.lora_dropout,
                target_modules=list(settings.target_modules),
                task_type="CAUSAL_LM",
            ),
            callbacks=[self._clock],
        )
        self._trainer.remove_callback(PrinterCallback)  # it writes to stdout
        self._pad = self._trainer.data_collator
        self._trainer.data_collator = self._collate

    def take(self, examples: list[Example]) -> Turn:
        ids = [example.input_ids for example in examples]
        batches = -(-len(examples) // LITERAL_BATCH)
        self._trainer.train_dataset = Dataset.from_dict({"input_ids": ids, "labels": ids})
        self._trainer.args.gradient_accumulation_steps = batches
        self._trainer.accelerator.gradient_accumulation_steps = batches
        self._padded_tokens = 0
        self._trainer.train()
        return Turn(
            tokens=self._padded_tokens,
            trained_tokens=sum(example.trained_tokens for example in examples),
            spent=self._clock.spent,
        )

    def _collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = self._pad(items)
        self._padded_tokens += batch["input_ids"].numel()
        return batch


def say(done: int, total: int, ours: Turn, literal: Turn) -> None:
    """Progress goes to stderr, so that --json stays JSON."""
    sys.stderr.write(
        f"pair {done} of {total}: ours {ours.rate:.0f}, literal {literal.rate:.0f} learnt tokens/s, "
        f"ratio {ours.rate / literal.rate:.2f}\n"
    )


def summary(dataset: Path, turns: list[tuple[Turn, Turn]], *, checkpointing: bool) -> dict[str, Any]:
    ours, literal = [turn for turn, _ in turns], [turn for _, turn in turns]
    spent = [turn.spent for turn in (*ours, *literal)]
    possible = sum(part.seconds for part in spent) * (psutil.cpu_count() or 1)
    return {
        "dataset": dataset.name,
        "model": MODEL,
        "threads": torch.get_num_threads(),
        "literal_checkpointing": checkpointing,
        "ratio": spread([mine.rate / theirs.rate for mine, theirs in turns]),
        "ratio_of_processor_seconds": spread([mine.cpu_rate / theirs.cpu_rate for mine, theirs in turns]),
        "ours_learnt_tokens_per_second": statistics.median(turn.rate for turn in ours),
        "literal_learnt_tokens_per_second": statistics.median(turn.rate for turn in literal),
        "tokens_through_the_model_ratio": sum(turn.tokens for turn in literal) / sum(turn.tokens for turn in ours),
        "learnt_tokens_lost_by_cutting": sum(mine.trained_tokens - theirs.trained_tokens for mine, theirs in turns),
        "processors_taken_by_other_programs": sum(part.others_cpu_seconds for part in spent) / possible,
        "pairs": [{"ours": asdict(mine), "literal": asdict(theirs)} for mine, theirs in turns],
    }


def spread(ratios: list[float]) -> dict[str, float]:
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def as_table(result: dict[str, Any]) -> str:
    checkpointing = "on" if result["literal_checkpointing"] else "off"
    micro_batches = {
        "dataset": result["dataset"],
        "model": f"{result['model']}, {result['threads']} threads",
        "ours": f"{result['ours_learnt_tokens_per_second']:.1f} learnt tokens/s",
        "literal": f"{result['literal_learnt_tokens_per_second']:.1f} learnt tokens/s, checkpointing {checkpointing}",
        "ratio": f"{as_text(result['ratio'])}, median of {len(result['pairs'])} pairs",
        "ratio of processor time": as_text(result["ratio_of_processor_seconds"]),
        "tokens through the model": f"{result['tokens_through_the_model_ratio']:.2f} times as many on the literal side",
        "lost by cutting": f"{result['learnt_tokens_lost_by_cutting']} learnt tokens on the literal side",
        "other programs took": f"{result['processors_taken_by_other_programs']:.0%} of the processors meanwhile",
    }
    return "\n".join(f"{name:26}{value}" for name, value in micro_batches.items())


def as_text(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})"


if __name__ == "__main__":
    main()
