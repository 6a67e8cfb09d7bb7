"""What texts say that spoils training: found where it is, and not where it only looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from brightrun.datasets.checks.ai_disclaimers import AiDisclaimers
from brightrun.datasets.checks.content import content_checks
from brightrun.datasets.checks.foreign_markers import ForeignMarkers
from brightrun.datasets.checks.missing_values import missing_value
from brightrun.datasets.checks.placeholders import find_placeholder
from brightrun.datasets.checks.reasoning_tags import ReasoningTags
from brightrun.datasets.checks.role_labels import RoleLabels
from brightrun.datasets.sample_dataset import sample_dataset_path
from tests.conftest import REPOSITORY
from tests.unit.content_checks import LONG, audited, found_in, found_in_answer, talk
from tests.unit.test_datasets_builders import (
    audit,
    checks,
    finding,
    llama3,
    said,
    write_lines,
)

EVERY_CHECK = {
    "ai_disclaimers", "conflicting_answers", "contact_data", "control_characters", "echoed_questions",
    "exposed_secrets", "foreign_markers", "garbled_text", "html_remnants", "missing_values", "placeholders",
    "reasoning_tags", "repeated_answers", "repeated_sentences", "role_labels",
}  # fmt: skip


def test_every_content_check_is_listed_and_documented() -> None:
    modules = (REPOSITORY / "src" / "brightrun" / "datasets" / "checks").glob("*.py")
    built = {type(check).__module__.rpartition(".")[2] for check in content_checks(llama3())}
    assert built == EVERY_CHECK <= {module.stem for module in modules}
    page = (REPOSITORY / "docs" / "formats.md").read_text(encoding="utf-8")
    assert [name for name in sorted(EVERY_CHECK) if f"| `{name}` |" not in page] == []


def test_each_check_tells_its_place_in_the_audit(tmp_path: Path) -> None:
    """One conversation per check, beside one clean one; nothing else is said of it."""
    spoiled = {
        "missing_values": ["How late is it?", "NaN"],
        "foreign_markers": ["How late is it?", f"{LONG}<|im_end|>"],
        "role_labels": ["How late is it?", f"Assistant: {LONG}"],
        "reasoning_tags": ["How late is it?", f"<think>\nThey ask.\n</think>\n\n{LONG}"],
        "control_characters": ["How late is it?", f"\u0000{LONG}"],
        "garbled_text": ["How late is it?", f"Itâ€™s late. {LONG}"],
        "html_remnants": ["How late is it?", f"Rest &amp; sleep. {LONG}"],
        "placeholders": ["How late is it?", f"Dear [Client Name], {LONG}"],
        "ai_disclaimers": ["How late is it?", f"As an AI language model, I cannot know. {LONG}"],
        "echoed_questions": ["How late is it there now?", "How late is it there now?"],
        "repeated_sentences": ["How late is it?", "We will look at it together today. " * 20],
        "exposed_secrets": ["How late is it?", f"Use sk-test-{'1' * 24}. {LONG}"],
        "contact_data": ["How late is it?", f"Write to ada@lovelace.engine.org. {LONG}"],
    }
    for name, texts in spoiled.items():
        report = audited(tmp_path, texts, said("sleep"))
        assert not report.refused
        told = finding(report, name)
        assert (told.severity, told.count) == ("warning", 1), name
        assert (told.examples[0].turn, bool(told.examples[0].conversation)) == (2, True)
        assert checks(report, "warning") - {name} <= {"short_answers", "unfinished_answers"}, name


# Missing values


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        " NaN\n",
        "None",
        "null",
        "N/A",
        "na",
        "#N/A",
        "<NA>",
        "undefined",
        "[removed]",
        "[Deleted]",
        "-",
        "—",
        "[object Object]",
        "#DIV/0!",
        "{}",
    ],
)
def test_a_missing_value_is_one_however_it_is_written(text: str) -> None:
    assert missing_value(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["No.", "none of them", "Nan is my grandmother.", "None.", "0", "Yes", "- rest", "n", "Null Island", "NA 5", ""],
)
def test_a_short_answer_is_no_missing_value(text: str) -> None:
    assert missing_value(text) is None


def test_missing_values_are_counted_by_place_and_an_error_where_they_are_all_answers(tmp_path: Path) -> None:
    some = finding(audited(tmp_path, ["How late is it?", "nan"], said("rent"), ["N/A", LONG]), "missing_values")
    assert (some.severity, some.count) == ("warning", 2)
    assert "1 of 2 are in answers" in some.explanation
    every = audited(tmp_path, ["How late is it?", "nan"], ["And now?", "nan"])
    assert finding(every, "missing_values").severity == "error"
    assert every.refused
    assert finding(audited(tmp_path, ["How late is it?", "nan"]), "missing_values").severity == "warning", "only one"
    assert (
        "system prompt" in finding(audited(tmp_path, said("rent"), system="null"), "missing_values").examples[0].detail
    )


def test_an_empty_input_behind_an_instruction_is_a_missing_value(tmp_path: Path) -> None:
    records = [
        {"instruction": f"How late is it in {place}?", "input": "nan", "output": LONG} for place in ("Rome", "Oslo")
    ]
    report = audit(write_lines(tmp_path / "alpaca.jsonl", records))
    assert finding(report, "missing_values").count == 2
    assert not checks(audited(tmp_path, ["Is it one or none?\n\nWhich?", LONG]), "warning") & {"missing_values"}


# Other models' control strings, labels of roles; 3. reasoning


@pytest.mark.parametrize(
    "marker",
    [
        "<|im_end|>",
        "<|im_start|>",
        "</s>",
        "<s>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|endoftext|>",
        "<\uff5cUser\uff5c>",
        "\n### Response:",
        "\n### Instruction:",
        "\n### Human:",
    ],
)
def test_a_marker_of_another_model_is_found_unless_it_is_the_models_own(marker: str) -> None:
    (told,) = found_in(ForeignMarkers(()), "Hello there", f"Rest now. {marker} And then sleep.")
    assert marker.strip() in told.examples[0].detail
    assert "In 0 texts" in told.explanation
    assert not found_in(ForeignMarkers({marker.strip()}), "Hello there", f"Rest now. {marker} And then sleep.")


def test_markers_at_the_edges_are_counted() -> None:
    check = ForeignMarkers(())
    check.inspect(talk("<s> Hello", "Rest now.<|im_end|>\n", "And?", "Sleep <|im_end|> now."))
    assert "In 2 texts one stands at the very beginning or end" in check.findings()[0].explanation


@pytest.mark.parametrize(
    "text",
    [
        "Write `<|im_end|>` behind it.",
        "```\n<s>[INST] hi [/INST]\n```",
        "a <|b",
        "### Response times",
        "[INSTALL]",
        "x < s > y",
    ],
)
def test_code_and_look_alikes_are_no_markers(text: str) -> None:
    assert not found_in_answer(ForeignMarkers(()), text)


def test_the_models_own_strings_are_left_to_the_check_that_refuses_them(tmp_path: Path) -> None:
    report = audited(tmp_path, ["How late is it?", f"{LONG}<|eot_id|>"], said("sleep"), said("rent"))
    assert checks(report, "error") == {"control_tokens"}
    assert "foreign_markers" not in checks(report, "warning")


@pytest.mark.parametrize("text", ["Assistant: Hi", "**AI:** Hi", "\n GPT : Hi", "human: Hi", "BOT: Hi", "### User: Hi"])
def test_a_role_label_opens_a_turn(text: str) -> None:
    assert found_in_answer(RoleLabels(), text)


@pytest.mark.parametrize(
    "text", ["Assistants: two of them.", "Aim: rest.", "Use: daily.", "My assistant: Nadia.", "AI is: a field"]
)
def test_other_words_before_a_colon_are_no_role_labels(text: str) -> None:
    assert not found_in_answer(RoleLabels(), text)


def test_reasoning_is_found_where_the_template_has_no_place_for_it() -> None:
    thought = "<think>They worry.</think> Rest now."
    assert found_in_answer(ReasoningTags("{{ messages }}"), thought)
    assert found_in_answer(ReasoningTags(""), "They worry.\n</think>\n\nRest now."), "the opening tag is in the prompt"
    assert not found_in_answer(ReasoningTags("{{ message.reasoning_content }}"), thought)
    assert not found_in_answer(ReasoningTags("{{ '<think>' }}"), thought)
    assert found_in_answer(ReasoningTags("{{ '<think>' }}"), "<reasoning>So.</reasoning> Rest."), "not its own tag"
    assert not found_in_answer(ReasoningTags(""), "Put it between `<think>` and `</think>`.")
    assert not found_in_answer(ReasoningTags(""), "I think > you < thinking")
    assert not found_in(ReasoningTags(""), thought, LONG), "a user may write it"


# Placeholders


@pytest.mark.parametrize(
    "text",
    [
        "Dear [Name],",
        "from [Your Company]",
        "[insert date here]",
        "Hi {name}!",
        "Hi {{ customer.name }}",
        "It costs ${price}.",
        "Dear <NAME>",
        "<your name>",
        "Call XXXX now",
        "TODO: write this",
        "write this TODO",
        "Lorem ipsum dolor",
        "Hello %s!",
        "Hello %(name)s",
        "[CLIENT_NAME] said",
        "[REDACTED] said",
    ],
)
def test_a_placeholder_is_found(text: str) -> None:
    assert find_placeholder(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "[my name](https://a.b)",
        "[name][1]",
        "- [ ] rest\n- [x] sleep",
        "as shown [1]",
        "[Smith 2020]",
        "[laughs]",
        "`[Name]`",
        "```\nHi {name}\n```",
        r"\frac{num}{den} x^{sum}",
        "{1, 2, 3}",
        "sizes XXXL",
        "MCMXXXIV",
        "my TODO list",
        "100%sure",
        "5 %s",
        "50% discount",
        "<br>",
        "a[name]",
        "![your photo](x.png)",
        "Say: “I am [your name].” Then wait.",
        "> Dear [Name],",
        'Then write "Dear [Name], I resign on [date]."',
        "the names are many",
        "{}",
        "f{x}",
    ],
)
def test_links_citations_code_and_scripts_are_no_placeholders(text: str) -> None:
    assert find_placeholder(text) is None


def test_a_placeholder_behind_a_quotation_is_one() -> None:
    assert find_placeholder('She said "rest". Yours, [Your Name]') is not None


# Disclaimers of assistants


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I cannot feel.",
        "As a large language model trained by OpenAI, I do not.",
        "I'm just an AI, but rest.",
        "as an artificial intelligence, I have no body",
        "I am ChatGPT.",
        "I’m Claude, an AI assistant.",
        "I am a model that was trained by OpenAI.",
        "I cannot fulfill that request.",
        "I'm sorry, but I can't assist with that.",
        "That is past my knowledge cutoff.",
        "I'm unable to comply with your request.",
        "I do not feel, being an AI, but I listen.",
    ],
)
def test_an_answer_that_speaks_as_an_assistant_is_found(text: str) -> None:
    assert found_in_answer(AiDisclaimers(), f"Well. {text}")


@pytest.mark.parametrize(
    "text",
    [
        "As an AI engineer, I can help.",
        "ChatGPT was made by OpenAI.",
        "I am an AI researcher.",
        "My name is Claude and I cook.",
        "She works as an AI consultant.",
        "A language model, such as an AI that I use, predicts words.",
        "I cannot help with taxes today.",
        "I asked ChatGPT and it said rest.",
        "As an AI model, GPT predicts words.",
        "I'm sorry, but I can't come on Friday.",
        "As a parent, I know.",
        "The request is in my inbox.",
    ],
)
def test_an_answer_about_ai_is_fine(text: str) -> None:
    assert not found_in_answer(AiDisclaimers(), text)


def test_a_model_that_is_told_to_be_an_ai_may_say_so() -> None:
    told = "You are Lumi, an AI that helps with letters."
    assert found_in_answer(AiDisclaimers(), "I'm an AI assistant, so write to a person, too.")
    assert not found_in_answer(AiDisclaimers(), "I'm an AI assistant, so write to a person, too.", system=told)
    assert found_in_answer(AiDisclaimers(), "As an AI language model, I cannot know.", system=told)
    assert not found_in(AiDisclaimers(), "As an AI language model, I ask you.", LONG), "only answers"


def test_the_sample_has_none_of_it() -> None:
    assert not {item.check for item in audit(sample_dataset_path()).findings} & EVERY_CHECK


@pytest.mark.parametrize(
    "unit", ["`a", "``a`b", "```\n", "sk-a", '"[name] ', "{{ a", "<a x=1 ", "4111 ", "a@a.", "â€", "a。"]
)
def test_hostile_texts_are_looked_through_in_no_time(unit: str) -> None:
    """What took the square of its length would take minutes here."""
    text = unit * (60_000 // len(unit))
    for check in content_checks(llama3()):
        check.inspect(talk(text, f"{text}b"))
        check.findings()
