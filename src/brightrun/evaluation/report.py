"""report.html: one self-contained page about a run, for its owner and their client. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from brightrun.evaluation.answer_facts import FLAWS
from brightrun.evaluation.caveats import caveats
from brightrun.evaluation.comparison import Comparison, LossChange, SampleAnswer
from brightrun.evaluation.pages import html_pages
from brightrun.evaluation.report_charts import MAX_GROUPS, group_chart, loss_chart
from brightrun.evaluation.run_report import RunReport
from brightrun.format import spoken_value


def render_report(report: RunReport) -> str:
    """The whole page as HTML. It loads nothing, runs no script, and shows all foreign text as text."""
    comparison = report.comparison
    return (
        html_pages()
        .get_template("report.html")
        .render(
            report=report,
            comparison=comparison,
            overall=comparison.overall,
            forgetting=comparison.forgetting,
            memorization=comparison.memorization,
            loss_chart=loss_chart(report),
            groups=[group_view("persona", comparison.by_persona), group_view("arc", comparison.by_arc)],
            samples=sample_views(comparison),
            same_texts=sum(sample.base.text == sample.tuned.text for sample in comparison.samples),
            settings={name: spoken_value(value) for name, value in report.hyperparameters.items()},
            total_seconds=sum(report.seconds_by_phase.values()),
            caveats=caveats(report),
        )
    )


def group_view(name: str, changes: Mapping[str, LossChange]) -> dict[str, Any]:
    """`name`, `changes`, `chart` (None without labels) and how many groups are `unshown` in it."""
    return {
        "name": name,
        "changes": changes,
        "chart": group_chart(name, changes),
        "unshown": max(0, len(changes) - MAX_GROUPS),
    }


_SPEAKERS = {"system": "Instructions", "user": "Client", "assistant": "Consultant"}


class SampleView(NamedTuple):
    """A sampled answer as it is shown: its prompt as (speaker, words), `earlier` turns and the `last`.

    `warning` says in words what is wrong with the tuned model's answer; None where nothing was found.
    """

    answer: SampleAnswer
    earlier: Sequence[tuple[str, str]]
    last: tuple[str, str]
    warning: str | None


def sample_views(comparison: Comparison) -> list[SampleView]:
    """Every sampled answer, those that need a look first and the worst of them before all."""
    flagged = () if comparison.answers is None else comparison.answers.flagged
    flaws = {one.sample: " and ".join(FLAWS[flaw].one for flaw in one.flaws) for one in flagged}
    order = [*flaws, *(index for index in range(len(comparison.samples)) if index not in flaws)]
    return [_sample_view(comparison.samples[index], flaws.get(index)) for index in order]


def _sample_view(sample: SampleAnswer, flaws: str | None) -> SampleView:
    messages = [
        (_SPEAKERS.get(message.get("role", ""), message.get("role", "")), message.get("content", ""))
        for message in sample.prompt
    ]
    return SampleView(sample, messages[:-1], messages[-1], None if flaws is None else f"The tuned model {flaws}.")
