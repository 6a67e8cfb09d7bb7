"""Keys, passwords of programs, card and account numbers: a model trained on them can be made to say them."""

from __future__ import annotations

from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.sensitive_data import find_secrets, masked

NAME = "exposed_secrets"
EXPLANATION = (
    "These texts contain what looks like a key, an access token, a card number, a bank account or a social security "
    "number. Whoever uses the model can make it say them. They are shown masked."
)
FIX = "Replace them with invented ones, and have keys that were real withdrawn where they were issued."


class ExposedSecrets(TextCheck):
    name, explanation, fix = NAME, EXPLANATION, FIX

    def describe(self, text: str) -> str | None:
        found = find_secrets(text)
        return "; ".join(f"{one.kind} {masked(text[one.start : one.end])}" for one in found[:3]) or None
