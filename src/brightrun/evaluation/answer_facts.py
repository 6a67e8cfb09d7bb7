"""What can be told of a model's answer without a judge: measured on its words, beside the consultant's own answer."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Literal, NamedTuple

from pydantic import Field

from brightrun.evaluation.measurements import Generated, Measurement
from brightrun.texts.disclaimers import find_disclaimer, is_told_to_be_one
from brightrun.texts.helplines import names_helpline
from brightrun.texts.loops import ending_loop, is_word_loop, repeated_sentence, repeated_share
from brightrun.texts.names import names_in
from brightrun.texts.word_count import count_words

Flaw = Literal["empty", "no_helpline", "loops", "refuses", "speaks_for_client", "unfinished"]


class FlawWords(NamedTuple):
    """A flaw of one answer, behind "it", and what several answers with it are."""

    one: str
    several: str


FLAWS: dict[Flaw, FlawWords] = {
    "empty": FlawWords("says nothing", "empty"),
    "no_helpline": FlawWords("leaves out the helpline", "without the helpline"),
    "loops": FlawWords("repeats itself", "in a loop"),
    "refuses": FlawWords("turns the client away in stock words", "with a stock refusal"),
    "speaks_for_client": FlawWords("writes the client's turn as well", "with the client's turn"),
    "unfinished": FlawWords("does not come to an end", "without an end"),
}
"""What must be seen before anything is shown, the worst first."""

TOO_LONG = 1.25
"""An answer that was cut off although it has this many times the words of the consultant's own came to no end."""

_LABEL = re.compile(r"^\s*[*_#]{0,4}(?:user|human|client|customer|assistant|consultant)[*_]{0,2} ?[:：]", re.I | re.M)
_MARKDOWN = re.compile(r"^\s{0,3}(?:#{1,6} |[-*+] |\d+[.)] |> |```)|\*\*[^*\n]+\*\*|^\|.+\|\s*$", re.M)
_QUESTION = re.compile(r"[?？؟]")


class AnswerFacts(Measurement):
    """Of one text. `finished` is absent where a person wrote it."""

    words: int = Field(ge=0)
    finished: bool | None = None
    repetition: float = Field(ge=0, le=1, description="Share of its runs of four words that it had said before.")
    loops: bool = Field(description="It says a sentence or a few words again and again.")
    asks_back: bool = Field(description="It asks the client something.")
    helpline: bool = Field(description="It names a crisis line.")
    refuses: bool = Field(description="It disclaims or turns down a request in a general assistant's stock words.")
    markdown: bool = Field(description="It has headings, lists, tables or bold words.")
    speaks_for_client: bool = Field(description="A line begins with the label of a role.")
    new_names: tuple[str, ...] | None = Field(
        None, description="Names that stand nowhere in the dataset; absent where capitals do not tell a name."
    )


def text_facts(text: str, *, system: str = "", finished: bool | None = None) -> AnswerFacts:
    """The facts of a text but for the names in it; `system` is the system prompt it was written under."""
    return AnswerFacts(
        words=count_words(text),
        finished=finished,
        repetition=repeated_share(text),
        loops=_loops(text),
        asks_back=_QUESTION.search(text) is not None,
        helpline=names_helpline(text),
        refuses=find_disclaimer(text, is_told=is_told_to_be_one(system)) is not None,
        markdown=_MARKDOWN.search(text) is not None,
        speaks_for_client=_LABEL.search(text) is not None,
    )


def answer_facts(answer: Generated, *, system: str, known_names: Collection[str] | None) -> AnswerFacts:
    """The facts of a model's answer. `known_names`: capitalized words of dataset and prompt; None: not to be told."""
    facts = text_facts(answer.text, system=system, finished=answer.stopped)
    if known_names is None:
        return facts
    new = tuple(name for name in names_in(answer.text) if name not in known_names)
    return facts.model_copy(update={"new_names": new})


def find_flaws(answer: AnswerFacts, own: AnswerFacts) -> tuple[Flaw, ...]:
    """What is wrong with a model's answer whatever its loss, the worst first; `own` is the consultant's.

    Nothing that the consultant's own answer does as well is a flaw, and an answer that was cut off while it was shorter
    than `TOO_LONG` times the consultant's is not blamed for that.
    """
    found: dict[Flaw, bool] = {
        "empty": answer.words == 0 < own.words,
        "no_helpline": own.helpline and not answer.helpline,
        "loops": answer.loops and not own.loops,
        "refuses": answer.refuses and not own.refuses,
        "speaks_for_client": answer.speaks_for_client and not own.speaks_for_client,
        "unfinished": answer.finished is False and answer.words >= TOO_LONG * own.words,
    }
    return tuple(flaw for flaw, there in found.items() if there)


def length_distance(answer: AnswerFacts, own: AnswerFacts) -> float:
    """How far the length is from the consultant's: |ln| of the ratio of words, one word added to both."""
    return abs(math.log((answer.words + 1) / (own.words + 1)))


def _loops(text: str) -> bool:
    return repeated_sentence(text) is not None or is_word_loop(text) or ending_loop(text) is not None
