"""A tokenizer.json as pulled models carry it, through the `tokenizers` library."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from brightrun.errors import ModelError
from brightrun.templating.tokenizer import Tokens

if TYPE_CHECKING:
    import tokenizers


class JsonTokenizer:
    """`tokenizers.Tokenizer` with everything switched off that adds, cuts or trims behind our back."""

    special_ids: Mapping[str, int]

    def __init__(self, inner: tokenizers.Tokenizer, also_special: Collection[str] = ()) -> None:
        # The post-processor adds a second BOS and, in byte-level ones, trims white space off the offsets.
        inner.post_processor = None
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        added = inner.get_added_tokens_decoder().items()
        self.special_ids = {
            token.content: number for number, token in added if token.special or token.content in also_special
        }

    @cached_property
    def fingerprint(self) -> str:
        return sha256(self._inner.to_str().encode()).hexdigest()

    def tokens(self, text: str) -> Tokens:
        encoding = self._inner.encode(text, add_special_tokens=False)
        return Tokens(encoding.ids, encoding.offsets)

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self._inner.encode_batch_fast([text], add_special_tokens=False)[0].ids
        return ids

    def token_id(self, token: str) -> int | None:
        number: int | None = self._inner.token_to_id(token)
        return number

    def text(self, ids: Sequence[int], *, skip_special: bool) -> str:
        decoded: str = self._inner.decode(list(ids), skip_special_tokens=skip_special)
        return decoded


def read_tokenizer_json(path: Path, also_special: Collection[str] = ()) -> JsonTokenizer:
    """Read `path`; added tokens in `also_special` are control tokens even where the file does not say so.

    Raises:
        ModelError: The library cannot read the file.
    """
    import tokenizers

    try:
        inner = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower one
        raise ModelError(
            f"{path}: not a readable tokenizer ({error}).",
            hint="Pull the model again with `brightrun model pull`.",
        ) from error
    return JsonTokenizer(inner, also_special)
