"""A tiktoken rank file, the form in which Meta gives the Llama 3 tokenizer."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

from brightrun.errors import ModelError
from brightrun.templating.tokenizer import Tokens

# Longer runs of white space overflow the stack of tiktoken's pattern matcher (openai/tiktoken issue 195).
# Meta's tokenizer cuts runs at the same places, so that even such texts get the same ids.
_MAX_RUN = 25_000
_RUN = re.compile(rf"\s{{{_MAX_RUN}}}(?=\s)|\S{{{_MAX_RUN}}}(?=\S)")
# System prompts, role names and the messages of a conversation come again and again; longer ones are not kept.
_REMEMBERED_TEXTS = 64
_REMEMBERED_CHARACTERS = 8_000


class RankTokenizer:
    """A `tiktoken.Encoding` of ranks, a splitting pattern, and control tokens that follow the last rank."""

    special_ids: Mapping[str, int]

    def __init__(self, name: str, ranks: dict[bytes, int], pattern: str, special: Sequence[str]) -> None:
        import tiktoken

        self.special_ids = {token: len(ranks) + number for number, token in enumerate(special)}
        self._special_numbers = frozenset(self.special_ids.values())
        self._control = re.compile("(" + "|".join(map(re.escape, special)) + ")")
        self._inner = tiktoken.Encoding(
            name, pat_str=pattern, mergeable_ranks=ranks, special_tokens=dict(self.special_ids)
        )
        self._parts_of_it = (pattern, ranks, tuple(special))
        self._remembered = lru_cache(maxsize=_REMEMBERED_TEXTS)(self._plain_ids)
        by_token = ranks | {token.encode(): number for token, number in self.special_ids.items()}
        self._beginnings = _beginnings(by_token)
        self._inner_starts = frozenset(
            number for token, number in by_token.items() if not token.isascii() and _continues(token[0])
        )

    @cached_property
    def fingerprint(self) -> str:
        pattern, ranks, special = self._parts_of_it
        digest = sha256(repr((pattern, special)).encode())
        for token, rank in ranks.items():
            digest.update(b"%d %d %s" % (rank, len(token), token))
        return digest.hexdigest()

    def tokens(self, text: str) -> Tokens:
        ids = self.ids(text)
        return Tokens(ids, self._offsets(ids))

    def ids(self, text: str) -> list[int]:
        ids: list[int] = []
        for number, piece in enumerate(self._control.split(text)):
            if number % 2:
                ids.append(self.special_ids[piece])
            elif piece:
                ids += self._remembered(piece) if len(piece) <= _REMEMBERED_CHARACTERS else self._plain_ids(piece)
        return ids

    def token_id(self, token: str) -> int | None:
        try:
            return self._inner.encode_single_token(token)
        except KeyError:
            return None

    def text(self, ids: Sequence[int], *, skip_special: bool) -> str:
        kept = [number for number in ids if not (skip_special and number in self._special_numbers)]
        return self._inner.decode(kept)

    def _plain_ids(self, piece: str) -> list[int]:
        """Of a text without control strings."""
        ids: list[int] = []
        for part in _parts(piece):
            ids += self._inner.encode_ordinary(part)
        return ids

    def _offsets(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Character ranges: characters are counted at their first byte."""
        ends = list(accumulate(map(self._beginnings.__getitem__, ids)))
        starts = [0, *ends[:-1]] if ends else []
        if not self._inner_starts.isdisjoint(ids):
            starts = [start - (number in self._inner_starts) for start, number in zip(starts, ids, strict=True)]
        return list(zip(starts, ends, strict=True))


def read_ranks(path: Path) -> dict[bytes, int]:
    """The ranks of a tiktoken file: on every line a token in base64 and its number. Raises ModelError."""
    ranks: dict[bytes, int] = {}
    try:
        for line in path.read_bytes().splitlines():
            if parts := line.split():
                token, rank = parts
                ranks[binascii.a2b_base64(token, strict_mode=True)] = int(rank)
    except (OSError, ValueError, binascii.Error) as error:
        raise ModelError(f"{path}: not a readable tiktoken file ({error}).") from error
    return ranks


def _parts(text: str) -> Iterator[str]:
    """`text` in parts that tiktoken can take; almost always the text itself."""
    done = 0
    if len(text) > _MAX_RUN:
        for run in _RUN.finditer(text):
            yield text[done : run.end()]
            done = run.end()
    yield text[done:]


def _beginnings(by_token: Mapping[bytes, int]) -> list[int]:
    """How many characters begin in each token, by its id."""
    counts = [0] * (max(by_token.values(), default=-1) + 1)
    for token, number in by_token.items():
        counts[number] = len(token) if token.isascii() else sum(not _continues(byte) for byte in token)
    return counts


def _continues(byte: int) -> bool:
    """Whether a UTF-8 byte is a second, third or fourth one of its character."""
    return byte & 0b1100_0000 == 0b1000_0000
