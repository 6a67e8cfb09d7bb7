"""Answers that call the client by a name nobody has told: the model learns to call anybody by it."""

from __future__ import annotations

import re
from collections import Counter

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally

NAME = "unprompted_name"
EXPLANATION = (
    "These answers call the client by a name that stands neither in the system prompt nor in "
    "anything the client wrote. "
    "Trained like this, it will call anybody by these names. {done}"
)
EXPORTED = "The system prompt was kept as it is."
PROFILED = "The client's profile was put into the system prompt, and the name is not in it either."
FIX = (
    "Read the file with --client-profile system_prompt, which appends the client's persona and "
    "background to the system "
    "prompt, so that the name has a reason; or keep it as it is, knowingly."
)

_WORD = r"[A-ZÀ-Þ][a-zß-ÿ’'-]+"
_AT_START = re.compile(rf"^({_WORD}),")
_MIDDLE = re.compile(rf", ({_WORD})[,.!?]")
_GREETING = re.compile(rf"\b(?:Hi|Hello|Hey|Dear|Thank you|Thanks|Welcome),? ({_WORD})\b")
_NO_NAMES = frozenset(
    """
    Again Also Absolutely Actually All And Anyway Because But Congratulations Everyone Exactly Finally
    First Good Great Hello Here Hey Hi However I If In It Let Look Lastly Later Next No Now Of Oh Okay
    On Once One Or Perfect Please Right Second So Sometimes Sure Take Thank Thanks That The Then There
    These They Third This Those Though Today Together Tomorrow Tonight Two Until We Well What When Which
    While Wonderful Yes Yesterday Yet You Your Monday Tuesday Wednesday Thursday Friday Saturday Sunday
    January February March April May June July August September October November December
    """.split()  # noqa: SIM905 - read as words
)
_NAMES_KEPT = 1000


class UnpromptedName:
    """Counts answers, and which names they use."""

    def __init__(self, *, profile_added: bool) -> None:
        self._found = Tally()
        self._names: Counter[str] = Counter()
        self._profile_added = profile_added

    def inspect(self, conversation: Conversation) -> None:
        names = unprompted_names(conversation)
        for turn in conversation.answers if names else ():
            used = next((name for name in sorted(names) if _says(turn.content, name)), None)
            if used is None or not turn.target:
                continue
            self._found.add(f"calls the client {used}", conversation=conversation.id, turn=turn.number)
            if used in self._names or len(self._names) < _NAMES_KEPT:
                self._names[used] += 1

    def findings(self) -> list[Finding]:
        common = ", ".join(f"{name} ({count})" for name, count in self._names.most_common(5))
        done = PROFILED if self._profile_added else EXPORTED
        explanation = EXPLANATION.format(done=done) + (f" Names: {common}." if common else "")
        return self._found.finding(NAME, "warning", explanation, FIX)


def unprompted_names(conversation: Conversation) -> set[str]:
    """Names that answers may call the client by and that stand nowhere in what the model is given."""
    candidates = _persona_names(conversation) | _vocatives([turn.content for turn in conversation.answers])
    if not candidates:
        return candidates
    given = " ".join([conversation.system or "", *(turn.content for turn in conversation.turns if turn.role == "user")])
    return {name for name in candidates if not _says(given, name)}


def _persona_names(conversation: Conversation) -> set[str]:
    """The first name in `Marcus Chen - The Overwhelmed Avoider`; none in a bare type of person."""
    person, dash, _ = (conversation.client_persona or "").partition(" - ")
    words = person.split()
    if not dash or not words or words[0] in {"The", "A", "An", "Dr.", "Mr.", "Mrs.", "Ms."}:
        return set()
    return {words[0]} if re.fullmatch(_WORD, words[0]) else set()


def _vocatives(answers: list[str]) -> set[str]:
    """Words used as an address: in a greeting, or both at an answer's beginning and amid another sentence."""
    openings = {match.group(1) for text in answers if (match := _AT_START.match(text))}
    amid = {name for text in answers for name in _MIDDLE.findall(text)}
    if not openings and not amid:
        return set()
    greeted = {name for text in answers for name in _GREETING.findall(text)}
    return {name for name in (openings & amid) | (greeted & (openings | amid)) if name not in _NO_NAMES}


def _says(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
