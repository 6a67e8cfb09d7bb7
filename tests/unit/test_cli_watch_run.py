"""A run's event log on the terminal: what each line says, also where a newer worker wrote it."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from rich.progress import Progress

from brightrun.cli.show import Screen
from brightrun.cli.watch_run import _Teller
from brightrun.contract.event_data import EvaluationData, EventData, MessageData, StatusData, StepData
from brightrun.contract.events import event_of
from brightrun.contract.states import JobStatus

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


def shown(*data: EventData, **line: object) -> str:
    out = io.StringIO()
    with Progress(console=Screen(file=out, width=120)) as progress:
        teller = _Teller(progress)
        for number, each in enumerate(data, start=1):
            facts = {"sequence": number, "attempt": 1, "timestamp": AT, "status": JobStatus.TRAINING, "step": 1}
            teller.tell(event_of(each, **facts | line))
    return out.getvalue()


def test_lines_are_told_in_the_words_of_the_page() -> None:
    baseline = EvaluationData(phase="baseline", loss=2.5, answers=3)
    text = shown(StatusData(), StepData(loss=1.5), baseline, MessageData(resumed_step=4), message="Going on.")
    assert "  Validation loss of the untouched base: 2.500 on 3 answers\n" in text
    assert "  Going on.\n" in text


def test_a_kind_of_a_newer_worker_is_shown_and_its_brackets_stay_text() -> None:
    data = EventData.model_validate({"celsius": 91, "note": "[red]hot[/] [/]"})
    assert "  Gpu throttled, celsius 91, note [red]hot[/] [/]\n" in shown(data, kind="gpu_throttled")
