"""Secrets and personal data in a text: where they stand, and how to show them without giving them away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

# Prefixes that providers publish so that leaked keys can be found. The literal is looked for first, which is fast;
# those with an underscore only where there is one.
_KEYS = {
    "sk-": r"\bsk-(?=[\w-]{0,200}\d)[\w-]{20,}",  # OpenAI, Anthropic and others of their manner
    "xox": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    "glpat-": r"\bglpat-[\w-]{20,}",  # GitLab
    "AKIA": r"\bAKIA[0-9A-Z]{16}\b",  # Amazon, lasting and temporary
    "ASIA": r"\bASIA[0-9A-Z]{16}\b",
    "AIza": r"\bAIza[\w-]{35}",  # Google
    "eyJ": r"(?<![\w-])eyJ[\w-]{8,1000}\.eyJ[\w-]{8,}(?:\.[\w-]*)?",  # a JSON Web Token
    "earer ": r"\b[Bb]earer (?=[\w.~+/-]{0,200}\d)[\w.~+/-]{20,}=*",
    "PRIVATE KEY": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]{0,40}PRIVATE KEY-----|[\s\S]*)",
}
_KEYS_WITH_UNDERSCORE = {
    "k_live_": r"\b[sr]k_live_\w{16,}",  # Stripe
    "k_test_": r"\b[sr]k_test_\w{16,}",
    "hf_": r"\bhf_[A-Za-z0-9]{30,}",  # Hugging Face
    "gh": r"\bgh[oprsu]_[A-Za-z0-9]{36,}",  # GitHub
    "github_pat_": r"\bgithub_pat_\w{22,}",
    "npm_": r"\bnpm_[A-Za-z0-9]{36,}",
}
_KEY_PATTERNS = [(literal, re.compile(pattern)) for literal, pattern in _KEYS.items()]
_ALL_PATTERNS = _KEY_PATTERNS + [(literal, re.compile(pattern)) for literal, pattern in _KEYS_WITH_UNDERSCORE.items()]
_KINDS = {"PRIVATE KEY": "private key", "eyJ": "token", "earer ": "token"}  # of the others: key

# Eight digits in a row or more, at most three blanks and marks between two: in such runs, with the marks before them,
# all kinds of numbers are looked for. It begins with a digit, so that the search for one is fast.
_DIGITS = re.compile(r"[0-9](?:[ .()-]{0,3}[0-9]){7,}")
_BEFORE = 3  # as in `(+`
_REMEMBERED_CHARACTERS = 8_000
# Issuers' prefixes and the ways digits are grouped: ISO/IEC 7812 and the schemes' own documents.
_CARD = re.compile(
    r"(?<![\w.,/$€£#=-])(?:"
    r"(?:4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6(?:011|5[0-9]{2}|4[4-9][0-9])|35[0-9]{2}|62[0-9]{2})"
    r"(?P<one>[ -]?)[0-9]{4}(?P=one)[0-9]{4}(?P=one)(?:[0-9]{4}(?P=one)[0-9]{1,3}|[0-9]{1,4})"
    r"|3[47][0-9]{2}(?P<two>[ -]?)[0-9]{6}(?P=two)[0-9]{5}"
    r"|3(?:0[0-5]|[68][0-9])[0-9](?P<three>[ -]?)[0-9]{6}(?P=three)[0-9]{4}"
    r")(?![\w/%]|[.,-][0-9])"
)
# Numbers of the United States' Social Security: no group is all zeros, none begins with 666 or 9 (ssa.gov).
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])")
# The North American Numbering Plan: neither area nor exchange begins with 0 or 1.
_US_PHONE = re.compile(
    r"(?<![\w.,/$€£#=+-])(?:"
    r"\+1[ .-]?\(?(?P<a1>[2-9][0-9]{2})\)?[ .-]?(?P<e1>[2-9][0-9]{2})[ .-]?(?P<l1>[0-9]{4})"
    r"|(?:1[ .-]?)?(?:\((?P<a2>[2-9][0-9]{2})\)[ .-]?|(?P<a3>[2-9][0-9]{2})[.-])"
    r"(?P<e2>[2-9][0-9]{2})[ .-](?P<l2>[0-9]{4})"
    r")(?![\w/%]|[.,-][0-9])"
)
# E.164: a country code and at most 15 digits in all; those of country 1 are above.
_PHONE = re.compile(r"(?<![\w.+-])\+[2-9](?:[ .-]?[()]?[ .-]?[0-9]){7,14}(?![\w/%])")
_TOLL_FREE = frozenset({"800", "833", "844", "855", "866", "877", "888"})  # companies and helplines, not persons
_NOT_ASSIGNED = "555"
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}\b")
# Reserved for examples by RFC 2606 and RFC 6761.
_RESERVED_DOMAINS = re.compile(
    r"(?:^|[@.])(?:example\.(?:com|net|org|edu)|example|test|invalid|localhost)$", re.IGNORECASE
)

_IBAN = re.compile(r"\b[A-Z]{2}[0-9]{2}[ -]?(?:[A-Z0-9]{4}(?:[ -][A-Z0-9]{1,4}){2,7}|[A-Z0-9]{11,30})\b")
# Characters of an account number by country: SWIFT, IBAN Registry.
_IBAN_LENGTHS = {
    entry[:2]: int(entry[2:])
    for entry in """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18
    FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21
    LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27
    ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
    """.split()  # noqa: SIM905 - read as words
}


class Sensitive(NamedTuple):
    """One place, half-open, and what stands there."""

    start: int
    end: int
    kind: str


def find_secrets(text: str) -> list[Sensitive]:
    """Keys, tokens, card numbers, bank accounts and social security numbers, in the text's order."""
    found = _keys(text)
    runs = _digit_runs(text)
    for start, end in runs:
        cards = (match for match in _CARD.finditer(text, start, end) if is_luhn(re.sub(r"[ -]", "", match.group())))
        found += [Sensitive(*match.span(), "card number") for match in cards]
        found += [Sensitive(*match.span(), "social security number") for match in _SSN.finditer(text, start, end)]
    found += _ibans(text) if runs else ()
    return _in_order(found)


def find_contacts(text: str) -> list[Sensitive]:
    """Mail addresses and phone numbers, in the text's order.

    Not among them: domains reserved for examples, numbers reserved for fiction, and toll-free numbers.
    """
    found = []
    if "@" in text:
        found += [
            Sensitive(*match.span(), "mail address")
            for match in _MAIL.finditer(text)
            if not _RESERVED_DOMAINS.search(match.group())
        ]
    for start, end in _digit_runs(text):
        national = (match for match in _US_PHONE.finditer(text, start, end) if _belongs_to_a_person(match))
        for match in chain(_PHONE.finditer(text, start, end), national):
            found.append(Sensitive(*match.span(), "phone number"))
    return _in_order(found)


def masked(value: str) -> str:
    """A secret's first and last characters: four of each where it is long, else two."""
    shown = 4 if len(value) >= 16 else 2
    return f"{value[:shown]}…{value[-shown:]}"


def without_secrets(text: str) -> str:
    """`text` with every secret and contact in it masked."""
    pieces, position = [], 0
    for start, end, _ in _in_order(find_secrets(text) + find_contacts(text)):
        pieces += [text[position:start], masked(text[start:end])]
        position = end
    return "".join([*pieces, text[position:]])


def is_luhn(digits: str) -> bool:
    """The check digit of card numbers, ISO/IEC 7812-1 annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_iban(account: str) -> bool:
    """The check digits of an account number without blanks, ISO 13616: 97 divides it with a remainder of 1."""
    rearranged = account[4:] + account[:4]
    return int("".join(str(int(character, 36)) for character in rearranged)) % 97 == 1


def _keys(text: str) -> list[Sensitive]:
    found: list[Sensitive] = []
    for literal, pattern in _ALL_PATTERNS if "_" in text else _KEY_PATTERNS:
        if literal in text:
            kind = _KINDS.get(literal, "key")
            found += (Sensitive(*match.span(), kind) for match in pattern.finditer(text))
    return found


def _ibans(text: str) -> Iterator[Sensitive]:
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match.group()[:2])
        end, characters = match.start(), 0
        while length and end < match.end() and characters < length:
            characters += text[end].isalnum()
            end += 1
        if characters == length and is_iban(re.sub(r"[ -]", "", text[match.start() : end])):
            yield Sensitive(match.start(), end, "bank account")


def _digit_runs(text: str) -> tuple[tuple[int, int], ...]:
    """Where numbers may stand, with the few characters around that tell whether they are numbers of such kinds."""
    return _remembered_runs(text) if len(text) <= _REMEMBERED_CHARACTERS else _find_runs(text)


def _find_runs(text: str) -> tuple[tuple[int, int], ...]:
    return tuple((max(0, match.start() - _BEFORE), match.end() + 2) for match in _DIGITS.finditer(text))


# Secrets and contacts are looked for one after the other in all messages of a conversation.
_remembered_runs = lru_cache(maxsize=64)(_find_runs)


def _belongs_to_a_person(phone: re.Match[str]) -> bool:
    """Neither toll-free nor kept for fiction, which 555-0100 to 555-0199 are; area code 555 is nobody's."""
    area, exchange, line = (group for group in phone.groups() if group)
    fictional = area == _NOT_ASSIGNED or (exchange == _NOT_ASSIGNED and line.startswith("01"))
    return not fictional and area not in _TOLL_FREE


def _in_order(found: list[Sensitive]) -> list[Sensitive]:
    """By place, without those that begin inside an earlier one."""
    kept: list[Sensitive] = []
    for one in sorted(found, key=lambda each: (each.start, -each.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept
