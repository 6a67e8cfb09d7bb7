"""README.md of an adapter, in the usual shape of a model card. Measures nothing."""

from __future__ import annotations

from brightrun.evaluation.caveats import caveats
from brightrun.evaluation.pages import markdown_pages
from brightrun.evaluation.run_report import RunReport
from brightrun.format import spoken_value


def render_model_card(report: RunReport) -> str:
    """The card as Markdown with YAML front matter; names from outside are escaped."""
    return (
        markdown_pages()
        .get_template("model_card.md")
        .render(
            report=report,
            comparison=report.comparison,
            overall=report.comparison.overall,
            forgetting=report.comparison.forgetting,
            memorization=report.comparison.memorization,
            settings={name: spoken_value(value) for name, value in report.hyperparameters.items()},
            caveats=caveats(report),
        )
    )
