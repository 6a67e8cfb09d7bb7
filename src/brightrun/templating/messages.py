"""What chat templates speak: messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `trained` marks an answer that is trained on."""

    role: Role
    content: str
    trained: bool = False
