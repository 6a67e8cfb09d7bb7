"""Whose answers a file holds, where it says so: told in the verdict's sentence."""

from __future__ import annotations

import pytest

from brightrun.datasets.audit import audit_dataset
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.readers.brightrun_v4 import consultant_name
from brightrun.datasets.sample_dataset import sample_dataset_path
from brightrun.evaluation.sentences import owner_sentence
from brightrun.templating.llama3 import llama3_chat_model
from tests.unit.run_reports import report


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ({"name": "Elena Morales, CFP"}, "Elena Morales"),
        ({"name": "  Elena\n Morales "}, "Elena Morales"),
        ({"name": "E" * 90}, "E" * 60),
        ({"name": ", CFP"}, None),
        ({"name": None}, None),
        ({"business": "Pathways"}, None),
    ],
)
def test_the_name_stands_without_titles_in_one_line(profile: dict[str, object], name: str | None) -> None:
    assert consultant_name({"consultant_profile": profile}) == name


def test_a_file_without_a_consultant_names_nobody() -> None:
    assert consultant_name({}) is None


def test_the_sentence_names_whose_words_they_are() -> None:
    overall = report().comparison.overall
    assert "Closer to Ada Lind's own words on" in owner_sentence(overall, consultant="Ada Lind")
    assert "Closer to the consultant's own words on" in owner_sentence(overall)


def test_the_audit_says_whose_answers_the_sample_holds() -> None:
    audit = audit_dataset(sample_dataset_path(), chat=llama3_chat_model(), options=ReadOptions())
    assert audit.consultant == "Nadia Haddad"
