"""What checks of single texts have in common: they look at each message by itself and count what they find."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import ClassVar

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Severity, Tally
from brightrun.templating.messages import Role

ALL_ROLES: frozenset[Role] = frozenset({"system", "user", "assistant"})
ANSWERS: frozenset[Role] = frozenset({"assistant"})


class TextCheck(ABC):
    """Counts texts with a defect; changes nothing.

    Attributes:
        roles: Whose texts are looked at.
        found: The texts with the defect.
        by_role: How many there are of each role.
        trained: How many are answers that are trained on.
    """

    name: ClassVar[str]
    explanation: ClassVar[str]
    fix: ClassVar[str]
    roles: ClassVar[frozenset[Role]] = ALL_ROLES

    def __init__(self) -> None:
        self.found = Tally()
        self.by_role: Counter[Role] = Counter()
        self.trained = 0
        self._last_system: tuple[str, str | None] = ("", None)  # most files have one system prompt, many times

    @abstractmethod
    def describe(self, text: str) -> str | None:
        """What is wrong with the text, as an example's detail without any secret; None where nothing is."""

    def severity(self) -> Severity:
        return "warning"

    def inspect(self, conversation: Conversation) -> None:
        if conversation.system is not None and "system" in self.roles:
            detail = self._in_system(conversation.system)
            if detail is not None:
                self.found.add(f"in the system prompt: {detail}", conversation=conversation.id)
                self.by_role["system"] += 1
        for turn in conversation.turns:
            if turn.role not in self.roles:
                continue
            detail = self.describe(turn.content)
            if detail is not None:
                self.found.add(detail, conversation=conversation.id, turn=turn.number)
                self.by_role[turn.role] += 1
                self.trained += turn.trainable

    def findings(self) -> list[Finding]:
        explanation = self.explanation
        if self.roles != ANSWERS:
            explanation += f" {self.trained} of {self.found.count} are in answers that are trained on."
        return self.found.finding(self.name, self.severity(), explanation, self.fix)

    def _in_system(self, text: str) -> str | None:
        if text != self._last_system[0]:
            self._last_system = (text, self.describe(text))
        return self._last_system[1]
