"""Small files in every format, built for the other tests of the room, and the proof they are sound."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from brightrun.datasets.audit import AuditReport, Finding, ReadOptions, audit_dataset
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.llama3 import llama3_chat_model

Json = dict[str, Any]

SYSTEM = "You are a calm consultant."
WORDS = """
after begin calm could day even family gently hands hear hold home hour keep kind know later letter
listen little look morning mother notice number often paper people place quiet ready rest room say
sister slow small start talk thing time together try visit wait week wonder write year
""".split()  # noqa: SIM905 - read as words
CLIENT = "I do not know where to begin with {}."


@cache
def llama3() -> ChatModel:
    return llama3_chat_model()


def answer_about(topic: str, words: int = 60) -> str:
    """An answer of this many words and a few more, different for every topic and always the same."""
    chosen = random.Random(topic).choices(WORDS, k=words)
    return f"About {topic}: {' '.join(chosen)}."


def said(*topics: str, unanswered: str | None = None) -> list[str]:
    """Client and consultant in turns: two texts per topic, and perhaps a last client turn."""
    texts = [text for topic in topics for text in (CLIENT.format(topic), answer_about(topic))]
    return texts if unanswered is None else [*texts, unanswered]


def v4_pairs(texts: Sequence[str], *, persona: str = "planner", arc: str = "calm", **facts: str) -> list[Json]:
    """All pairs of a conversation as real files have them: the history of an answer ends with the input."""
    pairs = []
    for number, text in enumerate(texts, start=1):
        answers = number % 2 == 0
        history = [
            {
                "turn": turn,
                "role": "user" if turn % 2 else "assistant",
                "content": content,
                "emotional_state": {"primary": "worry", "secondary": "shame", "intensity": 0.7},
            }
            for turn, content in enumerate(texts[: number - 1], start=1)
        ]
        pairs.append(
            {
                "id": f"fp_turn{number}",
                "conversation_id": "fp_conversation",
                "turn_number": number,
                "conversation_metadata": {"persona_archetype": persona, "emotional_arc_key": arc, **facts},
                "system_prompt": SYSTEM,
                "conversation_history": history,
                "current_user_input": texts[number - 2] if answers else text,
                "emotional_context": {
                    "detected_emotions": {
                        "primary": "care",
                        "primary_confidence": 0.8,
                        "secondary_confidence": 0.7,
                    }
                },
                "target_response": text if answers else None,
                "training_metadata": {
                    "quality_score": 3,
                    "quality_criteria": {"empathy_score": 3.1, "clarity_score": 2.9},
                    "human_reviewed": False,
                },
            }
        )
    return pairs


def v4_conversation(name: str, texts: Sequence[str], **facts: str) -> Json:
    return {
        "conversation_metadata": {
            "conversation_id": name,
            "total_turns": len(texts),
            "quality_tier": "experimental",
            "scaffolding": {
                "persona_key": facts.get("persona", "planner"),
                "emotional_arc_key": facts.get("arc", "calm"),
            },
        },
        "training_pairs": v4_pairs(texts, **facts),
    }


def v4_container(*conversations: Json) -> Json:
    turns = sum(len(item["training_pairs"]) for item in conversations)
    return {
        "training_file_metadata": {
            "format_spec": "brightrun-lora-v4",
            "total_conversations": len(conversations),
            "total_training_pairs": turns,
        },
        "consultant_profile": {"name": "Nadia"},
        "conversations": list(conversations),
    }


def three_conversations() -> Json:
    """Three clean conversations, six answers, and one client turn that nobody answers."""
    return v4_container(
        v4_conversation("one", said("rent", "sleep")),
        v4_conversation("two", said("school", "wills", "taxes", unanswered="Thank you, I will try.")),
        v4_conversation("three", said("moving"), persona="carer"),
    )


def v4_lines(container: Json) -> list[Json]:
    """The JSONL of a container: a `_meta` line, then one line per answer."""
    conversations = container["conversations"]
    total = sum(len(item["training_pairs"]) for item in conversations)
    lines: list[Json] = [{"_meta": {"file_name": "x", "total_pairs": total, "version": "4.0.0"}}]
    for conversation in conversations:
        name = conversation["conversation_metadata"]["conversation_id"]
        lines += [
            {**pair, "conversation_id": name, "id": f"{pair['id']}_{name}"}
            for pair in conversation["training_pairs"]
            if pair["target_response"] is not None
        ]
    return lines


def chat_record(texts: Sequence[str], *, system: str | None = SYSTEM) -> Json:
    """One OpenAI chat line."""
    opening = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    return {"messages": opening + [{"role": roles[index % 2], "content": text} for index, text in enumerate(texts)]}


def write_json(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
    return path


def write_lines(path: Path, values: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def audit(path: Path, **options: Any) -> AuditReport:
    return audit_dataset(path, chat=llama3(), options=ReadOptions(**options))


def finding(report: AuditReport, check: str) -> Finding:
    """The one finding of a check; fails where there is none or more than one."""
    found = [item for item in report.findings if item.check == check]
    assert len(found) == 1, f"{check}: {[item.check for item in report.findings]}"
    return found[0]


def checks(report: AuditReport, *severities: str) -> set[str]:
    return {item.check for item in report.findings if item.severity in severities}


def test_three_conversations_are_clean_and_counted(tmp_path: Path) -> None:
    report = audit(write_json(tmp_path / "file.json", three_conversations()))
    assert (report.conversations, report.turns, report.answers, report.trainable) == (3, 13, 6, 6)
    assert not checks(report, "warning", "error")
    assert not report.refused


def test_history_of_an_answer_ends_with_the_input() -> None:
    answers = [pair for pair in v4_pairs(said("rent", "sleep")) if pair["target_response"]]
    assert all(pair["conversation_history"][-1]["content"] == pair["current_user_input"] for pair in answers)
    assert all(len(pair["conversation_history"]) == pair["turn_number"] - 1 for pair in answers)
