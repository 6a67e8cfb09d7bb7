"""Both tokenizers: characters that each token covers, control strings, and texts that break naive ones."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.errors import ModelError
from brightrun.templating.tokenizer import Tokenizer
from brightrun.templating.tokenizer_json import JsonTokenizer
from brightrun.templating.tokenizer_tiktoken import RankTokenizer, read_ranks
from tests.unit.tiny_chat_model import tokenizer_json

BYTES = {bytes([byte]): byte for byte in range(256)}
RANKS = BYTES | {b"th": 256, b"the": 257, "é".encode(): 258, " é".encode(): 259, b"\n\n": 260}


@pytest.fixture(scope="module")
def rank_tokenizer() -> RankTokenizer:
    return RankTokenizer("tiny", RANKS, r" ?\p{L}+|\s+|[^\s\p{L}]+", ["<|im_start|>", "<|im_end|>"])


@pytest.fixture(scope="module", params=["json", "tiktoken"])
def tokenizer(request: pytest.FixtureRequest, rank_tokenizer: RankTokenizer) -> Tokenizer:
    if request.param == "tiktoken":
        return rank_tokenizer
    return JsonTokenizer(tokenizers.Tokenizer.from_str(tokenizer_json(llama3_split=False)))


@pytest.mark.parametrize("text", ["", "the", "é🥐é", "the\n\nthe  é", "a<|im_end|>é\n<|im_start|>🥐", "𝔘 ñ 中文"])
def test_offsets_cover_the_text_character_by_character(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.tokens(text)
    assert tokens.ids == tokenizer.ids(text)
    assert tokenizer.text(tokens.ids, skip_special=False) == text
    covered = {index for start, end in tokens.offsets for index in range(start, end)}
    assert covered == set(range(len(text)))
    assert tokens.offsets == sorted(tokens.offsets)
    assert all(start < end for start, end in tokens.offsets)


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_tokens_made_of_whole_characters_cover_just_those(text: str) -> None:
    tokenizer = RankTokenizer("tiny", RANKS, r" ?\p{L}+|\s+|[^\s\p{L}]+", ["<|end|>"])
    tokens = tokenizer.tokens(text)
    pieces = [text[start:end] for start, end in tokens.offsets]
    for number, piece in zip(tokens.ids, pieces, strict=True):
        token = next(known for known, rank in RANKS.items() if rank == number)
        assert token in piece.encode()


def test_a_character_spread_over_tokens_belongs_to_each(rank_tokenizer: RankTokenizer) -> None:
    tokens = rank_tokenizer.tokens("a🥐b")
    assert tokens.ids == [97, *"🥐".encode(), 98]
    assert tokens.offsets == [(0, 1), *[(1, 2)] * 4, (2, 3)]


def test_control_strings_become_control_tokens(tokenizer: Tokenizer) -> None:
    ids = tokenizer.ids("a<|im_end|>")
    assert ids[-1] == tokenizer.special_ids["<|im_end|>"] == tokenizer.token_id("<|im_end|>")
    assert tokenizer.text(ids, skip_special=True) == "a"
    assert tokenizer.token_id("<|no such token|>") is None


@pytest.mark.parametrize("character", [" ", "x", "é"])
def test_very_long_runs_are_tokenized(rank_tokenizer: RankTokenizer, character: str) -> None:
    text = f"the {character * 60_000} the"
    tokens = rank_tokenizer.tokens(text)
    assert rank_tokenizer.text(tokens.ids, skip_special=False) == text
    assert tokens.offsets[-1] == (len(text) - 3, len(text))


def test_very_long_texts_are_tokenized(rank_tokenizer: RankTokenizer) -> None:
    text = "the é\n\n" * 70_000
    assert rank_tokenizer.text(rank_tokenizer.ids(text), skip_special=False) == text


def test_a_text_that_comes_again_gets_the_same_tokens_whatever_a_caller_did_to_the_first() -> None:
    tokenizer = RankTokenizer("tiny", RANKS, r" ?\p{L}+|\s+|[^\s\p{L}]+", ["<|end|>"])
    first = tokenizer.ids("the é")
    expected = list(first)
    first.append(0)
    assert tokenizer.ids("the é") == expected
    assert tokenizer.ids("the é<|end|>the é") == [*expected, tokenizer.special_ids["<|end|>"], *expected]


def test_control_strings_beyond_ascii_have_their_characters() -> None:
    tokenizer = RankTokenizer("tiny", RANKS, r" ?\p{L}+|\s+|[^\s\p{L}]+", ["<\uff5cend\uff5c>"])
    assert tokenizer.tokens("a<\uff5cend\uff5c>b").offsets == [(0, 1), (1, 8), (8, 9)]


def test_ranks_are_read_from_metas_form(tmp_path: Path) -> None:
    lines = [base64.b64encode(token) + b" %d" % rank for token, rank in RANKS.items()]
    (tmp_path / "tokenizer.model").write_bytes(b"\n".join(lines) + b"\n")
    assert read_ranks(tmp_path / "tokenizer.model") == RANKS


@pytest.mark.parametrize("content", [b"IQ==", b"IQ== one", b"!!!! 1", b"IQ== 1 2"])
def test_a_damaged_rank_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(ModelError, match=r"tokenizer\.model: not a readable tiktoken file"):
        read_ranks(tmp_path / "tokenizer.model")
