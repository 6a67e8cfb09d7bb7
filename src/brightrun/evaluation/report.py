"""report.html: one self-contained page about a run, for its owner and their client. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brightrun.evaluation.charts import MOST_GROUPS, group_chart, loss_chart
from brightrun.evaluation.comparison import LossChange, SampleAnswer
from brightrun.evaluation.pages import html_pages
from brightrun.evaluation.story import RunStory
from brightrun.evaluation.wording import caveats, spoken_value


def render_report(story: RunStory) -> str:
    """The whole page as HTML. It loads nothing, runs no script, and shows all foreign text as text."""
    comparison = story.comparison
    return (
        html_pages()
        .get_template("report.html")
        .render(
            story=story,
            comparison=comparison,
            overall=comparison.overall,
            loss_chart=loss_chart(story),
            groups=[_group("persona", comparison.by_persona), _group("arc", comparison.by_arc)],
            samples=[_sample(sample) for sample in comparison.samples],
            same_texts=sum(sample.base.text == sample.tuned.text for sample in comparison.samples),
            settings={name: spoken_value(value) for name, value in story.hyperparameters.items()},
            total_seconds=sum(story.seconds_by_phase.values()),
            caveats=caveats(story),
        )
    )


def _group(name: str, changes: Mapping[str, LossChange]) -> dict[str, Any]:
    return {
        "name": name,
        "changes": changes,
        "chart": group_chart(name, changes),
        "unshown": max(0, len(changes) - MOST_GROUPS),
    }


_SPEAKERS = {"system": "Instructions", "user": "Client", "assistant": "Consultant"}


def _sample(sample: SampleAnswer) -> dict[str, Any]:
    messages = [
        (_SPEAKERS.get(message.get("role", ""), message.get("role", "")), message.get("content", ""))
        for message in sample.prompt
    ]
    return {"answer": sample, "earlier": messages[:-1], "last": messages[-1]}
