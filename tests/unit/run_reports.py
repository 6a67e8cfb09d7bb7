"""A whole run as a report shows it, with text that wants to be markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.evaluation.comparison import (
    AdapterCheck,
    AnswerScore,
    Generated,
    PromptedWith,
    SampleAnswer,
    compare,
)
from brightrun.evaluation.run_report import (
    BaseModelFacts,
    DatasetFacts,
    FindingLine,
    RunReport,
    TrainingPoint,
    ValidationPoint,
)

HOSTILE = (
    '"></title></style></div><script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(1)>'
    "<svg onload=alert(1)> {{ 7*7 }} {% raw %} ]]> [link](https://evil.example) `code` | $x$"
    "\n\n# heading\n---\nevil: true"
)
MOMENT = datetime(2026, 11, 23, 9, 14, tzinfo=UTC)


def adapter_check(*, holds: bool = True) -> AdapterCheck:
    return AdapterCheck(
        adapter_off_equals_base=holds,
        adapter_off_max_difference=0.0 if holds else 0.75,
        adapter_on_differs=True,
        adapter_on_max_difference=7.25,
        fingerprint_tokens=412,
    )


def report(
    *,
    conversations: int = 8,
    words: str = "Elena",
    holds: bool = True,
    label: str | None = "planner",
    looped: bool = False,
    **changes: object,
) -> RunReport:
    scores = [
        AnswerScore(
            conversation_id=f"c{number}",
            answer_number=answer,
            persona=label,
            trained_tokens=200,
            base_loss=2.5 + number / 100,
            tuned_loss=2.0 + number / 50,
            prompted_loss=2.3 + number / 90 if looped else None,
        )
        for number in range(conversations)
        for answer in (1, 2)
    ]
    sample = SampleAnswer(
        conversation_id=words,
        answer_number=2,
        persona=words,
        arc=words,
        prompt=[
            {"role": "system", "content": words},
            {"role": "user", "content": "Where do I begin?"},
            {"role": "assistant", "content": "With a breath."},
            {"role": "user", "content": f"LAST TURN {words}"},
        ],
        reference=f"REFERENCE {words}",
        base=Generated(text=f"BASE\n\n    kept   spaces {words}", tokens=256, stopped=False),
        tuned=Generated(text=f"TUNED {words}", tokens=1, stopped=True),
    )
    loop = sample.model_copy(
        update={
            "conversation_id": "c2",
            "tuned": Generated(text=f"{words} hears you and is here for you. " * 6, tokens=160, stopped=False),
            "prompted": Generated(text=f"PROMPTED {words}", tokens=40, stopped=True),
        }
    )
    samples = [sample, loop] if looped else [sample]
    shown = PromptedWith(5, 1980) if looped else None
    told = RunReport(
        title=f"Title {words}",
        job_id="job_1",
        created_at=MOMENT,
        finished_at=MOMENT + timedelta(minutes=47),
        base=BaseModelFacts(name=f"Base {words}", hub_id="org/base", revision="abc123", license="Apache-2.0"),
        dataset=DatasetFacts(
            name=f"file {words}.json",
            sha256="9f" * 32,
            conversations=30,
            train_conversations=22,
            train_answers=66,
            validation_conversations=conversations,
            validation_answers=len(scores),
            tokens=48_000,
            trained_tokens=32_117,
            repaired=3,
            excluded=1,
            findings=(FindingLine(severity="warning", check="mojibake", count=3, explanation=f"Found {words}"),),
        ),
        recipe="quickstart",
        hyperparameters=Hyperparameters().model_dump(),
        steps=20,
        trained_tokens_total=96_351,
        seconds_by_phase={"training": 2_411.0, "evaluating": 9.5},
        device=f"CPU {words}",
        trainable_parameters=4_884_480,
        training=tuple(TrainingPoint(step=step, loss=3 - step / 20) for step in range(1, 21)),
        validation=(ValidationPoint(step=0, loss=2.5), ValidationPoint(step=20, loss=2.1)),
        kept_step=20,
        comparison=compare(scores, samples, adapter_check(holds=holds), seed=1, shown=shown, known_names=set()),
        template_sha256="cd" * 32,
        fingerprint="ef" * 32,
        packages={"torch": "2.13.0"},
        notes=(f"Note {words}",),
    )
    return told.model_copy(update=changes)
