"""The guarded decode: escaped line breaks become line breaks, every other backslash survives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.datasets.checks.line_breaks import decode_line_breaks


@pytest.mark.parametrize(
    ("escaped", "decoded"),
    [
        (r"First.\n\nSecond.", "First.\n\nSecond."),
        (r"Two things:\n- rest\n- sleep", "Two things:\n- rest\n- sleep"),
        (r"One.\r\nTwo.", "One.\nTwo."),
        (r"Milk.\n\neggs\nbread", "Milk.\n\neggs\nbread"),
        (r"She said \"stay\".\nI did.\n\tThen", 'She said "stay".\nI did.\n\tThen'),
        (r"Yes.\n\nOpen C:\new\name.txt.\nThen", "Yes.\n\nOpen C:\\new\\name.txt.\nThen"),
        (r"See $\nabla f \neq 0$.\n\nThen", "See $\\nabla f \\neq 0$.\n\nThen"),
        ("Type `a\\nb` here.\\n\\nThen", "Type `a\\nb` here.\n\nThen"),
        (r"Cut here.\n\nAnd then\\", "Cut here.\n\nAnd then\\\\"),
    ],
)
def test_decoded(escaped: str, decoded: str) -> None:
    result = decode_line_breaks(escaped)
    assert result.text == decoded
    assert result.replaced > 0


@pytest.mark.parametrize(
    "text",
    [
        r"Open C:\new\notes.",
        r"The gradient $\nabla f$ and $x \neq y$.",
        r'The characters "\n" mean a line break.',
        "Run `printf 'a\\nb'` now.",
        r"An escaped backslash: C:\\new.",
        "Real\nbreaks and an escaped one:\\n\\nhere.",
        r"The separator \n is common.",
        r"src\new",
        r"\n\n",
        "Nothing at all.",
    ],
)
def test_left_alone(text: str) -> None:
    assert decode_line_breaks(text).text == text
    assert decode_line_breaks(text).replaced == 0


def test_a_conflict_with_real_line_breaks_is_told() -> None:
    assert decode_line_breaks("Real\nbreak. And escaped:\\n\\nhere.").left == 1
    assert decode_line_breaks("milk\\neggs").left == 1


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])).filter(lambda text: "\\n" not in text))
def test_clean_text_is_never_touched(text: str) -> None:
    assert decode_line_breaks(text) == (text, 0, 0)


@settings(deadline=None)
@given(st.text(alphabet="ab \\nNrt.\"'`:C\n$", max_size=40))
def test_twice_is_once_and_only_escapes_go(text: str) -> None:
    once = decode_line_breaks(text)
    assert decode_line_breaks(once.text).text == once.text
    letters = [character for character in text if character not in "\\nrt\n\t"]
    assert [character for character in once.text if character not in "\\nrt\n\t"] == letters


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abcdefg XYZ", min_size=1).map(lambda text: f"So {text.strip()}."), min_size=2))
def test_paragraphs_come_back(paragraphs: list[str]) -> None:
    assert decode_line_breaks("\\n\\n".join(paragraphs)).text == "\n\n".join(paragraphs)
