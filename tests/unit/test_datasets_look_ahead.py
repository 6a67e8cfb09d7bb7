"""Other processes encode a large file; what comes out is what one process finds, in the file's order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brightrun import platforms
from brightrun.datasets import look_ahead
from brightrun.datasets.encoding_pool import WAITING_BATCHES, EncodingPool
from brightrun.datasets.encoding_wire import (
    NOT_DONE,
    Done,
    Task,
    load,
    pack_done,
    pack_tasks,
    source_of,
    unpack_done,
    unpack_tasks,
    work,
)
from brightrun.datasets.examination import Examination
from brightrun.datasets.examined import examine_dataset
from brightrun.datasets.fingerprints import FingerprintMaker
from brightrun.datasets.look_ahead import AUTOMATIC, ONE_AT_A_TIME, LookAhead, encode_ahead
from brightrun.datasets.options import ReadOptions
from brightrun.errors import BrightRunError, DatasetError
from brightrun.templating import ChatModel, Message, llama3_chat_model, load_chat_model
from tests.unit.family_models import family_model
from tests.unit.test_datasets_builders import write_lines
from tests.unit.test_datasets_tool_calling import openai
from tests.unit.tiny_chat_model import CHATML, CHATML_CONFIG, CONVERSATION, write_model

REFUSES = "{% for message in messages %}{% if 'forbidden' in message.content %}{{ raise_exception('it is forbidden') }}"
PICKY = REFUSES + "{% endif %}{% endfor %}" + CHATML


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    return load_chat_model(write_model(tmp_path_factory.mktemp("models") / "picky", PICKY, CHATML_CONFIG))


@pytest.fixture(scope="module")
def pool(chat: ChatModel) -> Iterator[EncodingPool]:
    with closing(EncodingPool(chat, 2)) as pool:
        pool.wait_until_ready()
        yield pool


@pytest.fixture
def ahead(pool: EncodingPool) -> LookAhead:
    """Small batches by processes that run already; from the second conversation on."""
    return LookAhead(processes=2, begins_after=0, conversations=3, characters=400, pool=pool)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE}


def task(number: int, answer: str = "An answer.") -> Task:
    messages = [Message("user", f"Question {number}?"), Message("assistant", answer, trained=True)]
    return Task(messages, [message.content for message in messages])


# The whole walk


TEXTS = st.one_of(
    st.sampled_from(
        [
            *("yes", "forbidden", "<|im_end|> at once", "cut\\", "one\\n\\ntwo", "nan", "Call 988.", "Assistant: hi"),
            *("long " * 90, "said twice " * 3, "Élan 🥐", "[Your Name]"),
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip),
)
LINES = st.one_of(
    st.builds(
        lambda texts, system, weight: {
            "messages": [
                *([{"role": "system", "content": system}] if system else []),
                *(
                    {"role": role, "content": text, **({"weight": weight} if role == "assistant" else {})}
                    for pair in texts
                    for role, text in zip(("user", "assistant"), pair, strict=True)
                ),
            ]
        },
        st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3),
        st.sampled_from(["", "Be kind.", "forbidden"]),
        st.sampled_from([1, 1, 1, 0]),
    ),
    st.sampled_from([{"messages": []}, {"messages": [{"role": "user", "content": "alone"}]}, {"broken": 1}]),
)
OPTIONS = [
    ReadOptions(),
    ReadOptions(unreadable="leave_out", repair=False, strip_markers=True),
    ReadOptions(unreadable="leave_out", max_seq_length=100, overlength_policy="drop"),
]


def outcome(path: Path, out: Path, chat: ChatModel, options: ReadOptions, ahead: LookAhead) -> Any:
    """Every byte that was written, or the error with all it says."""
    try:
        examined = examine_dataset(path, out, chat=chat, options=options, validation_file=path, ahead=ahead)
    except BrightRunError as error:
        return error.as_dict()
    return {path.name: path.read_bytes() for path in examined.folder.iterdir()}


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(lines=st.lists(LINES, min_size=1, max_size=25), options=st.sampled_from(OPTIONS))
def test_what_is_found_and_written_is_what_one_process_finds(
    tmp_path_factory: pytest.TempPathFactory,
    chat: ChatModel,
    ahead: LookAhead,
    lines: list[Any],
    options: ReadOptions,
) -> None:
    folder = tmp_path_factory.mktemp("walk")
    first = {"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello!"}]}
    path = folder / "file.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [first, *lines]), "utf-8")
    alone = outcome(path, folder / "alone", chat, options, ONE_AT_A_TIME)
    assert outcome(path, folder / "ahead", chat, options, ahead) == alone


def write_answers(path: Path, answers: list[str], tail: str = "") -> Path:
    records = [
        {"messages": [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": answer}]}
        for number, answer in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + tail, "utf-8")
    return path


def test_the_first_error_of_the_file_is_raised_not_the_first_that_is_met(
    tmp_path: Path, chat: ChatModel, ahead: LookAhead
) -> None:
    """Line 3 is refused by the template, line 5 too, and the file ends in bytes that cannot be decompressed."""
    path = write_answers(tmp_path / "file.jsonl", ["fine", "fine", "forbidden", "fine", "forbidden"] + ["fine"] * 20)
    whole = path.read_bytes()
    with pytest.raises(DatasetError, match=r"file\.jsonl, line 3 .*it is forbidden") as alone:
        list(Examination(path, chat, ReadOptions()).conversations())
    with pytest.raises(DatasetError, match=r"file\.jsonl, line 3 .*it is forbidden") as several:
        list(Examination(path, chat, ReadOptions(), ahead=ahead).conversations())
    assert several.value.as_dict() == alone.value.as_dict()
    assert path.read_bytes() == whole


def test_what_was_read_before_reading_fails_is_given_out_first(chat: ChatModel, ahead: LookAhead) -> None:
    def items() -> Iterator[int]:
        yield from range(8)
        raise DatasetError("The file ends here.")

    walk = encode_ahead(items(), task, chat, ahead)
    assert [next(walk)[0] for _ in range(8)] == list(range(8))
    with pytest.raises(DatasetError, match="ends here"):
        next(walk)


@pytest.mark.parametrize("several", [False, True])
def test_copies_are_told_by_what_the_file_says_not_by_what_was_repaired(
    tmp_path: Path, chat: ChatModel, ahead: LookAhead, several: bool
) -> None:
    path = tmp_path / "file.jsonl"
    answers = ["Another.", "First one.\\n\\nThen two.", "First one.\n\nThen two.", "First one.\\n\\nThen two."]
    records = [
        {"id": f"c{number}", "messages": [{"role": "user", "content": "What?"}, {"role": "assistant", "content": text}]}
        for number, text in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    examination = Examination(path, chat, ReadOptions(), ahead=ahead if several else ONE_AT_A_TIME)
    repaired = [examined.conversation.turns[1].content for examined in examination.conversations()]
    assert repaired == ["Another.", *["First one.\n\nThen two."] * 3]
    assert examination.groups.exact == [["c1", "c3"]]


# Order, bounds, ends


def test_results_are_those_of_their_items(chat: ChatModel, ahead: LookAhead) -> None:
    """In order, whoever encoded; nothing is done for what asks for nothing or cannot be encoded."""
    answers = {number: f"An answer of {'many ' * (number % 7)}words." for number in range(60)} | {31: "forbidden"}

    def asked(number: int) -> Task | None:
        return None if number % 10 == 4 else task(number, answers[number])

    given = list(encode_ahead(range(60), asked, chat, ahead))
    assert [number for number, _ in given] == list(range(60))
    made = FingerprintMaker()
    by_processes = 0
    for number, done in given:
        wanted = asked(number)
        if wanted is None or number in (0, 31):
            assert done.lengths is None
        else:
            encoded = chat.encode_conversation(wanted.messages)
            assert done.lengths is not None
            assert done.lengths.tokens == len(encoded.input_ids)
            assert list(done.lengths.answer_spans) == encoded.answer_spans
        if wanted is not None and done.fingerprint is not None:
            by_processes += 1
            assert tuple(map(str, done.fingerprint)) == tuple(map(str, made.of(wanted.texts)))
    assert by_processes >= 3


def test_reading_stays_a_few_batches_ahead(chat: ChatModel, ahead: LookAhead) -> None:
    read = given = most = 0

    def items() -> Iterator[int]:
        nonlocal read
        for number in range(400):
            read += 1
            yield number

    for _ in encode_ahead(items(), task, chat, ahead):
        given += 1
        most = max(most, read - given)
    assert (read, given) == (400, 400)
    assert ahead.batches == (WAITING_BATCHES + 1) * 2 + 1
    assert ahead.conversations < most <= ahead.batches * ahead.conversations


def test_no_process_is_started_for_a_small_file(chat: ChatModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of as many characters as 242 long conversations, the first ones are encoded here."""
    started = []
    monkeypatch.setattr(look_ahead, "EncodingPool", lambda *_: started.append(1))
    texts = "x" * 9_000
    small = [Task([], [texts])] * 242
    assert all(done is NOT_DONE for _, done in encode_ahead(small, lambda each: each, chat, LookAhead(processes=1)))
    assert not started
    assert 242 * len(texts) < AUTOMATIC.begins_after


def test_processes_end_with_the_walk(chat: ChatModel) -> None:
    before = children()
    several = LookAhead(processes=2, begins_after=0, conversations=2)
    walk = encode_ahead(iter(range(100)), task, chat, several)
    assert next(walk)[0] == 0
    assert next(walk)[0] == 1
    assert len(children() - before) == 2
    walk.close()
    assert children() == before


def test_processes_end_when_reading_is_broken_off(chat: ChatModel) -> None:
    before = children()

    def items() -> Iterator[int]:
        yield from range(5)
        assert len(children() - before) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(encode_ahead(items(), task, chat, LookAhead(processes=1, begins_after=0, conversations=2)))
    assert children() == before


READER = """
import sys, time
from pathlib import Path
from brightrun.datasets.encoding_pool import EncodingPool
from brightrun.datasets.look_ahead import LookAhead, encode_ahead
from brightrun.templating import load_chat_model

chat = load_chat_model(Path(sys.argv[1]))
pool = EncodingPool(chat, 1)
pool.wait_until_ready()

def items():
    yield 1
    print(*pool.process_ids, flush=True)
    time.sleep(60)

try:
    list(encode_ahead(items(), lambda _: None, chat, LookAhead(processes=1, begins_after=0, pool=pool)))
finally:
    pool.close()
"""


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_no_process_outlives_the_program_that_started_it(chat: ChatModel, kind: signal.Signals) -> None:
    command = [sys.executable, "-c", READER, chat.source]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as reader:
        assert reader.stdout is not None
        process = psutil.Process(int(reader.stdout.readline()))
        os.kill(process.pid, signal.SIGINT)  # as a terminal might: it is for the reader
        assert process.is_running()
        reader.send_signal(kind)
        assert reader.wait() != 0
    assert psutil.wait_procs([process], timeout=10)[1] == []


def test_where_there_is_one_core_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, processes in ((1, 0), (2, 1), (4, 3), (64, 4)):
        monkeypatch.setattr(platforms.os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)), raising=False)
        assert AUTOMATIC.all_processes == processes
    monkeypatch.delattr(platforms.os, "sched_getaffinity")
    monkeypatch.setattr(platforms.os, "cpu_count", lambda: None)
    assert AUTOMATIC.all_processes == 0


# A process that is no help


def everything(chat: ChatModel, ahead: LookAhead) -> list[tuple[int, Done]]:
    return list(encode_ahead(range(40), task, chat, ahead))


@pytest.mark.parametrize("program", ["/nowhere/python", "", "/bin/false"])
def test_where_no_process_can_be_started_all_is_encoded_here(
    chat: ChatModel, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr("brightrun.datasets.encoding_pool.sys.executable", program)
    given = everything(chat, LookAhead(processes=2, begins_after=0, conversations=2))
    assert [number for number, _ in given] == list(range(40))
    assert all(done.lengths is not None for _, done in given[1:])
    assert all(done.fingerprint is None for _, done in given)


def test_what_a_process_had_when_it_died_is_not_lost(chat: ChatModel) -> None:
    """It is stopped, so that it has work for certain, and then killed."""
    with closing(EncodingPool(chat, 1)) as pool:
        pool.wait_until_ready()
        process = pool.process_ids[0]
        os.kill(process, signal.SIGSTOP)
        batches = [pool.send([task(number)]) for number in range(WAITING_BATCHES + 1)]
        assert batches.pop() is None
        os.kill(process, signal.SIGKILL)
        assert [batch.results() for batch in batches if batch is not None] == [[NOT_DONE]] * WAITING_BATCHES
        psutil.wait_procs([psutil.Process(process)] if psutil.pid_exists(process) else [], timeout=5)
        ahead = LookAhead(processes=1, begins_after=0, conversations=2, pool=pool)
        assert [number for number, _ in everything(chat, ahead)] == list(range(40))


def test_a_model_that_only_this_process_has_is_not_looked_for(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", CHATML, CHATML_CONFIG)
    chat = load_chat_model(folder)
    assert source_of(chat) is not None
    folder.rename(tmp_path / "elsewhere")
    assert source_of(chat) is None
    with closing(EncodingPool(chat, 2)) as pool:
        assert pool.process_ids == []
        assert pool.send([task(1)]) is None


def test_another_model_in_the_same_folder_is_noticed(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", CHATML, CHATML_CONFIG)
    source = source_of(load_chat_model(folder, name="ours"))
    assert source is not None
    same = load(source)
    assert same is not None
    assert same.name == "ours"
    write_model(tmp_path / "model", "{# another #}" + CHATML, CHATML_CONFIG)
    assert load(source) is None


def test_metas_model_is_found_without_a_folder() -> None:
    source = source_of(llama3_chat_model())
    assert source is not None
    assert source.folder is None
    assert load(source) is llama3_chat_model()


# What passes between them


def test_tasks_arrive_as_they_were_sent() -> None:
    tasks = [
        Task(CONVERSATION, [message.content for message in CONVERSATION[1:]]),
        Task([replace(CONVERSATION[1], content="half \ud83d")], ["as it stood"]),
    ]
    assert unpack_tasks(pack_tasks(tasks)) == [Task(list(each.messages), list(each.texts)) for each in tasks]
    once = Message("user", "".join(["x"] * 5_000))
    assert len(pack_tasks([Task([once], [once.content])])) < 6_000


def test_results_arrive_as_they_were_found(chat: ChatModel) -> None:
    done = work(chat, FingerprintMaker(), [task(1), task(2, "forbidden"), Task(CONVERSATION, ["Hello"])])
    arrived = unpack_done(pack_done(done), 3)
    assert [each.lengths for each in arrived] == [each.lengths for each in done]
    assert [each.lengths is None for each in arrived] == [False, True, False]
    for sent, came in zip(done, arrived, strict=True):
        assert sent.fingerprint is not None
        assert came.fingerprint is not None
        assert came.fingerprint[:2] == sent.fingerprint[:2]
        assert came.fingerprint.minima.tolist() == sent.fingerprint.minima.tolist()


def test_tools_reasoning_and_several_sequences_come_back_as_one_process_makes_them(tmp_path: Path) -> None:
    qwen = family_model(tmp_path / "qwen", "qwen3")
    records = []
    for number in range(9):
        record = openai()
        record["messages"][0]["content"] = f"What is in jar {number}?"
        if number % 3 == 0:
            record["messages"][1]["reasoning_content"] = f"I look into {number}."
        record["messages"][3]["weight"] = 1 + number % 2
        records.append(record)
    path = write_lines(tmp_path / "jars.jsonl", records)
    with closing(EncodingPool(qwen, 1)) as pool:
        pool.wait_until_ready()
        ahead = LookAhead(processes=1, begins_after=0, conversations=3, characters=400, pool=pool)
        both = [
            examine_dataset(path, tmp_path / name, chat=qwen, options=ReadOptions(), ahead=how)
            for name, how in (("here", ONE_AT_A_TIME), ("there", ahead))
        ]
    assert both[0].hashes == both[1].hashes
    assert [len(each.sequence_starts) for each in both[1].conversations()] == [1, 2, 2] * 3
