"""Tool calls and reasoning for which the base model's chat template has no place: they would be left out unseen."""

from __future__ import annotations

from collections.abc import Sequence

from brightrun.datasets.conversation import Conversation
from brightrun.datasets.findings import Finding, Tally, excerpt
from brightrun.templating.places import Place

REASONING, TOOLS = "no_place_for_reasoning", "no_place_for_tools"
EXPLANATIONS = {
    REASONING: (
        "These answers come with reasoning, and this base model's chat template has no place for it. The file is "
        "refused for this model."
    ),
    TOOLS: (
        "These conversations use tools in a way that this base model's chat template has no place for. The file is "
        "refused for this model."
    ),
}
FIXES = {
    REASONING: (
        "Train on the answers alone with --reasoning leave-out, or choose a base model that reasons, such as Qwen3."
    ),
    TOOLS: (
        "Choose a base model that knows tools, such as Qwen3 or Llama 3.1, or leave such conversations out with "
        "--unreadable leave-out."
    ),
}


class NoPlace:
    """Counts the conversations that the template cannot write whole."""

    def __init__(self) -> None:
        self._found = {REASONING: Tally(), TOOLS: Tally()}

    @property
    def count(self) -> int:
        return sum(found.count for found in self._found.values())

    def add(self, conversation: Conversation, lacking: Sequence[Place]) -> None:
        """Count a conversation by what the template lacks for it."""
        tools = [place for place in lacking if place != "reasoning"]
        if len(tools) < len(lacking):
            turn = next(turn for turn in conversation.turns if turn.reasoning)
            self._found[REASONING].add(excerpt(turn.reasoning or ""), conversation=conversation.id, turn=turn.number)
        if tools:
            self._found[TOOLS].add(f"no place for {', '.join(tools)}", conversation=conversation.id)

    def findings(self) -> list[Finding]:
        return [
            finding
            for name, found in self._found.items()
            for finding in found.finding(name, "error", EXPLANATIONS[name], FIXES[name])
        ]
