"""Secrets and contacts: found where they are, never shown whole, and not taken for other numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.datasets.checks.contact_data import ContactData
from brightrun.datasets.checks.exposed_secrets import ExposedSecrets
from tests.unit.content_checks import LONG, audited, found_in, found_in_answer
from tests.unit.test_datasets_builders import (
    checks,
    finding,
    said,
)

# Secrets and contacts


def keys() -> list[str]:
    """Put together here, so that no file contains what looks like a key."""
    return [
        "sk-" + "a1B2" * 6, "sk-ant-api03-" + "a1B2" * 6, "hf_" + "aB1" * 11, "ghp_" + "aB12" * 9,
        "github_pat_" + "aB1" * 9, "AKIA" + "QW12" * 4, "xoxb-" + "12345-abc" * 2, "AIza" + "aB-1_" * 7,
        "eyJhbGciOiJI." + "eyJzdWIiOiIx." + "abc123", "Bearer " + "a1B2" * 6, "sk_live_" + "aB12" * 5,
        "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIa\n-----END RSA PRIVATE " + "KEY-----",
    ]  # fmt: skip


SECRETS = [
    *keys(), "4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "3714 496353 98431", "6011000990139424",
    "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "FR14 2004 1010 0505 0001 3M02 606", "219-09-9999",
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_and_only_its_ends_are_shown(secret: str, tmp_path: Path) -> None:
    (told,) = found_in(ExposedSecrets(), f"It is {secret}, thanks.", LONG)
    shown = told.examples[0].detail
    assert "…" in shown
    assert len(shown.split(" ")[-1]) <= 9
    report = audited(tmp_path, [f"It is {secret}.", f"Use {secret}"], said("rent"))
    assert finding(report, "exposed_secrets").count == 2
    assert "short_answers" in checks(report, "warning"), "whose excerpt holds it as well"
    for hidden in (secret, secret[4:-4], secret.replace(" ", "")[4:-4]):
        assert hidden not in report.model_dump_json()


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "1234 5678 9012 3456",
        "4111111111111111111111",
        "DE89 3704 0044 0532 0130 01",
        "XX12 3456 7890 1234",
        "000-12-3456",
        "219-09-99999",
        "2019 2020 2021 2022",
        "$1,234,567,890",
        "sk-learn",
        "task-force-of-2024-and-more-words",
        "AKIA",
        "hf_hub",
        "eyJ",
        "ISBN 978-3-16-148410-0",
        "sk-your-api-key-goes-right-here",
        "Bearer of good news and of more",
    ],
)
def test_other_numbers_and_words_are_no_secrets(text: str) -> None:
    assert not found_in_answer(ExposedSecrets(), text)


CONTACTS = ["ada@lovelace.org", "a.b+c@mail.co.uk", "(212) 867-5309", "212-867-5309", "212.867.5309",
 "+1 212 867 5309",
            "+49 30 1234567", "+44 (0)20 7946 0958", "+33 1 23 45 67 89"]  # fmt: skip


@pytest.mark.parametrize("contact", CONTACTS)
def test_a_contact_is_found_and_masked(contact: str) -> None:
    (told,) = found_in(ContactData(), "How?", f"Reach me: {contact}.")
    assert told.severity == "warning"
    assert contact not in told.model_dump_json()
    (asked,) = found_in(ContactData(), f"I am {contact}", LONG)
    assert asked.severity == "info", "what users say is not trained on"


@pytest.mark.parametrize(
    "text",
    [
        "ada@example.com",
        "a@mail.example.org",
        "x@host.test",
        "1-800-273-8255",
        "888-555-1212",
        "212-555-0187",
        "(555) 123-4567",
        "call 988",
        "2024-01-15 2024-02-15",
        "@ada",
        "10.0.0.1 10.0.0.2",
        "$212-867-5309",
        "401(k) 2024",
        "123-456-7890",
    ],
)
def test_reserved_and_public_numbers_are_no_contacts(text: str) -> None:
    assert not found_in_answer(ContactData(), text)


@given(st.text(alphabet="0123456789", min_size=15, max_size=15), st.sampled_from(["", " ", "-"]))
def test_one_check_digit_of_ten_makes_a_card(digits: str, gap: str) -> None:
    numbers = [f"4{digits[1:]}{last}" for last in range(10)]
    grouped = [gap.join(number[at : at + 4] for at in range(0, 16, 4)) for number in numbers]
    assert sum(found_in_answer(ExposedSecrets(), f"Card {number}") for number in grouped) == 1


def test_what_is_two_things_at_once_is_told_once() -> None:
    (told,) = found_in(ContactData(), "How?", "Write to +4912345678@post.de please.")
    assert told.examples[0].detail == "mail address +491…t.de"
