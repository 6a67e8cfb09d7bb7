"""The header's counts beside the body's: real headers count all turns as training pairs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally

NAME = "header_counts"
EXPLANATION = "What the file says of its size is not what it holds. The counts of the body are the ones used."
FIX = "Check that the file is whole: compare it with its source, or export it again."


class HeaderCounts(BaseModel):
    """The four counts side by side; absent where the header does not say."""

    model_config = ConfigDict(frozen=True)

    header_conversations: int | None = Field(description="Conversations, as the header says.")
    header_pairs: int | None = Field(description="Training pairs, as the header says; real files count every turn.")
    conversations: int
    turns: int
    answers: int


class HeaderCheck:
    def __init__(self) -> None:
        self._wrong = Tally()

    def inspect(self, conversation: Conversation) -> None:
        stated = conversation.stated_turns
        if stated is not None and stated != len(conversation.turns):
            self._wrong.add(
                f"says {stated} turns, has {len(conversation.turns)}",
                conversation=conversation.id,
            )

    def compare(self, counts: HeaderCounts) -> None:
        """Call once, at the end."""
        stated = counts.header_conversations
        if stated is not None and stated != counts.conversations:
            self._wrong.add(f"the header says {stated} conversations, the file holds {counts.conversations}")
        pairs = counts.header_pairs
        if pairs is not None and pairs not in (counts.turns, counts.answers):
            self._wrong.add(
                f"the header says {pairs} training pairs, the file holds {counts.turns} turns and "
                f"{counts.answers} answers"
            )

    def findings(self) -> list[Finding]:
        return self._wrong.finding(NAME, "warning", EXPLANATION, FIX)
