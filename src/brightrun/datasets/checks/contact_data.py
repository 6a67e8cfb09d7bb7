"""Mail addresses and phone numbers of people: a model trained on them can be made to say them."""

from __future__ import annotations

from brightrun.datasets.checks.text_check import TextCheck
from brightrun.datasets.findings import Severity
from brightrun.datasets.sensitive_data import find_contacts, masked

NAME = "contact_data"
EXPLANATION = (
    "These texts contain mail addresses or phone numbers, which the model may say to others. They are shown masked. "
    "Toll-free numbers, and addresses and numbers reserved for examples, are not counted."
)
FIX = "Where they are a person's, replace them with invented ones; the domain example.com is reserved for that."


class ContactData(TextCheck):
    """Only information as long as none is in an answer that is trained on."""

    name, explanation, fix = NAME, EXPLANATION, FIX

    def describe(self, text: str) -> str | None:
        found = find_contacts(text)
        return "; ".join(f"{one.kind} {masked(text[one.start : one.end])}" for one in found[:3]) or None

    def severity(self) -> Severity:
        return "warning" if self.trained else "info"
