"""report.html and the model card: complete, self-contained, and proof against the text they carry."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
import yaml

from brightrun.evaluation.markdown import markdown_code, markdown_text
from brightrun.evaluation.model_card import render_model_card
from brightrun.evaluation.report import render_report
from brightrun.evaluation.run_report import (
    BaseModelFacts,
    RunReport,
)
from brightrun.format import (
    bytes_text,
    direction,
    number_text,
    signed_percent,
    span,
)
from tests.unit.run_reports import HOSTILE, report


class Page(HTMLParser):
    """Every tag with its attributes, and the text outside style."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open != "style":
            self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_hostile_text_is_shown_as_text_and_adds_no_tag() -> None:
    hostile, harmless = Page(render_report(report(words=HOSTILE))), Page(render_report(report()))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    assert hostile.count("script") == hostile.count("img") == 0
    assert not [name for _, attributes in hostile.tags for name in attributes if name.startswith("on")]
    assert hostile.text.count("<script>alert(1)</script>") >= 8
    assert "{{ 7*7 }}" in hostile.text
    assert f"TUNED {HOSTILE}" in hostile.text


@pytest.mark.parametrize("words", ["Elena", HOSTILE])
def test_the_page_asks_for_nothing_outside_itself(words: str) -> None:
    html = render_report(report(words=words))
    page = Page(html)
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    for tag, attributes in page.tags:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form", "img", "video", "audio"}
        for name in ("src", "srcset", "href", "xlink:href", "action", "background", "poster", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,"
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles


def test_ids_are_unique_and_every_jump_lands() -> None:
    page = Page(render_report(report()))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    jumps = {a["href"][1:] for tag, a in page.tags if tag == "a" and a["href"]}
    assert jumps
    assert jumps <= set(ids)


def test_the_report_says_what_was_measured_and_on_how_many() -> None:
    told = report()
    page = Page(render_report(told))
    overall = told.comparison.overall
    assert overall.sentence in page.text
    assert "16 validation answers from 8 conversations" in page.text
    assert signed_percent(overall.relative_change) in page.text
    assert overall.relative_low is not None
    assert signed_percent(overall.relative_low) in page.text
    assert "The intervals are a bootstrap-t over whole conversations, widened where they are few." in page.text
    assert "fewer than 6 conversations get no verdict" in page.text
    assert "256 tokens, cut off" in page.text
    assert "1 token, finished" in page.text
    assert "not measured" in page.text  # the peak memory, which nobody measured
    assert "40 min 11 s" in page.text
    assert page.count("details") == 1
    for value in ("9f" * 32, "cd" * 32, "ef" * 32, "abc123", "q_proj, k_proj"):
        assert value in page.text


def test_the_last_turn_is_open_and_answers_keep_their_white_space() -> None:
    html = render_report(report())
    before, after = html.split("</details>")
    assert "Where do I begin?" in before
    assert "LAST TURN" not in before
    assert "LAST TURN" in after
    assert "BASE\n\n    kept   spaces Elena" in after
    assert re.search(r"\.words \{ white-space: pre-wrap;", html)


def test_a_validation_file_is_named_in_report_and_card() -> None:
    told = report()
    assert "a file of their own" not in render_report(told)
    named = told.dataset.model_copy(update={"validation_file": f"exam {HOSTILE}.json"})
    own = told.model_copy(update={"dataset": named})
    page = Page(render_report(own))
    assert f"from a file of their own: exam {HOSTILE}.json" in page.text
    assert "in the two files" in page.text
    assert page.count("img") == 0
    assert "answers of exam " in render_model_card(own)


def test_too_few_conversations_make_no_claim_on_the_page() -> None:
    page = Page(render_report(report(conversations=3)))
    assert "Too few to say" in page.text
    assert "no interval: 3 conversations kept for validation, at least 6 needed" in page.text
    assert not [a for _, a in page.tags if a.get("class") == "chip better"]


def test_a_failed_proof_is_told_first() -> None:
    page = Page(render_report(report(holds=False)))
    assert page.text.index("This comparison does not count.") < page.text.index("Relative change")
    assert "does not equal the untouched base: largest difference 0.75" in page.text
    assert not [a for _, a in page.tags if a.get("class") == "chip better"]
    assert "**Not verified.**" in render_model_card(report(holds=False))


def test_choosing_the_best_checkpoint_and_resuming_are_owned_up_to() -> None:
    told = report(kept="best", kept_step=10, resumed=2)
    for text in (Page(render_report(told)).text, render_model_card(told)):
        assert "flatters its figure" in text
        assert "interrupted 2 times" in text
    assert "kept: step 10" in Page(render_report(told)).text


def test_unlabelled_data_gets_no_group_chart() -> None:
    html = render_report(report(label=None))
    assert "No validation answer carries a label for its persona." in html
    assert 'id="persona-wide"' not in html
    assert 'id="persona-wide"' in render_report(report())


def test_a_run_report_survives_json_and_renders_the_same() -> None:
    told = report(words=HOSTILE)
    again = RunReport.model_validate_json(told.model_dump_json())
    assert render_report(again) == render_report(told)


@pytest.mark.parametrize("words", ["Elena", HOSTILE])
def test_front_matter_is_yaml_with_the_usual_keys(words: str) -> None:
    hub_id = "org/base" if words == "Elena" else HOSTILE
    card = render_model_card(report(words=words, base=BaseModelFacts(name=words, hub_id=hub_id, revision=words)))
    _, front, body = re.split(r"^---$", card, maxsplit=2, flags=re.MULTILINE)
    matter = yaml.safe_load(front)
    assert matter["base_model"] == " ".join(hub_id.split())
    assert matter["library_name"] == "peft"
    assert matter["pipeline_tag"] == "text-generation"
    assert {"lora", "peft"} <= set(matter["tags"])
    assert set(matter) == {
        "base_model",
        "base_model_relation",
        "library_name",
        "pipeline_tag",
        "license",
        "license_name",
        "tags",
    }
    assert body.startswith("\n\n# Title")


def test_the_loading_example_is_python_whatever_the_names() -> None:
    for told in (report(), report(words=HOSTILE), report(base=BaseModelFacts(name=HOSTILE, revision=HOSTILE))):
        example = re.search(r"^```python\n(.*?)^```$", render_model_card(told), re.DOTALL | re.MULTILINE)
        assert example is not None
        compile(example[1], "model card", "exec")
        assert "PeftModel.from_pretrained(base, adapter)" in example[1]
    with_stops = render_model_card(report(stop_token_ids=(128001, 128009)))
    assert "eos_token_id=[128001, 128009]" in with_stops


def test_the_card_tells_results_with_n_and_interval_or_that_there_were_too_few() -> None:
    told = report()
    card = render_model_card(told)
    overall = told.comparison.overall
    assert overall.relative_low is not None
    assert overall.relative_high is not None
    row = f"| {signed_percent(overall.relative_low)} to {signed_percent(overall.relative_high)} | Better |"
    assert card.count(row) == 2  # all answers, and the one persona
    assert "16 from 8 conversations" in card
    assert "The interval is a bootstrap-t over whole conversations, widened where they are few." in card
    few = render_model_card(report(conversations=2))
    assert "Too few conversations were kept for validation for an interval or a claim." in few
    assert "| none | Too few to say |" in few
    assert "Not for crisis" in card


def test_names_cannot_become_markup_in_the_card() -> None:
    body = render_model_card(report(words=HOSTILE)).split("---\n", 2)[2]
    outside_code = re.sub(r"```python.*?```|(?<!\\)`[^`\n]*`", "", body, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<\w", outside_code)
    assert not re.search(r"(?<!\\)\]\(", outside_code)
    assert not re.search(r"^# heading", body, re.MULTILINE)
    tables = [line for line in body.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in tables}
    assert widths == {3, 8}


def test_markdown_is_escaped() -> None:
    assert markdown_text("a_b *c* [d](e)") == r"a\_b \*c\* \[d\](e)"
    assert markdown_text("1. not a list") == r"1\. not a list"
    assert markdown_text("# no heading") == r"\# no heading"
    assert markdown_text("see https://x.example and www.x.example") == r"see https\://x.example and www\.x.example"
    assert markdown_text("two\nlines\x00") == "two lines"
    assert markdown_code("a`b") == "``a`b``"
    assert markdown_code("`") == "`` ` ``"


def test_figures_read_well() -> None:
    assert [signed_percent(x) for x in (-0.1234, 0.05, -0.00001)] == ["−12.3 %", "+5.0 %", "0.0 %"]
    assert [direction(x) for x in (-0.1234, 0.0001, 0.0)] == [
        "12.3 % lower",
        "less than 0.1 % higher",
        "unchanged",
    ]
    assert span(-0.14, -0.11) == "from 11.0 % to 14.0 % lower"
    assert span(-0.03, 0.01) == "from 3.0 % lower to 1.0 % higher"
    assert span(0.02, 0.09) == "from 2.0 % to 9.0 % higher"
    assert [bytes_text(x) for x in (512, 97_623_000, 3 << 40)] == ["512 B", "93.1 MiB", "3072.0 GiB"]
    assert [number_text(x) for x in (12_345, 0.0002, 1.25e-8)] == ["12,345", "0.0002", "1.25e-08"]
