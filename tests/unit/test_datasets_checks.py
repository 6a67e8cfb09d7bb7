"""Each defect of real files: found, counted, repaired or excluded, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brightrun.datasets.audit import AuditReport
from brightrun.datasets.checks.crisis_answers import is_crisis_answer
from brightrun.datasets.checks.unfinished_answers import seems_unfinished
from brightrun.datasets.conversation import Turn
from brightrun.datasets.inspect import inspect_each
from brightrun.datasets.options import ReadOptions
from brightrun.datasets.sample_dataset import sample_dataset_path
from tests.unit.test_datasets_builders import (
    answer_about,
    audit,
    chat_record,
    checks,
    finding,
    llama3,
    said,
    three_conversations,
    v4_container,
    v4_conversation,
    v4_lines,
    write_json,
    write_lines,
)


def audit_texts(folder: Path, *conversations: list[str], **options: Any) -> AuditReport:
    return audit(write_lines(folder / "chat.jsonl", [chat_record(texts) for texts in conversations]), **options)


def spoiled(topic: str, ending: str) -> list[str]:
    """Three exchanges, the second answer spoiled."""
    texts = said(topic, topic + " again", topic + " later")
    texts[3] += ending
    return texts


def test_escaped_answers_are_repaired(tmp_path: Path) -> None:
    clean, escaped = said("rent", "sleep"), said("rent", "sleep")
    clean[1] += "\n\nRest now."
    escaped[1] += "\\n\\nRest now."
    report = audit_texts(tmp_path, escaped)
    assert (report.repaired, report.trainable, report.excluded) == (1, 2, 0)
    assert finding(report, "escaped_newlines").examples[0].turn == 2
    assert report.tokens == audit_texts(tmp_path, clean).tokens


def test_without_repair_escaped_answers_are_excluded_alone(tmp_path: Path) -> None:
    texts = said("rent", "sleep")
    texts[1] += "\\n\\nRest now."
    report = audit_texts(tmp_path, texts, repair=False)
    assert (report.repaired, report.trainable, report.excluded) == (0, 1, 1)
    assert "Repair is off" in finding(report, "escaped_newlines").explanation


def test_escaped_client_turns_are_repaired_and_exclude_nothing(tmp_path: Path) -> None:
    texts = said("rent", "sleep")
    texts[0] += "\\n\\nPlease help."
    report = audit_texts(tmp_path, texts)
    assert (report.repaired, report.repaired_user_turns, report.trainable) == (0, 1, 2)
    assert finding(report, "escaped_user_turns").count == 1
    assert audit_texts(tmp_path, texts, repair=False).trainable == 2


def test_backslash_n_that_may_be_meant_is_left_and_told(tmp_path: Path) -> None:
    texts = said("rent")
    texts[1] += "\n\nThen escaped.\\n\\nSo."
    report = audit_texts(tmp_path, texts)
    assert report.repaired == 0
    assert finding(report, "escaped_newlines_left").count == 1


def test_a_cut_answer_takes_the_later_ones_with_it(tmp_path: Path) -> None:
    report = audit_texts(tmp_path, spoiled("rent", " and then\\"), said("school"))
    assert (report.answers, report.trainable, report.excluded) == (4, 2, 2)
    assert finding(report, "truncated_answers").count == 1
    assert report.tokens == audit_texts(tmp_path, spoiled("rent", "")[:2], said("school")).tokens


def test_a_cut_client_turn_takes_the_answers_behind_it(tmp_path: Path) -> None:
    texts = said("rent", "sleep", "school")
    texts[2] += " and\\"
    report = audit_texts(tmp_path, texts)
    assert (report.trainable, report.excluded) == (1, 2)
    assert finding(report, "truncated_user_turns").examples[0].turn == 3


def test_all_answers_excluded_is_refused(tmp_path: Path) -> None:
    texts = said("rent", "sleep")
    texts[1] += "\\"
    report = audit_texts(tmp_path, texts)
    assert report.refused
    assert report.trainable == 0
    assert "no_trained_answers" in checks(report, "error")


def test_one_conversation_without_a_trained_answer_is_a_warning(tmp_path: Path) -> None:
    texts = said("rent")
    texts[1] += "\\"
    report = audit_texts(tmp_path, texts, said("school"), said("taxes"))
    assert not report.refused
    assert report.trainable_conversations == 2
    assert finding(report, "no_trained_answers").severity == "warning"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Rest first.<|im_end|>", "Rest first."),
        ("<s>[INST] Rest first. [/INST]</s>\n", "Rest first."),
        ("Rest first.<|eot_id|>", "Rest first."),
        ("<think>\nThey worry.\n</think>\n\nRest first.", "Rest first."),
        ("### Response:\nRest first.", "Rest first."),
        ("Rest <|im_end|> first.", "Rest <|im_end|> first."),
        ("<|im_end|>", "<|im_end|>"),
        ("Rest <think>a</think> first.", "Rest <think>a</think> first."),
        ("List[0] is first.", "List[0] is first."),
    ],
)
def test_markers_are_stripped_from_the_ends_by_choice(tmp_path: Path, text: str, left: str) -> None:
    path = write_lines(tmp_path / "f", [chat_record(["Hello.", text], system="<s>Be kind.</s>")])
    [given] = inspect_each(path, chat=llama3(), options=ReadOptions())
    assert (given.repaired.system, given.repaired.turns[1].content) == ("<s>Be kind.</s>", text)
    [stripped] = inspect_each(path, chat=llama3(), options=ReadOptions(strip_markers=True))
    assert (stripped.repaired.system, stripped.repaired.turns[1].content) == ("Be kind.", left)
    told = [finding.count for finding in stripped.findings if finding.check == "stripped_markers"]
    assert told == [1 + (left != text)]


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("We begin tomorrow.", False),
        ("We begin tomorrow and", True),
        ("We begin tomorrow,", True),
        ("Here are the steps that I would take first:", True),
        ("Two things:\n- rest\n- sleep", False),
        ("Take care of yourself.\n\nWarmly,\nNadia", False),
        ("See https://example.org/a", False),
        ("Well done! 🎉", False),
        ("It ends in a backslash\\", False),
        ("“Rest.”", False),
    ],
)
def test_unfinished(text: str, *, unfinished: bool) -> None:
    assert seems_unfinished(text) is unfinished


def test_unfinished_and_short_answers_are_warnings(tmp_path: Path) -> None:
    report = audit_texts(tmp_path, ["Hello?", "We begin tomorrow and"], said("rent"))
    assert checks(report, "warning") == {"unfinished_answers", "short_answers"}
    assert report.trainable == 2


def test_constant_scores_are_told_and_never_shown_as_quality(tmp_path: Path) -> None:
    report = audit(write_json(tmp_path / "file", three_conversations()))
    assert finding(report, "constant_scores").severity == "info"
    assert finding(report, "no_signal").count == 2
    assert "avg_quality" not in report.model_dump_json()
    varied = three_conversations()
    for number, conversation in enumerate(varied["conversations"]):
        for pair in conversation["training_pairs"]:
            pair["training_metadata"]["quality_score"] = 1 + 2 * number
    told = [
        example.detail for example in finding(audit(write_json(tmp_path / "b", varied)), "constant_scores").examples
    ]
    assert not any(detail.startswith("quality_score") for detail in told)


def test_emotional_context_of_the_consultant_is_told(tmp_path: Path) -> None:
    report = audit(write_json(tmp_path / "file", three_conversations()))
    assert finding(report, "emotional_context").count == 6
    assert "worry" in finding(report, "emotional_context").examples[0].detail


def named_conversation(name: str, **facts: str) -> dict[str, Any]:
    texts = said("rent", "sleep")
    texts[1], texts[3] = f"Marcus, {texts[1]}", f"{texts[3]} You can do it, Marcus."
    return v4_conversation(name, texts, **facts)


def test_unprompted_name_is_found_and_the_profile_fixes_it(tmp_path: Path) -> None:
    facts = {"client_persona": "Marcus Chen - The Avoider", "client_background": "Age 37."}
    container = v4_container(named_conversation("one", **facts), v4_conversation("two", said("school")))
    path = write_json(tmp_path / "file", container)
    kept = audit(path)
    assert finding(kept, "unprompted_name").count == 2
    assert "kept as it is" in finding(kept, "unprompted_name").explanation
    assert "Marcus (2)" in finding(kept, "unprompted_name").explanation
    profiled = audit(path, client_profile="system_prompt")
    assert "unprompted_name" not in checks(profiled, "warning")
    assert finding(profiled, "client_profile").count == 1
    assert profiled.options.client_profile == "system_prompt"
    assert profiled.tokens > kept.tokens


def test_a_name_is_found_without_any_persona(tmp_path: Path) -> None:
    report = audit(write_json(tmp_path / "file", v4_container(named_conversation("one"))))
    assert finding(report, "unprompted_name").count == 2


def test_a_name_that_the_client_told_is_prompted(tmp_path: Path) -> None:
    conversation = named_conversation("one", client_persona="Marcus Chen - The Avoider")
    text = json.dumps(v4_container(conversation)).replace("I do not know", "I am Marcus and do not know")
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    assert "unprompted_name" not in checks(audit(path), "warning")


def test_header_counts_stand_side_by_side(tmp_path: Path) -> None:
    container = three_conversations()
    container["training_file_metadata"]["total_conversations"] = 5
    container["conversations"][0]["conversation_metadata"]["total_turns"] = 9
    report = audit(write_json(tmp_path / "file", container))
    assert report.header is not None
    assert (report.header.header_conversations, report.header.conversations) == (5, 3)
    assert (report.header.header_pairs, report.header.turns, report.header.answers) == (13, 13, 6)
    assert finding(report, "header_counts").count == 2
    lines = v4_lines(three_conversations())
    lines[0]["_meta"]["total_pairs"] = 50
    wrong = audit(write_lines(tmp_path / "lines", lines))
    assert wrong.turns == 12
    assert finding(wrong, "header_counts").count == 1


def test_overlength_is_refused_by_name_with_the_fix(tmp_path: Path) -> None:
    path = write_json(tmp_path / "file", three_conversations())
    longest = audit(path).longest_tokens
    report = audit(path, max_seq_length=longest - 1)
    assert (report.refused, report.overlength, report.dropped) == (True, 1, 0)
    over = finding(report, "overlength")
    assert over.severity == "error"
    assert f"max_seq_length to {longest}," in over.fix
    assert over.examples[0].conversation == "two"
    assert over.examples[0].detail == f"{longest} tokens, the limit is {longest - 1}"
    assert not audit(path, max_seq_length=longest).refused


def test_over_length_may_be_dropped(tmp_path: Path) -> None:
    path = write_json(tmp_path / "file", three_conversations())
    whole = audit(path)
    report = audit(path, max_seq_length=whole.longest_tokens - 1, overlength_policy="drop")
    assert (report.refused, report.overlength, report.dropped) == (False, 1, 1)
    assert (report.trainable, report.trainable_conversations) == (3, 2)
    assert report.longest_tokens < whole.longest_tokens
    assert finding(report, "overlength").severity == "warning"


@pytest.mark.parametrize(
    ("text", "crisis"),
    [
        ("Call or text 988 right now.", True),
        ("The Suicide and Crisis Lifeline is there.", True),
        ("A crisis line can help.", True),
        ("It costs $988 a month.", False),
        ("That is 988 dollars.", False),
        ("In room 9881.", False),
        ("A line of credit in a crisis.", False),
    ],
)
def test_crisis_answers_are_told_from_sums(text: str, *, crisis: bool) -> None:
    assert is_crisis_answer(Turn(2, "assistant", text, target=True)) is crisis


def test_a_lost_crisis_answer_is_a_warning(tmp_path: Path) -> None:
    texts = said("rent", "sleep")
    texts[3] += " Call 988."
    report = audit_texts(tmp_path, texts)
    assert (report.crisis_answers.before, report.crisis_answers.after) == (1, 1)
    texts[1] += "\\"
    lost = audit_texts(tmp_path, texts, said("school"))
    assert (lost.crisis_answers.before, lost.crisis_answers.after) == (1, 0)
    assert finding(lost, "crisis_answers").count == 1


def test_control_tokens_are_refused(tmp_path: Path) -> None:
    texts = said("rent")
    texts[0] += "<|eot_id|>"
    report = audit_texts(tmp_path, texts, said("school"))
    assert report.refused
    assert finding(report, "control_tokens").examples[0].turn == 1
    assert "<|eot_id|>" in finding(report, "control_tokens").examples[0].detail


def test_unanswered_ends_train_nothing(tmp_path: Path) -> None:
    ended = audit_texts(tmp_path, said("rent"))
    report = audit_texts(tmp_path, said("rent", unanswered="Thank you."))
    assert finding(report, "unanswered_end").severity == "info"
    assert (report.turns, report.tokens) == (3, ended.tokens)


def test_answers_not_offered_are_told(tmp_path: Path) -> None:
    record = chat_record(said("rent", "sleep"))
    record["messages"][2]["weight"] = 0
    report = audit(write_lines(tmp_path / "file", [record]))
    assert (report.answers, report.trainable, finding(report, "not_targets").count) == (2, 1, 1)


def test_duplicates_and_near_duplicates(tmp_path: Path) -> None:
    base = said("rent", "sleep", "school")
    near = [*base[:5], base[5].replace(" and ", " or ") + " Rest."]
    opening = [*base[:2], *said("wills", "taxes")]
    report = audit_texts(tmp_path, base, base, said("moving"), base)
    assert finding(report, "duplicates").count == 2
    assert "near_duplicates" not in checks(report, "warning")
    assert finding(audit_texts(tmp_path, base, near, said("moving")), "near_duplicates").count == 2
    assert finding(audit_texts(tmp_path, base, opening, said("moving")), "near_duplicates").count == 2


def test_a_shared_answer_alone_makes_no_near_duplicates(tmp_path: Path) -> None:
    shared = answer_about("hours", words=20)
    first, second = [*said("rent"), "When?", shared], [*said("sleep"), "At what time?", shared]
    assert not checks(audit_texts(tmp_path, first, second), "warning") - {"short_answers"}


def test_lengths_and_coverage_add_up(tmp_path: Path) -> None:
    report = audit(write_json(tmp_path / "file", three_conversations()))
    assert sum(item.conversations for item in report.lengths) == 3
    assert [(cell.persona, cell.arc, cell.conversations) for cell in report.coverage] == [
        ("carer", "calm", 1),
        ("planner", "calm", 2),
    ]
    assert report.personas == {"carer": 1, "planner": 2}


def test_the_sample_dataset_is_clean() -> None:
    report = audit(sample_dataset_path())
    assert not checks(report, "warning", "error")
    assert report.conversations >= 24
    assert report.trainable >= 72
    assert len(report.personas) == 3
    assert len(report.arcs) == 6
    assert report.crisis_answers.after >= 1
