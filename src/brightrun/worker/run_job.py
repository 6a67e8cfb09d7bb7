"""The story of a run on one screen: from a spec and prepared data to a verified bundle and a report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.contract.event_data import ArtifactData, EndData, MessageData, Phase
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import JobStatus
from brightrun.datasets.audit_report import AuditReport
from brightrun.datasets.prepared import read_prepared
from brightrun.errors import AdapterCheckFailed, DatasetError
from brightrun.evaluation.comparison import AnswerScore, Comparison, Generated, PromptedWith, SampleAnswer, compare
from brightrun.evaluation.model_card import render_model_card
from brightrun.evaluation.report import render_report
from brightrun.files import whole_folder, write_model, write_text
from brightrun.runs.examples import TokenizedExample, encode_examples, require_trainable, validation_examples
from brightrun.runs.flops import micro_batches_of
from brightrun.runs.prompts import sampling_of
from brightrun.runs.steps import run_steps
from brightrun.templating.batches import Step
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.model_folder import load_chat_model
from brightrun.texts.names import known_names
from brightrun.worker.answer import Prompt, choose_prompts, written_answer
from brightrun.worker.baseline import (
    Measured,
    load_baseline,
    logit_fingerprint,
    measure,
    save_baseline,
    verify_adapter,
)
from brightrun.worker.build_report import ReportInputs, build_report
from brightrun.worker.bundle import (
    check_golden_prompts,
    write_adapter_weights,
    write_companions,
    write_manifest,
)
from brightrun.worker.checkpoint import latest_checkpoint
from brightrun.worker.device import device_kind
from brightrun.worker.event_log import EventLog
from brightrun.worker.limits import RunLimits, time_to_end
from brightrun.worker.load_model import LoadedBase, load_base
from brightrun.worker.preflight import check_data, check_machine, check_model, package_versions
from brightrun.worker.prompted import Prompted, ask_prompted, load_prompted, save_prompted
from brightrun.worker.retention import Retention
from brightrun.worker.validation import mean_loss, measure_losses


@dataclass(slots=True)
class Run:
    """What every part of a run needs."""

    spec: JobSpec
    folder: RunFolder
    event_log: EventLog
    chat: ChatModel
    train: list[TokenizedExample]
    validation: list[TokenizedExample]
    prompts: list[Prompt]
    steps: list[Step]
    limits: RunLimits


class Untouched(NamedTuple):
    """What the untouched base scored and said, alone and with real conversations before each prompt.

    `prompted` is None where it was not asked so; where it was, it was for the same answers in the same order.
    """

    measured: Measured
    prompted: Prompted | None

    def prompted_losses(self) -> Sequence[float | None]:
        if self.prompted is None:
            return [None] * len(self.measured.losses)
        return [one.loss for one in self.prompted.losses]

    def prompted_answers(self) -> Sequence[Generated | None]:
        return [None] * len(self.measured.answers) if self.prompted is None else self.prompted.answers


def run_job(folder: RunFolder, event_log: EventLog) -> None:
    """Run the job in `folder` to its end, or go on where an earlier attempt stopped.

    Raises:
        LimitReached: the run may not go on; what was trained until then is in its last checkpoint.
        BrightRunError: typed, when something is wrong with data, model, machine or training.
    """
    event_log.enter(JobStatus.PREPROCESSING, "Checking the data, the base model and this machine.")
    run = _prepare(folder, event_log)
    run.limits.check()
    base = _load(run)
    event_log.enter(JobStatus.MODEL_LOADED, "Testing the original model first.")
    before = _measure_baseline(run, base)
    prompted = _ask_prompted(run, base)
    retention = Retention(run.spec, folder, event_log, run.chat, run.limits, base)
    retention.ask_before()
    run.limits.check()
    event_log.enter(JobStatus.TRAINING, f"Training {len(run.steps)} steps.")
    trained, kept_step = _train(run, base)
    run.limits.check()
    event_log.enter(JobStatus.EVALUATING, "Testing the trained model.")
    with whole_folder(folder.adapter) as bundle:
        parameters = write_adapter_weights(trained, bundle, run.spec)
        comparison = _compare(run, base, bundle, Untouched(before, prompted), retention)
        event_log.enter(JobStatus.UPLOADING, "Writing the bundle and the report.")
        told = ReportInputs(run.chat, run.train, run.validation, comparison, parameters, kept_step, package_versions())
        report = build_report(run.spec, folder, told)
        _write_bundle(run, bundle, comparison, render_model_card(report))
    write_model(folder.comparison, comparison)
    write_text(folder.report, render_report(report))
    result = comparison.overall
    event_log.end(JobStatus.COMPLETED, result.sentence, EndData(validation_loss=result.tuned_loss))
    shutil.rmtree(folder.work)


def _prepare(folder: RunFolder, event_log: EventLog) -> Run:
    spec = JobSpec.load(folder.spec)
    check_data(spec, folder.root)
    check_model(spec)
    chat = load_chat_model(Path(spec.model.path))
    conversations = list(read_prepared(folder.root / spec.dataset.validation_path))
    if not conversations:
        raise DatasetError("No conversation is kept for validation, so nothing could be proven.")
    hyperparameters = spec.hyperparameters
    train = encode_examples(read_prepared(folder.root / spec.dataset.train_path), chat, hyperparameters)
    steps = run_steps([example.size for example in train], hyperparameters)
    event_log.total_steps = len(steps)
    folder.work.mkdir(exist_ok=True)
    entry = entry_of_folder(Path(spec.model.path))
    adapter = entry.adapter_parameters(hyperparameters.r, hyperparameters.target_modules)
    micro_batches = micro_batches_of(steps, [example.size for example in train], packing=hyperparameters.packing)
    facts = check_machine(spec, folder.root, entry=entry, adapter_parameters=adapter, micro_batches=micro_batches)
    event_log.say(
        "Everything that can be checked before loading is in order.",
        facts.model_copy(update={"train_examples": len(train), "steps": len(steps), "fingerprint": spec.fingerprint()}),
    )
    return Run(
        spec=spec,
        folder=folder,
        event_log=event_log,
        chat=chat,
        train=train,
        validation=list(require_trainable(validation_examples(conversations, chat), hyperparameters.max_seq_length)),
        prompts=choose_prompts(conversations, sampling_of(hyperparameters).answers),
        steps=steps,
        limits=RunLimits(folder.root, reserve=time_to_end(adapter)),
    )


def _load(run: Run) -> LoadedBase:
    return load_base(Path(run.spec.model.path), run.spec.hyperparameters.resolve(device_kind()))


def _measure_baseline(run: Run, base: LoadedBase) -> Measured:
    fingerprint = run.spec.fingerprint()
    if (kept := load_baseline(run.folder.baseline, fingerprint=fingerprint)) is not None:
        run.event_log.say("The base model was asked by an earlier attempt.")
        return kept
    logits = logit_fingerprint(base, base.model, run.validation)
    measured = _measure(run, base, base.model, phase="baseline")
    save_baseline(run.folder.baseline, measured, fingerprint=fingerprint, logits=logits)
    return measured


def _ask_prompted(run: Run, base: LoadedBase) -> Prompted | None:
    """The untouched base with real conversations before each prompt, if no earlier attempt of this very run asked."""
    path, fingerprint = run.folder.work / "prompted.json", run.spec.fingerprint()
    if (kept := load_prompted(path, fingerprint=fingerprint)) is not None:
        return kept.prompted
    prompted = ask_prompted(
        base, run.chat, run.spec, run.folder, run.validation, run.prompts, event_log=run.event_log, limits=run.limits
    )
    save_prompted(path, prompted, fingerprint=fingerprint)
    return prompted


def _train(run: Run, base: LoadedBase) -> tuple[Path, int]:
    """Train, and say where the adapter to deliver lies and of which step it is; the base is left untouched."""
    fingerprint = run.spec.fingerprint()
    checkpoint, damaged = latest_checkpoint(run.folder.checkpoints, fingerprint=fingerprint)
    for name in damaged:
        run.event_log.say(f"The checkpoint {name} is damaged and was passed over.")
    if checkpoint is not None:
        run.event_log.say(f"Going on after step {checkpoint.step}.", MessageData(resumed_step=checkpoint.step))
    if checkpoint is None or checkpoint.step < len(run.steps):
        from brightrun.worker.train_adapter import Training, train_adapter

        training = Training(
            hyperparameters=run.spec.hyperparameters,
            examples=run.train,
            steps=run.steps,
            folder=run.folder,
            fingerprint=fingerprint,
            event_log=run.event_log,
            pad_id=run.chat.pad_id,
            resume=checkpoint,
            limits=run.limits,
            validation_loss=lambda model: mean_loss(
                measure_losses(base, model, run.validation, between=run.limits.check)
            ),
        )
        base.model = train_adapter(base, training).unload()
    if run.spec.hyperparameters.adapter_choice == "best":
        return run.folder.best, int((run.folder.best / "loss.txt").read_text(encoding="utf-8").split()[0])
    return run.folder.checkpoints / f"step-{len(run.steps):06d}", len(run.steps)


def _compare(run: Run, base: LoadedBase, bundle: Path, untouched: Untouched, retention: Retention) -> Comparison:
    """Before and after, with the adapter read back from the very file that is delivered."""
    from peft import PeftModel

    tuned = PeftModel.from_pretrained(base.model, bundle)
    after = _measure(run, base, tuned, phase="final")
    adapter_check = verify_adapter(base, tuned, run.validation, run.folder.baseline)
    if not adapter_check.passed:
        raise AdapterCheckFailed(
            "With the adapter off the model is not the base, or with it on nothing changes.",
            details=adapter_check.model_dump(mode="json"),
        )
    prompted = untouched.prompted
    comparison = compare(
        _scores(run, untouched, after),
        _samples(run, untouched, after),
        adapter_check,
        seed=run.spec.hyperparameters.seed,
        shown=None if prompted is None else PromptedWith(prompted.conversations, prompted.tokens),
        known_names=known_names(_texts(run)),
        consultant=AuditReport.model_validate_json((run.folder.data / "audit.json").read_bytes()).consultant,
    )
    asked_beside = {"forgetting": retention.forgetting(tuned), "memorization": retention.memorization(tuned)}
    return comparison.model_copy(update=asked_beside)


def _measure(run: Run, base: LoadedBase, model: Any, *, phase: Phase) -> Measured:
    return measure(
        base,
        model,
        run.chat,
        run.validation,
        run.prompts,
        event_log=run.event_log,
        limits=run.limits,
        max_tokens=sampling_of(run.spec.hyperparameters).tokens,
        phase=phase,
    )


def _scores(run: Run, untouched: Untouched, after: Measured) -> list[AnswerScore]:
    conversations = {c.id: c for c in read_prepared(run.folder.root / run.spec.dataset.validation_path)}
    before = untouched.measured
    return [
        AnswerScore(
            conversation_id=base.conversation_id,
            answer_number=base.answer_number,
            persona=conversations[base.conversation_id].persona,
            arc=conversations[base.conversation_id].arc,
            trained_tokens=base.trained_tokens,
            base_loss=base.loss,
            tuned_loss=tuned.loss,
            prompted_loss=prompted,
        )
        for base, tuned, prompted in zip(before.losses, after.losses, untouched.prompted_losses(), strict=True)
    ]


def _samples(run: Run, untouched: Untouched, after: Measured) -> list[SampleAnswer]:
    return [
        SampleAnswer(
            conversation_id=prompt.conversation_id,
            answer_number=prompt.answer_number,
            persona=prompt.persona,
            arc=prompt.arc,
            reference=prompt.reference,
            prompt=[{"role": message.role, "content": written_answer(message)} for message in prompt.messages],
            base=base,
            tuned=tuned,
            prompted=prompted,
        )
        for prompt, base, tuned, prompted in zip(
            run.prompts, untouched.measured.answers, after.answers, untouched.prompted_answers(), strict=True
        )
    ]


def _texts(run: Run) -> Iterator[str]:
    """Everything that the dataset says."""
    for path in (run.spec.dataset.train_path, run.spec.dataset.validation_path):
        for conversation in read_prepared(run.folder.root / path):
            yield from (message.content for message in conversation.messages)


def _write_bundle(run: Run, bundle: Path, comparison: Comparison, card: str) -> None:
    golden = [prompt.asked for prompt in run.prompts]
    write_companions(bundle, model_folder=Path(run.spec.model.path), chat=run.chat, prompts=golden)
    check_golden_prompts(bundle)
    write_model(bundle / "comparison.json", comparison)
    write_text(bundle / "README.md", card)
    manifest = write_manifest(
        bundle, run.spec, chat=run.chat, packages=package_versions(), adapter_check=comparison.adapter_check
    )
    for file in manifest.files:
        run.event_log.write(ArtifactData(name=file.name, bytes=file.bytes, sha256=file.sha256))
