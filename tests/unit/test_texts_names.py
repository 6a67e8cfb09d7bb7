"""Names, told by capital letters within sentences."""

from __future__ import annotations

from brightrun.texts.names import capitalized_words, capitalizes_nouns, names_in


def test_a_name_within_a_sentence_is_found_once() -> None:
    assert names_in("Please call Doctor Hartwell. I know Hartwell's office well.") == ["Doctor", "Hartwell"]


def test_what_opens_a_sentence_or_a_line_may_be_any_word() -> None:
    assert names_in('Tomorrow we talk. "Never mind," she said. Then:\n- Breathe\n2. Rest\n**Ask** me.') == []


def test_short_words_and_abbreviations_are_no_names() -> None:
    assert names_in("so I think Al and the CFP of the IRA agree") == []


def test_every_capitalized_word_is_known_wherever_it_stands() -> None:
    assert capitalized_words("Elena met Marcus’s son. Tomorrow rests.") == {"Elena", "Marcus", "Tomorrow"}


def test_a_language_that_capitalizes_its_nouns_tells_no_names() -> None:
    assert capitalizes_nouns(["wir sehen das Geld und den Zins und danach die Miete und das Konto"])
    assert not capitalizes_nouns(["we look at the money and the interest and then at the rent with Elena"] * 3)
    assert not capitalizes_nouns([])
