"""What the chat room asks of any tokenizer: ids with the characters that they cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenized text.

    `offsets` holds, for every id, the half-open range of characters (not bytes) it covers. Where one
    character is spread over several tokens, each of them covers that whole character.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer(Protocol):
    """Text to ids and back. Control strings in the text become control tokens; none is ever added."""

    special_ids: Mapping[str, int]

    @property
    def fingerprint(self) -> str:
        """A sha256 over everything that decides which ids a text gets."""
        ...

    def tokens(self, text: str) -> Tokens: ...

    def ids(self, text: str) -> list[int]: ...

    def token_id(self, token: str) -> int | None: ...

    def text(self, ids: Sequence[int], *, skip_special: bool) -> str: ...
