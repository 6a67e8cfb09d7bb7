"""Names, told by capital letters within sentences."""

from __future__ import annotations

from brightrun.texts.names import capitalized_words, known_names, names_in


def test_a_name_within_a_sentence_is_found_once() -> None:
    assert names_in("Please call Doctor Hartwell. I know Hartwell's office well.") == ["Doctor", "Hartwell"]


def test_what_opens_a_sentence_or_a_line_may_be_any_word() -> None:
    assert names_in('Tomorrow we talk. "Never mind," she said. Then:\n- Breathe\n2. Rest\n**Ask** me.') == []


def test_short_words_and_abbreviations_are_no_names() -> None:
    assert names_in("so I think Al and the CFP of the IRA agree") == []


def test_every_capitalized_word_is_known_wherever_it_stands() -> None:
    assert capitalized_words("Elena met Marcus’s son. Tomorrow rests.") == {"Elena", "Marcus", "Tomorrow"}


def test_contractions_days_and_months_are_no_names() -> None:
    text = "so I'm here and I’ve time, we'll talk on Monday or in May, and that's Marlow's idea"
    assert names_in(text) == ["Marlow"]


def test_what_a_dataset_names_is_known() -> None:
    assert known_names(
        ["we look at the money and at the rent with Elena. Then rest.", "ask him and her and Marcus"]
    ) == {"Elena", "Then", "Marcus"}
    assert known_names([]) == frozenset()


def test_a_language_that_capitalizes_its_nouns_tells_no_names() -> None:
    assert known_names(["wir sehen das Geld und den Zins und danach die Miete und das Konto"]) is None


def test_the_share_of_capitals_that_tells_no_names_any_more() -> None:
    few, many = (["so " + "Gold " * number + "and " * (100 - number)] for number in (14, 15))
    assert known_names(few) == {"Gold"}
    assert known_names(many) is None
