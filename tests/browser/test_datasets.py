"""A file on its way in: one that cannot be read, one that is refused, one that is taken; and that it can go again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.accessibility import grave_faults
from tests.browser.chromium import PHONE, THEMES, Theme, a_visit, overflow
from tests.browser.served import served
from tests.unit.test_datasets_builders import chat_record, said, write_json
from tests.unit.web_studio import a_studio

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio with nothing in it."""
    with a_studio(tmp_path_factory.mktemp("empty")) as (studio, _), served(studio) as base:
        yield base


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, 1440])
def test_an_empty_studio_can_be_used_by_everybody(chromium: Browser, empty: str, theme: Theme, width: int) -> None:
    with a_visit(chromium, empty, theme=theme, width=width) as visit:
        page = visit.page(None)
        for path in ("/", "/datasets", "/compare"):
            visit.go(page, path)
            assert grave_faults(page) == [], path
            assert overflow(page) == 0, path


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("hello", "plain text"),
        ('{"messages": [{"role": "user", "content": "Hello"}]}\n' * 2, "line 1: the conversation has no answers"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_place(
    chromium: Browser, empty: str, tmp_path: Path, content: str, told: str
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(content, encoding="utf-8")
    with a_visit(chromium, empty) as visit:
        visit.expected.append("status of 4")
        page = visit.page("/datasets")
        page.locator("input[type=file]").set_input_files(bad)
        expect(page.get_by_role("alert")).to_contain_text(told)
        assert grave_faults(page) == []
        expect(page.locator("[data-upload-now]")).to_be_hidden()
        page.reload()
        expect(page.get_by_role("button", name="Use the sample dataset")).to_be_visible()


def test_a_file_is_taken_read_and_deleted_again(
    chromium: Browser, empty: str, tmp_path: Path, sample_dataset: Path
) -> None:
    with a_visit(chromium, empty) as visit:
        # Asked how far an upload is, a busy studio may not know of it yet; the page then asks again.
        visit.expected.append(r"status of 404 .*/datasets\)")
        page = visit.page("/datasets")
        page.locator("input[type=file]").set_input_files(sample_dataset)
        expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f-]{36}$"), timeout=30_000)
        expect(page.locator("h1")).to_have_text(sample_dataset.name)
        conversations = len(json.loads(sample_dataset.read_text(encoding="utf-8"))["conversations"])
        expect(page.locator("dl.tiles").first).to_contain_text(str(conversations))
        page.get_by_role("link", name="Read the conversations").click()
        expect(page).to_have_url(re.compile(r"/conversations/1$"))
        page.go_back()
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page).to_have_url(f"{empty}/datasets")
        expect(page.get_by_role("button", name="Use the sample dataset")).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, 1440])
def test_what_can_be_decided_is_offered_and_the_file_read_again(
    chromium: Browser, tmp_path: Path, theme: Theme, width: int
) -> None:
    good = [chat_record(said(topic)) for topic in ("rent", "sleep", "wills", "taxes", "school")]
    twice = chat_record(said("garden"))
    twice["messages"].append({"role": "assistant", "content": "And rest."})
    file = write_json(tmp_path / "talks.json", {"train": [*good, twice], "test": good[:1]})
    with (
        a_studio(tmp_path) as (studio, _),
        served(studio) as base,
        a_visit(chromium, base, theme=theme, width=width) as visit,
    ):
        visit.expected += ["status of 4", r"status of 404 .*/datasets\)"]
        page = visit.page("/datasets")
        page.locator("input[type=file]").set_input_files(file)
        expect(page.get_by_role("alert")).to_contain_text("several lists: `train` (6), `test` (1)")
        page.get_by_role("button", name="Read train").click()
        expect(page.get_by_role("alert")).to_contain_text("roles are out of order")
        assert (grave_faults(page), overflow(page)) == ([], 0)
        page.get_by_role("button", name="Join the turns").click()
        expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f-]{36}$"), timeout=30_000)
        expect(page.locator("dl.tiles").first).to_contain_text("6")
        expect(page.get_by_role("heading", name="Turns that were joined")).to_be_visible()
        page.get_by_role("link", name="Read the conversations").click()
        expect(page).to_have_url(re.compile(r"/conversations/1$"))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, 1440])
def test_columns_of_unknown_names_are_asked_for(chromium: Browser, tmp_path: Path, theme: Theme, width: int) -> None:
    file = tmp_path / "fragen.csv"
    pairs = [said(topic) for topic in ("rent", "sleep", "wills")]
    lines = [f'{number},"{asked}","{answer}"' for number, (asked, answer) in enumerate(pairs)]
    file.write_text("\n".join(["Nummer,Frage,Antwort", *lines]), encoding="utf-8")
    with (
        a_studio(tmp_path) as (studio, _),
        served(studio) as base,
        a_visit(chromium, base, theme=theme, width=width) as visit,
    ):
        visit.expected += ["status of 4", r"status of 404 .*/datasets\)"]
        page = visit.page("/datasets")
        page.locator("input[type=file]").set_input_files(file)
        preview = page.get_by_role("region", name="The first rows as they would be read")
        expect(preview).to_contain_text("not chosen yet")
        page.get_by_label("The question is").select_option("Antwort")
        expect(preview.locator("dd").first).to_have_text(pairs[0][1])
        page.get_by_label("The question is").select_option("Frage")
        page.get_by_label("The answer is").select_option("Antwort")
        for (asked, answer), row in zip(pairs, preview.locator(".columns-row").all(), strict=True):
            expect(row.locator("dd")).to_have_text([asked, answer])
        page.get_by_label("The system prompt is").select_option("Nummer")
        expect(preview.locator(".columns-row").first.locator("dt")).to_have_text(
            ["System prompt", "Question", "Answer"]
        )
        page.get_by_label("The system prompt is").select_option("")
        expect(preview.locator("dt")).to_have_count(6)
        assert (grave_faults(page), overflow(page)) == ([], 0)
        page.get_by_role("button", name="Read these columns").click()
        expect(page).to_have_url(re.compile(r"/datasets/[0-9a-f-]{36}$"), timeout=30_000)
        expect(page.locator("h1")).to_have_text("fragen.csv")
        expect(page.get_by_text("Questions and answers")).to_be_visible()


@pytest.mark.parametrize("name", ["100%25 sure.json", "a%20b.json", 'it\'s "36 chat [final]".json', "שלום <b>.json"])
def test_a_file_keeps_the_name_it_has(chromium: Browser, tmp_path: Path, sample_dataset: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(sample_dataset.read_bytes())
    with a_studio(tmp_path) as (studio, _), served(studio) as base, a_visit(chromium, base) as visit:
        visit.expected.append(r"status of 404 .*/datasets\)")  # as above
        page = visit.page("/datasets")
        page.locator("input[type=file]").set_input_files(file)
        expect(page.locator("h1")).to_have_text(name, timeout=30_000)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [PHONE, 1440])
def test_a_dataset_that_one_base_model_cannot_take_is_read_again(
    chromium: Browser, tmp_path: Path, theme: Theme, width: int
) -> None:
    records = [chat_record(said(topic)) for topic in ("rent", "sleep", "wills", "taxes", "school")]
    for record in records:
        record["messages"][-1]["reasoning_content"] = "They want one small step."
    file = tmp_path / "talks.jsonl"
    file.write_text("\n".join(map(json.dumps, records)), "utf-8")
    with (
        a_studio(tmp_path) as (studio, _),
        served(studio) as base,
        a_visit(chromium, base, theme=theme, width=width) as visit,
    ):
        page = visit.page("/datasets")
        page.locator("input[type=file]").set_input_files(file)
        expect(page.get_by_text("It depends on the base model.")).to_be_visible(timeout=30_000)
        page.wait_for_load_state("load")
        before = page.url
        page.get_by_text("With other choices").click()
        assert (grave_faults(page), overflow(page)) == ([], 0)
        page.get_by_role("button", name="Leave the reasoning out").click()
        expect(page.get_by_text("Ready to train.")).to_be_visible(timeout=30_000)
        assert page.url != before
        page.wait_for_load_state("load")
        page.get_by_text("With other choices").click()
        expect(page.get_by_label("Leave out the reasoning before answers.")).to_be_checked()
        page.get_by_label("Leave out the reasoning before answers.").uncheck()
        page.get_by_role("button", name="Read again").click()
        expect(page).to_have_url(before, timeout=30_000)
