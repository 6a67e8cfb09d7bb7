"""Answers that say one sentence over and over, as a model in a loop does."""

from __future__ import annotations

from brightrun.datasets.checks.text_check import ANSWERS, TextCheck
from brightrun.datasets.findings import excerpt
from brightrun.texts.loops import is_word_loop, repeated_sentence

NAME = "repeated_sentences"
EXPLANATION = (
    "More than half of each of these answers is one sentence or a few words said again and again. A model learns such "
    "loops quickly and falls into them elsewhere."
)
FIX = "Remove these conversations; an answer that a model wrote in a loop has no good version."


class RepeatedSentences(TextCheck):
    name, explanation, fix = NAME, EXPLANATION, FIX
    roles = ANSWERS

    def describe(self, text: str) -> str | None:
        sentence = repeated_sentence(text)
        if sentence is not None:
            return f"{text.count(sentence)} times: {excerpt(sentence)}"
        return f"the same few words: {excerpt(text)}" if is_word_loop(text) else None
