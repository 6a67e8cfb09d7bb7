"""What chat templates speak: messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the assistant makes; `arguments` is the text of a JSON object, `id` what its result refers to."""

    name: str
    arguments: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `trained` marks an answer that is trained on.

    Attributes:
        weight: How much a trained answer counts in the training loss, beside the 1 of any other.
        reasoning: What the assistant thinks before it speaks.
        calls: The tools that the assistant calls; its `content` may then be empty.
        call_id: In a tool's message, the call that it answers.
        name: In a tool's message, the tool.
        tools: On the first message alone, the tools that may be called, each the text of a JSON object
            (`{"type": "function", "function": {"name": ..., "parameters": ...}}`).
    """

    role: Role
    content: str
    trained: bool = False
    reasoning: str | None = None
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    name: str | None = None
    tools: tuple[str, ...] = ()
    weight: float = 1.0

    def texts(self) -> list[str]:
        """Everything in the message that a template may write."""
        calls = [text for call in self.calls for text in (call.name, call.arguments)]
        return [text for text in (self.content, self.reasoning, self.name, *calls, *self.tools) if text]
