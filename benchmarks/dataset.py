"""How long the audit, tokenization and split of a dataset take, and how much memory a large one needs.

    python benchmarks/dataset.py                       both parts, the stream with a tenth of its full size
    python benchmarks/dataset.py --answers 1000000     the full stream
    python benchmarks/dataset.py --against FOLDER      beside an older tree, as `git archive` writes it
    python benchmarks/dataset.py --json

The stream is audited with one process and with one for each core, in turn, each time by a program of its own: on a
machine that others use, only the ratio of such pairs says something. Texts are made of common words in a fixed
pseudo-random order: the same bytes on every machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
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
AIM_SECONDS = 2.0  # for the audit command
MARKS = (0.1, 0.5, 1.0)
ONE_PROCESS, ALL_CORES, AN_OLDER = "one process", "all cores", "the older version"
TIMES = ("seconds", "answers_per_second", "processor_seconds", "processor_seconds_of_the_reader")
WAYS = (AN_OLDER, ONE_PROCESS, ALL_CORES)
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
    parser.add_argument("--runs", type=int, default=3, help="how often the container is prepared and audited")
    parser.add_argument("--pairs", type=int, default=1, help="how often the stream is audited in each way, in turn")
    parser.add_argument("--against", type=Path, help="folder of an older tree whose audit runs in turn with these")
    parser.add_argument("--only", choices=("container", "stream"), help="one part alone")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--audit", type=Path, help=argparse.SUPPRESS)  # one way, by the program itself
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.audit is not None:
        print(json.dumps(measure_audit(arguments.audit, arguments.way)))
        return
    result: Json = {}
    if arguments.only != "stream":
        result["container"] = time_container(arguments.runs)
    if arguments.only != "container":
        result["stream"] = compare_stream(arguments.answers, arguments.pairs, arguments.against)
    print(json.dumps(result, indent=2) if arguments.json else as_table(result))


def time_container(runs: int) -> Json:
    """Seconds for a file of 242 conversations, best and worst of some runs: prepared and audited by this process, whose
    tokenizer is loaded before, and audited by the command that a person types."""
    started = time.perf_counter()
    chat = llama3_chat_model()
    loaded = time.perf_counter() - started
    prepared_in, audited_in, typed = [], [], []
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
            prepared_in.append(time.perf_counter() - started)
            started = time.perf_counter()
            audit_dataset(source, chat=chat)
            audited_in.append(time.perf_counter() - started)
            typed.append(seconds_of_command("dataset", "audit", str(source)))
        size = source.stat().st_size
    return {
        "conversations": prepared.audit.conversations,
        "answers": prepared.audit.answers,
        "tokens": prepared.audit.tokens,
        "tokens_per_conversation": round(prepared.audit.tokens / CONVERSATIONS),
        "validation": prepared.validation.conversations,
        "file_megabytes": round(size / 1e6, 1),
        "load_tokenizer_seconds": round(loaded, 2),
        "prepare_seconds": best_and_worst(prepared_in),
        "audit_seconds": best_and_worst(audited_in),
        "audit_command_seconds": best_and_worst(typed),
        "command_starts_in_seconds": round(seconds_of_command("--version"), 2),
        "aim_seconds": AIM_SECONDS,
    }


def seconds_of_command(*words: str) -> float:
    """Of `brightrun`, from start to end of its process."""
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("brightrun")), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def best_and_worst(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f}"


def compare_stream(answers: int, pairs: int, against: Path | None) -> Json:
    """The ways in turn; each figure is a median over the pairs, ratios are of one pair's seconds."""
    ways = [way for way in WAYS if way != AN_OLDER or against is not None]
    runs: dict[str, list[Json]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "stream.jsonl"
        write_stream(source, answers)
        for _ in range(pairs):
            for way in ways:
                runs[way].append(in_a_program_of_its_own(source, way, against))
        megabytes = round(source.stat().st_size / 1e6, 1)
    found: Json = {"file_megabytes": megabytes, "cores": usable_cores(), "pairs": pairs}
    found |= {name: runs[ALL_CORES][0][name] for name in ("answers", "conversations", "tokens")}
    for way in ways:
        found[way] = {name: median([run[name] for run in runs[way]]) for name in TIMES}
        found[way] |= {name: runs[way][-1][name] for name in ("peak_megabytes_before", "peak_megabytes_at")}
    for way in ways[:-1]:  # the last one is all cores
        ratios = [one["seconds"] / other["seconds"] for one, other in zip(runs[way], runs[ALL_CORES], strict=True)]
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        found[f"{way} ÷ all cores"] = f"{median(ratios):.2f} ({listed})"
    return found


def in_a_program_of_its_own(source: Path, way: str, against: Path | None) -> Json:
    """So that its peak is its own."""
    environment = dict(os.environ)
    if way == AN_OLDER and against is not None:
        environment["PYTHONPATH"] = str(against.resolve() / "src")
    command = [sys.executable, __file__, "--audit", str(source), "--way", way]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: Json = json.loads(finished.stdout)
    return found


def measure_audit(source: Path, way: str) -> Json:
    """Peak resident memory of all processes when 10 %, 50 % and all of a JSONL were read."""
    chat = llama3_chat_model()
    before = peak_megabytes()
    peaks: dict[str, float] = {}

    def mark(done: int, total: int) -> None:
        for share in MARKS:
            if f"{share:.0%}" not in peaks and done >= share * total:
                peaks[f"{share:.0%}"] = peak_megabytes()

    started, worked = time.perf_counter(), processor_seconds()
    report = audit_dataset(source, chat=chat, progress=mark, **how(way))
    seconds = time.perf_counter() - started
    reading, encoding = (now - before for now, before in zip(processor_seconds(), worked, strict=True))
    return {
        "answers": report.answers,
        "conversations": report.conversations,
        "tokens": report.tokens,
        "seconds": round(seconds, 2),
        "answers_per_second": round(report.answers / seconds),
        "processor_seconds": round(reading + encoding, 2),
        "processor_seconds_of_the_reader": round(reading, 2),
        "peak_megabytes_before": before,
        "peak_megabytes_at": peaks,
    }


def processor_seconds() -> tuple[float, float]:
    """Of this process, and of those that it started and that have ended: what other programs do hardly changes them."""
    times = psutil.Process().cpu_times()
    return times.user + times.system, times.children_user + times.children_system


def how(way: str) -> Json:
    """What an audit is told of the way; an older version knows no such choice."""
    if way != ONE_PROCESS:
        return {}
    from brightrun.datasets.look_ahead import ONE_AT_A_TIME

    return {"ahead": ONE_AT_A_TIME}


def median(numbers: list[float]) -> float:
    return round(statistics.median(numbers), 2)


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    """Highest resident memory so far of this process and of those it started, summed; of each alone where it was at
    its highest, so no less than the sum at any one time. Where the system does not keep it, the present one."""
    this = psutil.Process()
    return round(sum(peak_bytes(process) for process in (this, *this.children(recursive=True))) / 1e6, 1)


def peak_bytes(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    resident: int = process.memory_info().rss
    return resident


def as_table(result: Json) -> str:
    lines = []
    for part, figures in result.items():
        lines.append(part)
        for name, value in figures.items():
            if isinstance(value, dict):
                lines.append(f"  {name}")
                lines += [f"    {one.replace('_', ' '):34}{held}" for one, held in value.items()]
            else:
                lines.append(f"  {name.replace('_', ' '):36}{value}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
