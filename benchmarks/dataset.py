"""How long the audit, tokenization and split of a dataset take, and how much memory a million answers need.

    python benchmarks/dataset.py                       both parts, the stream with a tenth of its full size
    python benchmarks/dataset.py --answers 1000000     the full stream
    python benchmarks/dataset.py --json

Texts are made of common words in a fixed pseudo-random order: the same bytes on every machine.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from brightrun.datasets.audit import ReadOptions, audit_dataset
from brightrun.datasets.prepare import prepare_dataset
from brightrun.templating.llama3 import llama3_chat_model

CONVERSATIONS = 242
AIM_SECONDS = 3.0
MARKS = (0.1, 0.5, 1.0)
PERSONAS = ("anxious_planner", "overwhelmed_avoider", "pragmatic_optimist")
ARCS = ("confusion_to_clarity", "shame_to_acceptance", "crisis_to_referral", "overwhelm_to_empowerment")
SYSTEM = (
    "You are a patient consultant who helps people with the care of an older relative. Name the feeling "
    "before the facts, explain why before how, offer one small step at a time, and ask before you teach. "
    "Your tone is warm and plain."
)
WORDS = """
about after again always anything around because before begin better between both bring call care carry
change choose clear close come could day decide different doctor early easy else enough even every family
far feel few find first follow forward friend give good hand hard hear help home hope hour house idea
important keep kind know large last later learn leave less letter life listen little long look lot make
matter maybe mean meeting mind minute moment money month morning mother much need never next night nothing
number often once open other own paper part pay people perhaps place plan possible question quiet reach read
ready really reason rest right room safe same say second see send show simple sister slow small something
soon speak start stay step still talk tell thank thing think time today together tomorrow toward try turn
understand until visit wait walk want week well while whole why without wonder word work worry write year
""".split()  # noqa: SIM905 - read as words

Json = dict[str, Any]
Said = list[tuple[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--answers", type=int, default=100_000, help="answers of the streamed JSONL")
    parser.add_argument("--runs", type=int, default=3, help="how often the container is prepared")
    parser.add_argument("--only", choices=("container", "stream"), help="one part alone")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    result: Json = {}
    if arguments.only != "stream":
        result["container"] = time_container(arguments.runs)
    if arguments.only == "stream":
        result["stream"] = measure_stream(arguments.answers)
    elif arguments.only is None:
        result["stream"] = stream_in_own_process(arguments.answers)
    print(json.dumps(result, indent=2) if arguments.json else as_table(result))


def time_container(runs: int) -> Json:
    """Seconds from the file to the prepared folder, best and worst of some runs; tokenizer loaded before."""
    started = time.perf_counter()
    chat = llama3_chat_model()
    loaded = time.perf_counter() - started
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "container.json"
        source.write_text(json.dumps(container(CONVERSATIONS)), encoding="utf-8")
        for run in range(runs):
            started = time.perf_counter()
            prepared = prepare_dataset(
                source,
                Path(name) / f"out-{run}",
                chat=chat,
                options=ReadOptions(),
                validation_fraction=0.1,
                seed=42,
            )
            seconds.append(time.perf_counter() - started)
        size = source.stat().st_size
    return {
        "conversations": prepared.audit.conversations,
        "answers": prepared.audit.answers,
        "tokens": prepared.audit.tokens,
        "tokens_per_conversation": round(prepared.audit.tokens / CONVERSATIONS),
        "validation": prepared.validation.conversations,
        "file_megabytes": round(size / 1e6, 1),
        "load_tokenizer_seconds": round(loaded, 2),
        "best_seconds": round(min(seconds), 2),
        "worst_seconds": round(max(seconds), 2),
        "aim_seconds": AIM_SECONDS,
    }


def stream_in_own_process(answers: int) -> Json:
    """So that its peak is its own."""
    command = [sys.executable, __file__, "--only", "stream", "--answers", str(answers), "--json"]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    stream: Json = json.loads(finished.stdout)["stream"]
    return stream


def measure_stream(answers: int) -> Json:
    """Peak resident memory when 10 %, 50 % and all of a JSONL were audited, and at the very end."""
    chat = llama3_chat_model()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "stream.jsonl"
        write_stream(source, answers)
        size = source.stat().st_size
        before = peak_megabytes()
        peaks: dict[str, float] = {}

        def mark(done: int, total: int) -> None:
            for share in MARKS:
                if f"{share:.0%}" not in peaks and done >= share * total:
                    peaks[f"{share:.0%}"] = peak_megabytes()

        started = time.perf_counter()
        report = audit_dataset(source, chat=chat, progress=mark)
        seconds = time.perf_counter() - started
    return {
        "answers": report.answers,
        "conversations": report.conversations,
        "tokens": report.tokens,
        "file_megabytes": round(size / 1e6, 1),
        "seconds": round(seconds, 1),
        "answers_per_second": round(report.answers / seconds),
        "peak_megabytes_before": before,
        "peak_megabytes_at": peaks,
        "peak_megabytes_end": peak_megabytes(),
    }


def container(count: int) -> Json:
    """A brightrun-lora-v4 container of `count` conversations of realistic length."""
    numbers = random.Random(242)
    conversations = []
    for index in range(count):
        said = talk(numbers, turns=numbers.randint(5, 9), client_words=(80, 150), answer_text=(330, 450))
        pairs = [pair(index, said, number, f"turn{number}") for number in range(1, len(said) + 1)]
        scaffolding = {"persona_key": PERSONAS[index % 3], "emotional_arc_key": ARCS[index % 4]}
        metadata = {"conversation_id": identity(index), "total_turns": len(said), "scaffolding": scaffolding}
        conversations.append({"conversation_metadata": metadata, "training_pairs": pairs})
    turns = sum(len(item["training_pairs"]) for item in conversations)
    header = {"format_spec": "brightrun-lora-v4", "total_conversations": count, "total_training_pairs": turns}
    return {"training_file_metadata": header, "consultant_profile": {}, "conversations": conversations}


def write_stream(path: Path, answers: int) -> None:
    """A JSONL of short conversations of four answers each, written line by line."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps({"_meta": {"file_name": path.stem, "total_pairs": 2 * answers}}) + "\n")
        for line in stream_lines(answers):
            stream.write(json.dumps(line) + "\n")


def stream_lines(answers: int) -> Iterator[Json]:
    numbers = random.Random(1_000_000)
    written = index = 0
    while written < answers:
        said = talk(numbers, turns=8, client_words=(8, 20), answer_text=(20, 45))
        for number in range(2, 9, 2):
            if written < answers:
                yield {
                    **pair(index, said, number, f"turn{number}_{index}"),
                    "conversation_id": identity(index),
                }
                written += 1
        index += 1


def talk(numbers: random.Random, *, turns: int, client_words: tuple[int, int], answer_text: tuple[int, int]) -> Said:
    lengths = {"user": client_words, "assistant": answer_text}
    roles = ["user" if number % 2 == 0 else "assistant" for number in range(turns)]
    return [(role, prose(numbers, numbers.randint(*lengths[role]))) for role in roles]


def prose(numbers: random.Random, words: int) -> str:
    sentences = []
    while words > 0:
        length = min(words, numbers.randint(6, 14))
        sentences.append(" ".join(numbers.choices(WORDS, k=length)).capitalize() + ".")
        words -= length
    return " ".join(sentences)


def pair(index: int, said: Said, number: int, name: str) -> Json:
    """The training pair of a turn; an answer's history already ends with the client's input."""
    role, content = said[number - 1]
    is_answer = role == "assistant"
    history = [
        {
            "turn": turn,
            "role": speaker,
            "content": text,
            "emotional_state": {"primary": "worry", "intensity": 0.7},
        }
        for turn, (speaker, text) in enumerate(said[: number - 1], start=1)
    ]
    return {
        "id": name,
        "conversation_id": "template",
        "turn_number": number,
        "conversation_metadata": {
            "client_persona": "The Careful Planner",
            "persona_archetype": PERSONAS[index % 3],
            "emotional_arc_key": ARCS[index % 4],
        },
        "system_prompt": SYSTEM,
        "conversation_history": history,
        "current_user_input": said[number - 2][1] if is_answer else content,
        "emotional_context": {"detected_emotions": {"primary": "care", "primary_confidence": 0.8}},
        "target_response": content if is_answer else None,
        "training_metadata": {"quality_score": 3, "human_reviewed": False},
    }


def identity(index: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(index)))


def peak_megabytes() -> float:
    """Highest resident memory of this process so far; where the system does not keep it, the present one."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return round(psutil.Process().memory_info().rss / 1e6, 1)


def as_table(result: Json) -> str:
    lines = []
    for part, figures in result.items():
        lines.append(part)
        lines += [f"  {name.replace('_', ' '):26}{value}" for name, value in figures.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
