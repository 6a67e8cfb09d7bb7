"""Trains the adapter. The only file that knows TRL; it gets sequences and steps and leaves checkpoints behind."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from peft import LoraConfig
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from transformers import Trainer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from brightrun.contract.event_data import CheckpointData, EvaluationData, MessageData, StepData
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason
from brightrun.errors import LossNotFinite, TrainingError
from brightrun.files import whole_folder, write_text
from brightrun.runs.examples import TokenizedExample
from brightrun.runs.steps import checkpoint_steps, evaluation_steps
from brightrun.templating.batches import Step
from brightrun.worker.checkpoint import Checkpoint, writing_checkpoint
from brightrun.worker.event_log import EventLog
from brightrun.worker.limits import LimitReached, RunLimits
from brightrun.worker.load_model import LoadedBase
from brightrun.worker.memory import peak_memory_bytes
from brightrun.worker.micro_batches import MicroBatch, build_micro_batches
from brightrun.worker.schedule import learning_rate_factor


@dataclass(slots=True)
class Training:
    """Everything a training needs beside the base: what to learn, in which steps, and who hears of it."""

    hyperparameters: Hyperparameters
    examples: list[TokenizedExample]
    steps: list[Step]
    folder: RunFolder
    fingerprint: str
    event_log: EventLog
    validation_loss: Callable[[Any], float]
    pad_id: int
    limits: RunLimits = field(default_factory=RunLimits)
    resume: Checkpoint | None = None
    stopped: EndReason | None = None


def train_adapter(base: LoadedBase, training: Training) -> Any:
    """Train to the last step and return the model with its adapter in fp32, by `adapter_choice` (last or best).

    Resuming restores adapter, optimizer, schedule, random states and the place in the data; the result is that of an
    uninterrupted run, bit for bit on a CPU.

    Raises:
        LimitReached: the run may not go on; a checkpoint of its last step was written.
        LossNotFinite: a step's loss or gradient is NaN or infinite.
        TrainingError: a step has no token to learn from.
    """
    trainer = _AnswerTrainer(base, training)
    if base.device.type == "cuda":
        trainer.try_largest_step()
    trainer.train(resume_from_checkpoint=None if training.resume is None else str(training.resume.folder))
    if training.stopped is not None:
        raise LimitReached(training.stopped)
    return trainer.model


def save_adapter(model: Any, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`; no hub is asked, embeddings are not adapted."""
    model.save_pretrained(folder, save_embedding_layers=False)


class _AnswerTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer over whole optimizer steps: one item of its data is one step, a list of rows.

    TRL counts a step in fixed numbers of micro-batches; ours are counted in answers, so rows are summed here and the
    loss of each is divided by the trained tokens of the whole step. So 1 row of 16 and 4 rows of 4 have one gradient.
    """

    def __init__(self, base: LoadedBase, training: Training) -> None:
        self._base = base
        self._training = training
        self._marks = _Marks(training)
        self._started = time.monotonic()
        self._fresh_tokens = 0
        self._step_made = StepData()  # what is known of the newest step before its line is written
        self._step_began = self._started
        self._measured_step = 0
        hyperparameters = training.hyperparameters
        super().__init__(
            model=base.model,
            args=_trainer_settings(training, base),
            train_dataset=Dataset.from_dict({"input_ids": [[0]], "labels": [[0]]}),
            data_collator=lambda items: items[0],
            processing_class=base.tokenizer,
            peft_config=LoraConfig(
                r=hyperparameters.r,
                lora_alpha=hyperparameters.lora_alpha,
                lora_dropout=hyperparameters.lora_dropout,
                target_modules=list(hyperparameters.target_modules),
                task_type="CAUSAL_LM",
            ),
            callbacks=[self._marks],
        )
        # TRL casts the adapters of a quantized base to bf16, which loses most small updates and makes resume inexact
        # (training-engine.md T1, T2). The optimizer is created in train(), so this is in time.
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The run's steps in order; epochs and shuffles are already in them."""
        return DataLoader(
            cast("TorchDataset[Any]", self._training.steps),
            batch_size=1,
            shuffle=False,
            collate_fn=lambda items: {"step": items[0]},
        )

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """Our own schedule, whose first and last step learn something too."""
        scheduler = cast("LambdaLR | None", getattr(self, "lr_scheduler", None))
        if scheduler is None:
            settings = self._training.hyperparameters
            self.lr_scheduler = scheduler = LambdaLR(
                self.optimizer if optimizer is None else optimizer,
                lambda done: learning_rate_factor(
                    done + 1,
                    total=num_training_steps,
                    warmup_ratio=settings.warmup_ratio,
                    kind=settings.lr_scheduler_type,
                ),
            )
            self._created_lr_scheduler = True
        return scheduler

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward of every row of one step; returns the step's loss in nats per trained token."""
        began = time.monotonic()
        model.train()
        step: Step = inputs["step"]
        loss, tokens, trained = self._accumulate(model, step)
        value = float(loss)
        number = self.state.global_step + 1
        if not math.isfinite(value):
            raise LossNotFinite(
                f"The loss of step {number} is {value}; the run stopped there.",
                details={"step": number, "conversations": self._conversations(step)},
            )
        self._fresh_tokens += tokens
        self._step_made = StepData(trained_tokens=trained, tokens=tokens, epoch=round(step.epoch, 4))
        self._step_began = began
        return loss

    def _accumulate(self, model: Any, step: Step) -> tuple[torch.Tensor, int, int]:
        hyperparameters = self._training.hyperparameters
        micro_batches = build_micro_batches(
            step, self._training.examples, packing=hyperparameters.packing, pad_id=self._training.pad_id
        )
        trained = sum(micro_batch.trained_tokens for micro_batch in micro_batches)
        if trained == 0:
            raise TrainingError(
                f"Step {self.state.global_step + 1} has no token to learn from.",
                details={"conversations": self._conversations(step)},
            )
        weighted = any(micro_batch.weights is not None for micro_batch in micro_batches)
        weight = (
            sum(sum(each.weights or [1.0] * each.trained_tokens) for each in micro_batches) if weighted else trained
        )
        total = torch.zeros((), device=self._base.device)
        for micro_batch in micro_batches:
            with self.compute_loss_context_manager():
                loss = (
                    self._weighted_loss(model, micro_batch, total=weight)
                    if weighted
                    else self.compute_loss(model, micro_batch.tensors(self._base.device), num_items_in_batch=trained)
                )
            self.accelerator.backward(loss)
            total += loss.detach().float()
        return total, sum(micro_batch.tokens for micro_batch in micro_batches), trained

    def _weighted_loss(self, model: Any, micro_batch: MicroBatch, *, total: float) -> torch.Tensor:
        """The row's share of the step's loss, each trained token by its answer's weight; `total` is the step's sum."""
        output = model(**micro_batch.tensors(self._base.device), use_cache=False, fused_lm_head=True)
        losses = -output.log_probs[output.label_mask]
        weights = micro_batch.weights or [1.0] * micro_batch.trained_tokens
        loss: torch.Tensor = (losses * torch.tensor(weights, device=losses.device, dtype=losses.dtype)).sum() / total
        return loss

    def _conversations(self, step: Step) -> list[str]:
        return [
            self._training.examples[index].conversation_id
            for micro_batch in step.micro_batches
            for index in micro_batch
        ]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Every step's line goes into the event log; TRL's own summaries do not."""
        self._metrics["train"].clear()
        made = self._step_made
        if "loss" not in logs or made.tokens is None:
            return
        norm = logs.get("grad_norm")
        if norm is not None and not math.isfinite(norm):
            raise LossNotFinite(f"The gradient of step {self.state.global_step} is {norm}; the run stopped there.")
        seconds = max(time.monotonic() - self._step_began, 1e-9)
        figures = {
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "grad_norm": norm,
            "tokens_per_second": made.tokens / seconds,
            "seconds_left": self._seconds_left(),
            "memory_bytes": peak_memory_bytes(self._base.device),
        }
        self._training.event_log.write(made.model_copy(update=figures), step=self.state.global_step)

    def _seconds_left(self) -> float:
        """Tokens still to come, at the mean speed of this attempt (validation measurements included)."""
        rest = self._training.steps[self.state.global_step :]
        sizes = self._training.examples
        tokens = sum(
            len(sizes[index].encoded.input_ids)
            for step in rest
            for micro_batch in step.micro_batches
            for index in micro_batch
        )
        return tokens * (time.monotonic() - self._started) / max(self._fresh_tokens, 1)

    def _evaluate(self, trial: Any, ignore_keys_for_eval: Any, skip_scheduler: bool = False) -> dict[str, float]:
        """Validation loss of the adapter as it stands; the best one is kept where the recipe asks for it."""
        step = self.state.global_step
        if step == self._measured_step:
            return {}  # the Trainer asks once more when it ends
        self._measured_step = step
        began = time.monotonic()
        try:
            loss = self._training.validation_loss(self.model)
        except LimitReached as limit:
            self._marks.stop(self.control, limit.reason)
            return {}
        measured = EvaluationData(loss=loss, phase="during", seconds=time.monotonic() - began)
        self._training.event_log.write(measured, step=step)
        if self._training.hyperparameters.adapter_choice == "best":
            save_best(self.model, self._training.folder.best, step=step, loss=loss)
        return {}

    def _determine_best_metric(self, metrics: Any, trial: Any) -> bool:
        return False

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The Trainer's own checkpoint, filled into a staging folder and sealed."""
        step = self.state.global_step
        root = self._training.folder.checkpoints
        with writing_checkpoint(root, step=step, fingerprint=self._training.fingerprint) as staging:
            kept, self.args.output_dir = self.args.output_dir, str(staging)
            try:
                Trainer._save_checkpoint(self, model, trial)
            finally:
                self.args.output_dir = kept
            inner = staging / f"checkpoint-{step}"
            for file in inner.iterdir():
                shutil.move(file, staging / file.name)
            inner.rmdir()
        final = root / f"step-{step:06d}"
        size = sum(file.stat().st_size for file in final.iterdir())
        sealed = CheckpointData(path=f"work/checkpoints/{final.name}", bytes=size)
        self._training.event_log.write(sealed, step=step)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        assert output_dir is not None
        save_adapter(self.model, Path(output_dir))

    def try_largest_step(self) -> None:
        """Forward and backward of the step with the most tokens, before step 1: memory runs out now or never."""
        sizes = self._training.examples
        largest = max(
            self._training.steps,
            key=lambda step: max(
                sum(len(sizes[i].encoded.input_ids) for i in micro_batch) for micro_batch in step.micro_batches
            ),
        )
        random_states = torch.get_rng_state(), torch.cuda.get_rng_state_all()
        self.model.train()
        self._accumulate(self.model, largest)
        self.model.zero_grad(set_to_none=True)
        torch.set_rng_state(random_states[0])
        torch.cuda.set_rng_state_all(random_states[1])
        self._training.event_log.say(
            "The largest step fits.", MessageData(memory_bytes=peak_memory_bytes(self._base.device))
        )


class _Marks(TrainerCallback):  # type: ignore[misc]
    """Says at which steps to log, measure and save, and after which one the run may not go on."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._began = time.monotonic()
        self._longest = timedelta(0)
        self._evaluations = evaluation_steps(len(training.steps), training.hyperparameters)
        self._checkpoints = checkpoint_steps(len(training.steps), training.hyperparameters)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        self._began = time.monotonic()
        return control

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        control.should_log = True
        control.should_evaluate = state.global_step in self._evaluations
        control.should_save = state.global_step in self._checkpoints
        self._longest = max(self._longest, timedelta(seconds=time.monotonic() - self._began))
        is_last = state.global_step == len(self._training.steps)
        # A step that would end beyond the limit is not begun; the longest so far is what the next may take.
        reason = None if is_last else self._training.limits.reached(ahead=self._longest)
        return control if reason is None else self.stop(control, reason)

    def stop(self, control: Any, reason: EndReason) -> Any:
        """No step after this one, and a checkpoint of it."""
        self._training.stopped = reason
        control.should_evaluate = False
        control.should_save = control.should_training_stop = True
        return control


def save_best(model: Any, folder: Path, *, step: int, loss: float) -> None:
    """Keep the adapter if its validation loss is the lowest so far."""
    record = folder / "loss.txt"
    if record.exists() and float(record.read_text(encoding="utf-8").split()[1]) <= loss:
        return
    with whole_folder(folder) as staging:
        save_adapter(model, staging)
        write_text(staging / "loss.txt", f"{step} {loss!r}\n")


def _trainer_settings(training: Training, base: LoadedBase) -> SFTConfig:
    hyperparameters = training.hyperparameters
    cuda = base.device.type == "cuda"
    return SFTConfig(
        output_dir=str(training.folder.work / "trainer"),
        max_steps=len(training.steps),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        learning_rate=hyperparameters.learning_rate,
        optim=hyperparameters.optim,
        weight_decay=hyperparameters.weight_decay,
        max_grad_norm=hyperparameters.max_grad_norm,
        seed=hyperparameters.seed,
        data_seed=hyperparameters.seed,
        bf16=base.precision.compute == "bf16",
        fp16=False,
        use_cpu=not cuda,
        gradient_checkpointing=hyperparameters.resolve(base.precision.kind).gradient_checkpointing,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=cuda,
    )
