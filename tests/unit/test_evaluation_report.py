"""report.html and the model card: complete, self-contained, and proof against the text they carry."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
import yaml

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.evaluation.comparison import (
    AdapterCheck,
    AnswerScore,
    Generated,
    SampleAnswer,
    compare,
)
from brightrun.evaluation.markdown import markdown_code, markdown_text
from brightrun.evaluation.model_card import render_model_card
from brightrun.evaluation.report import render_report
from brightrun.evaluation.run_report import (
    BaseModelFacts,
    DatasetFacts,
    FindingLine,
    RunReport,
    TrainingPoint,
    ValidationPoint,
)
from brightrun.format import (
    bytes_text,
    direction,
    duration_text,
    number_text,
    signed_percent,
    span,
)

HOSTILE = (
    '"></title></style></div><script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(1)>'
    "<svg onload=alert(1)> {{ 7*7 }} {% raw %} ]]> [link](https://evil.example) `code` | $x$"
    "\n\n# heading\n---\nevil: true"
)
MOMENT = datetime(2026, 11, 23, 9, 14, tzinfo=UTC)


def adapter_check(*, holds: bool = True) -> AdapterCheck:
    return AdapterCheck(
        adapter_off_equals_base=holds,
        adapter_off_max_difference=0.0 if holds else 0.75,
        adapter_on_differs=True,
        adapter_on_max_difference=7.25,
        fingerprint_tokens=412,
    )


def report(
    *,
    conversations: int = 8,
    words: str = "Elena",
    holds: bool = True,
    label: str | None = "planner",
    **changes: object,
) -> RunReport:
    scores = [
        AnswerScore(
            conversation_id=f"c{number}",
            answer_number=answer,
            persona=label,
            trained_tokens=200,
            base_loss=2.5 + number / 100,
            tuned_loss=2.0 + number / 50,
        )
        for number in range(conversations)
        for answer in (1, 2)
    ]
    sample = SampleAnswer(
        conversation_id=words,
        answer_number=2,
        persona=words,
        arc=words,
        prompt=[
            {"role": "system", "content": words},
            {"role": "user", "content": "Where do I begin?"},
            {"role": "assistant", "content": "With a breath."},
            {"role": "user", "content": f"LAST TURN {words}"},
        ],
        reference=f"REFERENCE {words}",
        base=Generated(text=f"BASE\n\n    kept   spaces {words}", tokens=256, stopped=False),
        tuned=Generated(text=f"TUNED {words}", tokens=1, stopped=True),
    )
    told = RunReport(
        title=f"Title {words}",
        job_id="job_1",
        created_at=MOMENT,
        finished_at=MOMENT + timedelta(minutes=47),
        base=BaseModelFacts(name=f"Base {words}", hub_id="org/base", revision="abc123", license="Apache-2.0"),
        dataset=DatasetFacts(
            name=f"file {words}.json",
            sha256="9f" * 32,
            conversations=30,
            train_conversations=22,
            train_answers=66,
            validation_conversations=conversations,
            validation_answers=len(scores),
            tokens=48_000,
            trained_tokens=32_117,
            repaired=3,
            excluded=1,
            findings=(FindingLine(severity="warning", check="mojibake", count=3, explanation=f"Found {words}"),),
        ),
        recipe="quickstart",
        hyperparameters=Hyperparameters().model_dump(),
        steps=20,
        trained_tokens_total=96_351,
        seconds_by_phase={"training": 2_411.0, "evaluating": 9.5},
        device=f"CPU {words}",
        trainable_parameters=4_884_480,
        training=tuple(TrainingPoint(step=step, loss=3 - step / 20) for step in range(1, 21)),
        validation=(ValidationPoint(step=0, loss=2.5), ValidationPoint(step=20, loss=2.1)),
        kept_step=20,
        comparison=compare(scores, [sample], adapter_check(holds=holds), seed=1),
        template_sha256="cd" * 32,
        fingerprint="ef" * 32,
        packages={"torch": "2.13.0"},
        notes=(f"Note {words}",),
    )
    return told.model_copy(update=changes)


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
    assert "16 held-out answers from 8 conversations" in page.text
    assert signed_percent(overall.relative_change) in page.text
    assert overall.relative_low is not None
    assert signed_percent(overall.relative_low) in page.text
    assert "256 tokens, cut at the limit" in page.text
    assert "1 token, ended by itself" in page.text
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


def test_too_few_conversations_make_no_claim_on_the_page() -> None:
    page = Page(render_report(report(conversations=3)))
    assert "Too few to say" in page.text
    assert "no interval: 3 conversations held out, at least 5 needed" in page.text
    assert not [a for _, a in page.tags if a.get("class") == "chip better"]


def test_a_failed_proof_is_told_first() -> None:
    page = Page(render_report(report(holds=False)))
    assert page.text.index("This comparison does not count.") < page.text.index("Relative change")
    assert "does not equal the untouched base: largest difference 0.75" in page.text
    assert not [a for _, a in page.tags if a.get("class") == "chip better"]
    assert "**Unproven.**" in render_model_card(report(holds=False))


def test_choosing_the_best_checkpoint_and_resuming_are_owned_up_to() -> None:
    told = report(kept="best", kept_step=10, resumed=2)
    for text in (Page(render_report(told)).text, render_model_card(told)):
        assert "flatters its figure" in text
        assert "interrupted 2 times" in text
    assert "kept: step 10" in Page(render_report(told)).text


def test_unlabelled_data_gets_no_group_chart() -> None:
    html = render_report(report(label=None))
    assert "No held-out answer carries a label for its persona." in html
    assert 'id="persona-wide"' not in html
    assert 'id="persona-wide"' in render_report(report())


def test_a_story_survives_json_and_renders_the_same() -> None:
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
    few = render_model_card(report(conversations=2))
    assert "Too few conversations were held out for an interval or a claim." in few
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
    assert [duration_text(x) for x in (4.21, 48, 200, 7_500)] == ["4.2 s", "48 s", "3 min 20 s", "2 h 05 min"]
    assert [bytes_text(x) for x in (512, 97_623_000, 3 << 40)] == ["512 B", "93.1 MiB", "3072.0 GiB"]
    assert [number_text(x) for x in (12_345, 0.0002, 1.25e-8)] == ["12,345", "0.0002", "1.25e-08"]
