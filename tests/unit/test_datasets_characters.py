"""Broken characters and encodings, HTML, texts that show nothing, and words counted by script."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.datasets.blank_text import is_blank_text
from brightrun.datasets.checks.control_characters import ControlCharacters
from brightrun.datasets.checks.garbled_text import garbled_fragment
from brightrun.datasets.checks.html_remnants import HtmlRemnants
from brightrun.datasets.checks.unfinished_answers import seems_unfinished
from brightrun.datasets.code_spans import without_code
from brightrun.texts.word_count import count_words, counts_characters, text_units
from tests.unit.content_checks import LONG, audited, found_in, found_in_answer
from tests.unit.test_datasets_builders import (
    checks,
    finding,
    said,
)

# Characters, encodings, HTML, blank texts


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\x9b", "\ud83d", "\ufffe"])
def test_a_control_character_is_named_and_never_shown(character: str) -> None:
    (told,) = found_in(ControlCharacters(), "Hello there", f"Rest now{character} and sleep.")
    detail = told.examples[0].detail
    assert f"U+{ord(character):04X} at character 9" in detail
    assert character not in detail
    assert told.model_dump_json()


def test_line_breaks_tabs_and_joiners_are_no_control_characters() -> None:
    assert not found_in_answer(ControlCharacters(), "a\tb\r\nc \u200d \u200c é 你 👩\u200d👧 \u00a0")


@pytest.mark.parametrize(
    "meant", ["It’s", "café", "“Rest”", "naïve", "über", "5 €", "✅ done", "😀", "Привет", "你好", "£5", "100 °C"]
)
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_utf8_read_as_another_encoding_is_garbled(meant: str, encoding: str) -> None:
    garbled = "".join(
        bytes([byte]).decode(encoding if encoding == "latin-1" or byte not in b"\x81\x8d\x8f\x90\x9d" else "latin-1")
        for byte in meant.encode()
    )
    told = garbled_fragment(f"Well, {garbled} then.")
    assert told is not None
    assert told.meant in meant or "quotation mark" in told.meant


@pytest.mark.parametrize(
    "honest",
    [
        "It’s “fine” – café",
        "Das macht Spaß“, sagt sie",
        "viel Spaß… und",
        "IRMÃ… e",
        "É verdade",
        "MAÇÃ”",
        "À bientôt »",
        "été »",
        "Âge",
        "naïve âme",
        "Привет",
        "你好",
        "ÖÄÜ–",
        "𝒳 ☕ 5 €",
        "tânăr…”",
        "São Paulo",
        "É…É… sim",
    ],
)
def test_honest_letters_are_not_garbled(honest: str) -> None:
    assert garbled_fragment(honest) is None


@given(st.text(alphabet=st.characters(codec="ascii")), st.text(alphabet="éüñçàöß", min_size=1))
def test_garbling_latin_letters_is_always_seen_and_never_their_own(ascii_text: str, letters: str) -> None:
    honest = f"{ascii_text}a{letters}a"
    assert garbled_fragment(honest) is None
    assert garbled_fragment(honest.encode().decode("latin-1")) is not None


def test_lost_letters_and_garbled_ones_are_one_finding_and_no_control_characters(tmp_path: Path) -> None:
    texts = ["I donâ\x80\x99t know", f"Caf\ufffd and r\ufffdle. {LONG}"]
    report = audited(tmp_path, texts, said("rent"))
    told = finding(report, "garbled_text")
    assert told.count == 2
    assert "2 characters are lost" in told.examples[1].detail
    assert "control_characters" not in checks(report, "warning")


@pytest.mark.parametrize(
    "text",
    [
        "Rest &amp; sleep",
        "Don&#39;t",
        "&#x27;so&#x27;",
        "a&nbsp;b",
        "one<br>two",
        "<p>one",
        "</div>",
        "<BR/>",
        '<a href="https://a.b">there</a>',
        "<b>now</b>",
        "<span class=x>",
    ],
)
def test_html_in_prose_is_found(text: str) -> None:
    assert found_in_answer(HtmlRemnants(), text)


@pytest.mark.parametrize(
    "text",
    [
        "AT&T; and so",
        "Q&A",
        "R&D;",
        "if a<b and b>c",
        "the <div> tag",
        "`<br>` breaks a line",
        "```html\n<p>x</p>\n```",
        "5 < 6",
        "<name>",
        "I <3 you",
        "&unknownword;",
        "```\n<br>",
    ],
)
def test_code_and_comparisons_are_no_html(text: str) -> None:
    assert not found_in_answer(HtmlRemnants(), text)


def test_html_that_only_users_wrote_is_information() -> None:
    (users,) = found_in(HtmlRemnants(), "What is <p>this</p>?", LONG)
    (answers,) = found_in(HtmlRemnants(), "What is <p>this</p>?", "It is <p>that</p>.")
    assert (users.severity, answers.severity) == ("info", "warning")


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("a `b` c", "a     c"),
        ("a ``b`c`` d", "a         d"),
        ("a\n```\nb\n```\nc", "a\n         \nc"),
        ("it's a ` alone", "it's a ` alone"),
        ("~~~\nb", "     "),
        ("a ``b`c`` d `e` f", "a d f"),
        ("a `b\n\nc` d", "a `b\n\nc` d"),
    ],
)
def test_code_is_blanked_in_its_place(text: str, prose: str) -> None:
    blanked = without_code(text)
    assert len(blanked) == len(text)
    assert blanked.split() == prose.split()


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u200b\ufeff\u2060", "\u00ad\u200c\u200d", "\u3164", "\u2800", "\u00a0\u3000", "\x00"]
)
def test_a_text_that_shows_nothing_is_blank(text: str) -> None:
    assert is_blank_text(text)


@given(st.text(alphabet="\u200b\u200d\ufeff\u00ad \n"), st.characters(categories=["L", "N", "P", "S"]))
def test_one_visible_character_makes_a_text(invisible: str, visible: str) -> None:
    if visible not in "\u115f\u1160\u3164\uffa0\u2800":
        assert not is_blank_text(invisible + visible + invisible)
    assert is_blank_text(invisible)


# Words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Take one step today.", 4),
        ("", 0),
        ("ein-zwei drei – vier", 4),
        ("오늘 은행에 갔어요", 3),
        ("我今天去了银行，发现账户里没有钱。", 10),
        ("I said 你好 to her", 6),
        ("今日は銀行に行きました", 6),
        ("สวัสดีครับ", 3),
        ("好", 1),
        ("Привет, как дела?", 3),
    ],
)
def test_words_are_counted_by_script(text: str, words: int) -> None:
    assert count_words(text) == words


@given(st.lists(st.text(alphabet="abcé", min_size=1), max_size=20), st.integers(0, 50))
def test_mixed_texts_are_the_sum_of_their_scripts(words: list[str], characters: int) -> None:
    latin, han = " ".join(words), "银" * characters
    assert count_words(f"{latin} {han}") == count_words(latin) + count_words(han)


def test_a_long_chinese_answer_is_not_short(tmp_path: Path) -> None:
    assert "short_answers" not in checks(
        audited(tmp_path, ["我该怎么办？", "先付房租再还信用卡每天记下开支。" * 6]), "warning"
    )
    short = finding(audited(tmp_path, ["我该怎么办？", "先付房租。"]), "short_answers")
    assert short.examples[0].detail.startswith("3 words")


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("วันนี้ฉันไปธนาคาร", False),
        ("第一段。\n\n然后我们明天再一起看看账户里还剩多少钱和", True),
        ("第一段。\n\n小王", False),
    ],
)
def test_unfinished_goes_by_the_script(text: str, *, unfinished: bool) -> None:
    assert seems_unfinished(text) is unfinished


@pytest.mark.parametrize(
    ("text", "units", "characters"),
    [
        ("It's so, isn't it?", ["It", "s", "so", "isn", "t", "it"], False),
        ("川沿いの道。", ["川", "沿", "い", "の", "道"], True),
        ("LoRA 是什么", ["LoRA", "是", "什", "么"], True),
        ("Das heißt 道 auf Japanisch", ["Das", "heißt", "道", "auf", "Japanisch"], False),
        ("LoRA是", ["LoRA", "是"], False),  # half is not most
        ("…!", [], False),
    ],
)
def test_units_are_words_or_the_characters_of_scripts_without_blanks(
    text: str, units: list[str], characters: bool
) -> None:
    assert [text[start:end] for start, end in text_units(text)] == units
    assert counts_characters(text) is characters
