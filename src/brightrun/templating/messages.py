"""What chat templates speak: messages. Knows nothing of tokens or files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `learnt` marks an answer that is trained on."""

    role: Role
    content: str
    trained: bool = False
