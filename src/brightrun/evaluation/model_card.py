"""README.md of an adapter, in the usual shape of a model card. Measures nothing."""

from __future__ import annotations

from brightrun.evaluation.pages import markdown_pages
from brightrun.evaluation.story import RunStory
from brightrun.evaluation.wording import caveats, spoken_value


def render_model_card(story: RunStory) -> str:
    """The card as Markdown with YAML front matter; names from outside are escaped."""
    return (
        markdown_pages()
        .get_template("model_card.md")
        .render(
            story=story,
            comparison=story.comparison,
            overall=story.comparison.overall,
            settings={name: spoken_value(value) for name, value in story.hyperparameters.items()},
            caveats=caveats(story),
        )
    )
