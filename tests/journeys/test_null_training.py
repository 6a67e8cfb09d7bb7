"""Training that can teach nothing is never called better: shuffled answers, random answers, a rate of nearly zero.

A base with random weights learns how answers are written from any answers at all, and the verdict would rightly be
better. So the base first learns all there is to know about them, from fresh ones that it cannot memorize: letters, at
random, with spaces between. What is left is which letter a conversation asks for, and that is what is shuffled away.
"""

from __future__ import annotations

import json
import random
import string
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from brightrun.catalogue.pull.folder import pull_from_folder
from brightrun.contract.events import read_event_log
from brightrun.contract.run_folder import RunFolder
from brightrun.contract.states import EndReason, JobStatus
from brightrun.evaluation.comparison import Comparison
from tests.runs import make_run, run_worker

pytestmark = [
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

CONVERSATIONS, ANSWERS, LETTERS = 40, 3, 24
Messages = list[dict[str, str]]
QUICK: dict[str, Any] = {"evaluations": 1, "checkpoints": 1, "sample_answers": 1, "sample_tokens": 8}


def conversation(dice: random.Random) -> Messages:
    """Every answer begins with the letter that was asked for, and goes on with any."""
    messages: Messages = []
    for _ in range(ANSWERS):
        first, *others = dice.choices(string.ascii_lowercase, k=LETTERS)
        messages.append({"role": "user", "content": f"Begin with {first} please."})
        messages.append({"role": "assistant", "content": " ".join([first, *others])})
    return messages


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The tiny model after 300 steps on conversations whose answers belong to others."""
    home = tmp_path_factory.mktemp("learned")
    tokenizer, dice = AutoTokenizer.from_pretrained(tiny_model), random.Random(1)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for _ in range(300):
        batch = shuffled([conversation(dice) for _ in range(8)], dice)
        rows = [tokenizer.apply_chat_template(messages, return_dict=False) for messages in batch]
        shortest = min(len(row) for row in rows)
        ids = torch.tensor([row[:shortest] for row in rows])
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        falling.step()
    source = home / "source"
    model.save_pretrained(source)
    tokenizer.save_pretrained(source)
    return pull_from_folder(source, home / "models", name="learned", license="Apache-2.0").folder


def shuffled(conversations: list[Messages], dice: random.Random) -> list[Messages]:
    """The same questions with the answers of all conversations dealt out anew."""
    answers = [turn["content"] for messages in conversations for turn in messages if turn["role"] == "assistant"]
    dice.shuffle(answers)
    dealt = iter(answers)
    return [
        [{**turn, "content": next(dealt)} if turn["role"] == "assistant" else turn for turn in messages]
        for messages in conversations
    ]


def with_random_answers(conversations: list[Messages], dice: random.Random) -> list[Messages]:
    """The same questions with answers of letters drawn anew."""
    return [
        [
            {**turn, "content": " ".join(dice.choices(string.ascii_lowercase, k=LETTERS))}
            if turn["role"] == "assistant"
            else turn
            for turn in messages
        ]
        for messages in conversations
    ]


def trained(folder: Path, base: Path, conversations: list[Messages], **settings: Any) -> tuple[RunFolder, int]:
    """A whole run of the worker on these conversations, and its exit status."""
    folder.mkdir()
    dataset = folder / "dataset.jsonl"
    lines = [json.dumps({"messages": messages}) for messages in conversations]
    dataset.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = make_run(folder / "run", base, dataset, **QUICK, **settings)
    return run, run_worker(run)


@pytest.mark.parametrize("null", [shuffled, with_random_answers])
def test_answers_that_belong_to_nothing_are_never_called_better(null: Any, tmp_path: Path, base: Path) -> None:
    dice = random.Random(5)
    conversations = null([conversation(dice) for _ in range(CONVERSATIONS)], dice)
    run, status = trained(tmp_path / "null", base, conversations)
    assert status == 0
    overall = Comparison.model_validate_json(run.comparison.read_bytes()).overall
    assert overall.conversations >= 8
    assert overall.verdict in {"unclear", "worse"}, overall.sentence


def test_a_rate_of_nearly_zero_is_never_called_better(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    """Of a base with random weights, to which every step does some good: 0.03 % of the loss, on every conversation."""
    run = make_run(tmp_path / "run", tiny_model, sample_dataset, **QUICK, learning_rate=1e-5)
    assert run_worker(run) == 0
    overall = Comparison.model_validate_json(run.comparison.read_bytes()).overall
    assert overall.relative_high is not None
    assert -0.001 < overall.relative_high < 0
    assert overall.verdict == "unclear", overall.sentence


def test_a_rate_next_to_zero_delivers_nothing(tmp_path: Path, tiny_model: Path, sample_dataset: Path) -> None:
    """Zero itself is refused; after steps of a billionth the adapter cannot be told from the base."""
    run = make_run(tmp_path / "run", tiny_model, sample_dataset, **QUICK, max_steps=1, learning_rate=1e-9)
    assert run_worker(run) != 0
    assert not run.comparison.exists()
    (end,) = (event for event in read_event_log(run.event_log) if event.status is JobStatus.FAILED)
    assert end.reason is EndReason.ARTIFACT_UNVERIFIED
