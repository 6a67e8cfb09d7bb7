"""Build the sample dataset `lantern-care-sample.json` from the authored files in `sample/`.

The output is a `brightrun-lora-v4` container laid out as real files are, with fixed dates and
name-based ids, so the same sources always give the same bytes. It knows the format and nothing of
the training product; `--check` compares instead of writing and exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "sample"
TARGET = HERE / "lantern-care-sample.json"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "lantern-care.example")
ROLES = {"Client": "user", "Consultant": "assistant"}
FRONT_MATTER = {"persona", "arc", "topic", "phase", "difficulty", "session", "outcome"}

Json = dict[str, Any]


class SourceError(Exception):
    """An authored file is not laid out as the builder expects."""


@dataclass(frozen=True)
class Turn:
    """One speech; `number` counts from 1, the client holds the odd ones."""

    number: int
    role: str
    content: str
    primary: str
    secondary: str
    intensity: float
    valence: str


@dataclass(frozen=True)
class Conversation:
    """One authored Markdown file: its front matter and its turns in order."""

    slug: str
    facts: dict[str, str]
    turns: tuple[Turn, ...]

    @property
    def id(self) -> str:
        return str(uuid.uuid5(NAMESPACE, self.slug))


def main() -> None:
    """Write the sample, or with `--check` exit 1 if the file on disk differs."""
    parser = argparse.ArgumentParser(description="Build examples/lantern-care-sample.json.")
    parser.add_argument("--check", action="store_true", help="compare with the file on disk only")
    check: bool = parser.parse_args().check
    try:
        text = render(SOURCE)
    except SourceError as error:
        sys.exit(f"error: {error}")
    if not check:
        TARGET.write_text(text, encoding="utf-8", newline="\n")
    elif not TARGET.is_file() or TARGET.read_bytes() != text.encode():
        sys.exit(f"error: {TARGET.name} differs from sample/; run: python examples/build_sample.py")


def render(source: Path) -> str:
    """Return the whole container as JSON text; raises `SourceError` on a malformed source."""
    practice: Json = tomllib.loads((source / "practice.toml").read_text(encoding="utf-8"))
    conversations = read_conversations(source, practice)
    container = {
        "training_file_metadata": build_header(practice, conversations),
        "consultant_profile": practice["consultant"],
        "conversations": [build_conversation(practice, each) for each in conversations],
    }
    return json.dumps(container, indent=2, ensure_ascii=False) + "\n"


def read_conversations(source: Path, practice: Json) -> list[Conversation]:
    """Read every Markdown file in name order; what is wrong with one is told with its name."""
    conversations = []
    for path in sorted(source.glob("*.md")):
        try:
            conversations.append(read_conversation(path, practice))
        except ValueError as error:
            raise SourceError(f"{path.name}: {error}") from error
    return conversations


def read_conversation(path: Path, practice: Json) -> Conversation:
    opening, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
    facts = dict(line.split(": ", 1) for line in front.splitlines())
    if opening or facts.keys() != FRONT_MATTER:
        raise ValueError(f"front matter must hold exactly {sorted(FRONT_MATTER)}")
    for key in ("persona", "arc", "topic"):
        if facts[key] not in practice[f"{key}s"]:
            raise ValueError(f"{key} {facts[key]!r} is not in practice.toml")
    sections = body.strip().removeprefix("## ").split("\n\n## ")
    turns = tuple(read_turn(number, text) for number, text in enumerate(sections, start=1))
    return Conversation(path.stem, facts, turns)


def read_turn(number: int, section: str) -> Turn:
    """Parse `Speaker`, a line `feeling: primary, secondary, intensity, valence`, and the text."""
    speaker, feeling, content = section.split("\n\n", 2)
    expected = "Client" if number % 2 else "Consultant"
    if speaker != expected or not feeling.startswith("feeling: "):
        raise ValueError(f"turn {number} must open with {expected} and a feeling")
    primary, secondary, intensity, valence = feeling.removeprefix("feeling: ").split(", ")
    text = content.strip()
    return Turn(number, ROLES[speaker], text, primary, secondary, float(intensity), valence)


def build_header(practice: Json, conversations: list[Conversation]) -> Json:
    """Return the file metadata; `total_training_pairs` counts every turn, as real files do."""
    file = practice["file"]
    return {
        "file_name": file["name"],
        "version": file["version"],
        "created_date": file["created"],
        "last_updated": file["created"],
        "format_spec": "brightrun-lora-v4",
        "target_model": file["target_model"],
        "vertical": file["vertical"],
        "total_conversations": len(conversations),
        "total_training_pairs": sum(len(each.turns) for each in conversations),
        "quality_summary": {
            "avg_quality_score": file["quality_score"],
            "min_quality_score": file["quality_score"],
            "max_quality_score": file["quality_score"],
            "human_reviewed_count": 0,
            "human_reviewed_percentage": 0,
        },
        "scaffolding_distribution": {
            "personas": count_facts(conversations, "persona"),
            "emotional_arcs": count_facts(conversations, "arc"),
            "training_topics": count_facts(conversations, "topic"),
        },
    }


def count_facts(conversations: list[Conversation], key: str) -> dict[str, int]:
    return dict(Counter(each.facts[key] for each in conversations))


def build_conversation(practice: Json, conversation: Conversation) -> Json:
    file, facts = practice["file"], conversation.facts
    return {
        "conversation_metadata": {
            "conversation_id": conversation.id,
            "source_file": f"{file['template_code']}_{conversation.id}.json",
            "created_date": file["created"][:10],
            "total_turns": len(conversation.turns),
            "quality_tier": file["quality_tier"],
            "scaffolding": {
                "persona_key": facts["persona"],
                "persona_name": practice["personas"][facts["persona"]]["name"],
                "emotional_arc_key": facts["arc"],
                "emotional_arc": practice["arcs"][facts["arc"]]["title"],
                "training_topic_key": facts["topic"],
                "training_topic": practice["topics"][facts["topic"]],
            },
        },
        "training_pairs": [build_pair(practice, conversation, turn) for turn in conversation.turns],
    }


def build_pair(practice: Json, conversation: Conversation, turn: Turn) -> Json:
    """Return one pair; the history of an answer already ends with the input it answers."""
    file = practice["file"]
    earlier = conversation.turns[: turn.number - 1]
    is_answer = turn.role == "assistant"
    return {
        "id": f"{file['template_code']}_turn{turn.number}",
        "conversation_id": file["template_code"],
        "turn_number": turn.number,
        "conversation_metadata": describe_client(practice, conversation.facts),
        "system_prompt": file["system_prompt"],
        "conversation_history": [build_history_entry(each) for each in earlier],
        "current_user_input": earlier[-1].content if is_answer else turn.content,
        "emotional_context": describe_emotion(turn),
        "target_response": turn.content if is_answer else None,
        "training_metadata": describe_training(practice, conversation.facts, turn.number),
    }


def describe_client(practice: Json, facts: dict[str, str]) -> Json:
    persona = practice["personas"][facts["persona"]]
    return {
        "client_persona": f"{persona['name']} - {persona['archetype']}",
        "client_background": persona["background"],
        "session_context": facts["session"],
        "conversation_phase": facts["phase"],
        "expected_outcome": facts["outcome"],
        "persona_archetype": facts["persona"],
        "emotional_arc": practice["arcs"][facts["arc"]]["title"],
        "emotional_arc_key": facts["arc"],
        "training_topic": practice["topics"][facts["topic"]],
        "training_topic_key": facts["topic"],
    }


def build_history_entry(turn: Turn) -> Json:
    return {
        "turn": turn.number,
        "role": turn.role,
        "content": turn.content,
        "emotional_state": {
            "primary": turn.primary,
            "secondary": turn.secondary,
            "intensity": turn.intensity,
        },
    }


def describe_emotion(turn: Turn) -> Json:
    """Return the speaker's emotion; the confidences are constants, as they are in real files."""
    return {
        "detected_emotions": {
            "primary": turn.primary,
            "primary_confidence": 0.8,
            "secondary": turn.secondary,
            "secondary_confidence": 0.7,
            "intensity": turn.intensity,
            "valence": turn.valence,
        }
    }


def describe_training(practice: Json, facts: dict[str, str], number: int) -> Json:
    arc, score = practice["arcs"][facts["arc"]], practice["file"]["quality_score"]
    return {
        "difficulty_level": f"{facts['difficulty']}_conversation_turn_{number}",
        "key_learning_objective": facts["topic"],
        "demonstrates_skills": arc["skills"],
        "conversation_turn": number,
        "emotional_progression_target": f"{arc['start']}(0.8) → {arc['end']}(0.8)",
        "quality_score": score,
        "quality_criteria": {
            "empathy_score": score,
            "clarity_score": score,
            "appropriateness_score": score,
            "brand_voice_alignment": score,
        },
        "human_reviewed": False,
        "reviewer_notes": None,
        "use_as_seed_example": False,
        "generate_variations_count": 0,
    }


if __name__ == "__main__":
    main()
