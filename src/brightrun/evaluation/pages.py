"""The room's templates and what they may call."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from brightrun import format as text
from brightrun.contract.verdicts import VERDICTS
from brightrun.evaluation import forgetting, memorization
from brightrun.evaluation.markdown import markdown_code, markdown_text, one_line, quoted
from brightrun.evaluation.sentences import HABITS, METHODS
from brightrun.evaluation.verdicts import MINIMUM_CONVERSATIONS


@cache
def html_pages() -> Environment:
    """Templates whose every value is escaped."""
    return add_filters(
        Environment(
            loader=PackageLoader("brightrun.evaluation"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
    )


@cache
def markdown_pages() -> Environment:
    """Templates for Markdown; values pass through the filters `md`, `code` or `quoted`."""
    environment = Environment(  # noqa: S701 - Markdown has other special characters than HTML
        loader=PackageLoader("brightrun.evaluation"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(md=markdown_text, code=markdown_code, one_line=one_line, quoted=quoted)
    return add_filters(environment)


def add_filters(environment: Environment) -> Environment:
    """Give an environment the filters that put figures into words; the same on every page of the product."""
    environment.filters.update(
        bytes_text=text.bytes_text,
        counted=text.counted,
        direction=text.direction,
        duration=text.duration_text,
        label=text.label_text,
        loss=text.loss_text,
        number=text.number_text,
        points=text.points_text,
        signed=text.signed_percent,
        when=text.time_text,
    )
    environment.globals.update(
        habits=HABITS, verdicts=VERDICTS, methods=METHODS, minimum_conversations=MINIMUM_CONVERSATIONS
    )
    environment.globals.update(
        forgetting_states=forgetting.STATES,
        memorization_states=memorization.STATES,
        verbatim_definition=memorization.DEFINITION,
    )
    return environment
