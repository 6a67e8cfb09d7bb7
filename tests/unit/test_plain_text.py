"""Names from data stay text: what a terminal is shown of them, how a shell reads them back, what a file is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.plain_text import command, file_stem, is_shown, plain_file_name, shell_word, visible

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("36 chat [final].jsonl", "36 chat [final].jsonl"),
        ("two\nlines\r\tand a bell\a", r"two\nlines\r\tand a bell\x07"),
        ("\x1b[2J\x9b31m", r"\x1b[2J\x9b31m"),
        ("a\u202eb\u2066c\u200fd\u200b\ufeff", r"a\u202eb\u2066c\u200fd\u200b\ufeff"),
        ("\u2028\u2029\x85", r"\u2028\u2029\x85"),
        ("no UTF-8 \udcff", r"no UTF-8 \udcff"),
        ("שלום, می\u200cخواهم, 👩\u200d🔬, e\u0301", "שלום, می\u200cخواهم, 👩\u200d🔬, e\u0301"),
        ("non\u00a0breaking and\u3000wide", "non\u00a0breaking and\u3000wide"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_only_lines_and_tabs_may_be_kept() -> None:
    assert visible("one\n\ttwo\r\x1b[A", lines=True) == "one\n\ttwo\\r\\x1b[A"


@given(NAMES)
def test_what_is_shown_can_be_shown_and_is_shown_once(text: str) -> None:
    assert all(map(is_shown, visible(text)))
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("plain-1.jsonl", "plain-1.jsonl"),
        ("36 chat [final].jsonl", "'36 chat [final].jsonl'"),
        ("it's", "'it'\"'\"'s'"),
        ("two\nlines", r"$'two\nlines'"),
        ("it's\n\\", r"$'it\'s\n\\'"),
        ("\x1b1", r"$'\0331'"),
        ("\u202e", r"$'\342\200\256'"),
        ("\udcff", r"$'\377'"),
        ("", "''"),
    ],
)
def test_a_name_is_one_word_of_a_command(name: str, word: str) -> None:
    assert shell_word(name) == word


def test_a_name_that_begins_like_an_option_stands_behind_dashes() -> None:
    assert command("brightrun compare", Path("-dash")) == "brightrun compare -- -dash"
    assert command("brightrun compare", "a", "-b") == "brightrun compare -- a -b"
    assert command("brightrun compare", "a-b") == "brightrun compare a-b"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_a_shell_reads_back_every_name() -> None:
    kinds = ["-dash.jsonl", "'", '"', "`id`", "$(id)", "a\nb", "!x", "*?~", "\\", "\x1b[31m7", "\udcff7", "\u202e", "é"]
    names = [*kinds, "".join(kinds), *(chr(code) * 2 + "1" for code in range(1, 256))]
    for asked in (names[:100], names[100:]):
        script = f"printf '%s\\0' {' '.join(map(shell_word, asked))}"
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        done = subprocess.run(["bash", "-c", os.fsencode(script)], env=environment, capture_output=True, check=True)
        assert [os.fsdecode(each) for each in done.stdout.split(b"\0")[:-1]] == asked


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("talk.json", "talk.json"),
        ("C:\\Users\\anna\\talk.json", "talk.json"),
        ("/etc/passwd", "passwd"),
        ("../../x", "x"),
        ("  a b.json ", "a b.json"),
        ("Gespräch №1.json", "Gespräch №1.json"),
        ("می\u200cخواهم.json", "می\u200cخواهم.json"),
        ("a\x00b\x1b[31m\n.json", "a_b_[31m_.json"),
        ("abc\u202enosj.json", "abc_nosj.json"),
        ("..", ""),
        ("../..", ""),
        ("/", ""),
        (".json", ".json"),
        ("x" * 300, "x" * 255),
        ("x" * 250 + ".jsonl", "x" * 249 + ".jsonl"),
        ("é" * 300 + ".jsonl.gz", "é" * 123 + ".jsonl.gz"),
        ("x." + "é" * 300, "x." + "é" * 126),
    ],
)
def test_a_file_name_has_no_folders_no_controls_and_keeps_its_ending(given: str, kept: str) -> None:
    assert plain_file_name(given) == kept
    assert len(kept.encode()) <= 255


@pytest.mark.parametrize(
    ("title", "stem"),
    [
        ("A job: first, try", "A-job-first-try"),
        ("ночь", "ночь"),
        ("हिन्दी / 日本語", "हिन्दी-日本語"),
        ("../[/b]\n", "b"),
        ("<>", "job"),
        ("-x.", "x"),
        ("日" * 250, "日" * 66),
    ],
)
def test_the_stem_of_a_download(title: str, stem: str) -> None:
    assert file_stem(title, otherwise="job") == stem
