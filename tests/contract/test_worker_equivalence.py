"""One sequence per conversation, packed, is the same training as separate, padded examples: same loss, same gradient.

Everything goes through the worker's own trainer (build_micro_batches and TRL's loss), on the tiny model in fp32,
without dropout.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.run_folder import RunFolder
from brightrun.runs.examples import TokenizedExample
from brightrun.templating.batches import ExampleSize, Step, plan_steps
from brightrun.templating.messages import Message
from brightrun.templating.model_folder import load_chat_model
from brightrun.templating.separate import separate_examples
from brightrun.worker.device import device_kind
from brightrun.worker.event_log import EventLog
from brightrun.worker.load_model import load_base
from brightrun.worker.micro_batches import MicroBatch, build_micro_batches

pytestmark = [
    pytest.mark.worker,
    # TRL still uses the old names of a switch that transformers has renamed.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning"),
]

TOLERANCE = 1e-5
SYSTEM = Message("system", "You are a calm guide. Name the feeling first.")
TALKS = {
    "three-answers": [
        Message("user", "He fell again and I am three hours away."),
        Message("assistant", "That is a heavy morning. Who is with him now?", trained=True),
        Message("user", "Only the neighbour."),
        Message("assistant", "Then call her first, before the doctor.", trained=True),
        Message("user", "And after that?"),
        Message("assistant", "Write down the time of the fall; the nurse will ask.", trained=True),
    ],
    # A excluded answer stays as context and is not trained on; a later one is trained on all the same.
    "quarantined-middle": [
        Message("user", "I have not slept."),
        Message("assistant", "Nobody sleeps well in a week like this one.", trained=True),
        Message("user", "Is that normal?"),
        Message("assistant", "It is, and here the text breaks off\\"),
        Message("user", "What do I do tonight?"),
        Message("assistant", "Put the phone in the kitchen at ten.", trained=True),
    ],
    "one-answer": [
        Message("user", "Should I quit my job?"),
        Message("assistant", "Not this week. What would you lose first?", trained=True),
    ],
    "two-answers": [
        Message("user", "My sister does not call back."),
        Message("assistant", "Ask her for one thing with a day in it.", trained=True),
        Message("user", "She will say no."),
        Message("assistant", "Then you know by Friday.", trained=True),
    ],
}


@dataclass(slots=True)
class Bench:
    """The worker's trainer over all sequences below, merged ones first, then the separate ones of each."""

    trainer: Any
    examples: list[TokenizedExample]
    merged: dict[str, int]
    separate: dict[str, list[int]]
    pad_id: int

    def step(self, *micro_batches: list[int], packing: bool = True) -> tuple[float, torch.Tensor]:
        """Loss and gradient of one optimizer step made of `rows` of sequences."""
        training = self.trainer._training
        training.hyperparameters = training.hyperparameters.model_copy(update={"packing": packing})
        self.trainer.model.zero_grad(set_to_none=True)
        loss = self.trainer.training_step(self.trainer.model, {"step": Step(1.0, tuple(map(tuple, micro_batches)))})
        return float(loss), self.gradient()

    def gradient(self) -> torch.Tensor:
        """All adapter gradients as one long vector."""
        named = sorted((name, part) for name, part in self.trainer.model.named_parameters() if part.requires_grad)
        assert all(part.grad is not None for _, part in named)
        return torch.cat([part.grad.flatten().double() for _, part in named])

    def token_losses(self, micro_batch: MicroBatch) -> list[float]:
        """The loss of every trained token of a row, as the trainer's own forward gives it, in order."""
        with torch.no_grad():
            tensors = micro_batch.tensors(torch.device("cpu"))
            output = self.trainer.model(**tensors, use_cache=False, fused_lm_head=True)
        losses: list[float] = (-output.log_probs[output.label_mask]).tolist()
        return losses

    def micro_batches(self, *indices: int, packing: bool) -> MicroBatch:
        (micro_batch,) = build_micro_batches(Step(1.0, (indices,)), self.examples, packing=packing, pad_id=self.pad_id)
        return micro_batch


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Bench]:
    from brightrun.worker.train_adapter import Training, _AnswerTrainer

    chat = load_chat_model(tiny_model)
    conversations = {name: [SYSTEM, *messages] for name, messages in TALKS.items()}
    examples = [TokenizedExample(name, chat.encode_conversation(messages)) for name, messages in conversations.items()]
    separate: dict[str, list[int]] = {}
    for name, messages in conversations.items():
        parts = [TokenizedExample(name, chat.encode_conversation(part)) for part in separate_examples(messages)]
        separate[name] = list(range(len(examples), len(examples) + len(parts)))
        examples += parts
    folder = tmp_path_factory.mktemp("equivalence")
    event_log = EventLog(folder / "events.jsonl")
    training = Training(
        hyperparameters=Hyperparameters(lora_dropout=0.0),
        examples=examples,
        steps=[Step(1.0, ((0,),))],
        folder=RunFolder(folder),
        fingerprint="equivalence",
        event_log=event_log,
        validation_loss=lambda _: 0.0,
        pad_id=chat.pad_id,
    )
    trainer = _AnswerTrainer(load_base(tiny_model, training.hyperparameters.resolve(device_kind())), training)
    # A fresh adapter's B is zero, and with it every gradient of A: nothing to compare.
    generator = torch.Generator().manual_seed(11)
    for name, parameter in trainer.model.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    merged = {name: number for number, name in enumerate(conversations)}
    yield Bench(trainer, examples, merged, separate, chat.pad_id)
    event_log.close()


@pytest.mark.parametrize("name", sorted(TALKS))
def test_a_conversation_is_the_sum_of_its_separate_examples(bench: Bench, name: str) -> None:
    merged_loss, merged_gradient = bench.step([bench.merged[name]])
    separate_loss, separate_gradient = bench.step(*([index] for index in bench.separate[name]))

    assert len(bench.separate[name]) == sum(message.trained for message in TALKS[name])
    assert merged_loss == pytest.approx(separate_loss, rel=TOLERANCE)
    assert difference(merged_gradient, separate_gradient) < TOLERANCE


def test_an_excluded_answer_with_loss_would_be_seen(bench: Bench) -> None:
    """The comparison above can fail: with the untrained answer learned, loss and gradient are others."""
    chat_labels = bench.examples[bench.merged["quarantined-middle"]].encoded
    everything = replace(chat_labels, loss_mask=[False] + [True] * (len(chat_labels.input_ids) - 1))
    bench.examples.append(TokenizedExample("all-learnt", everything))
    try:
        loss, gradient = bench.step([len(bench.examples) - 1])
    finally:
        bench.examples.pop()
    honest_loss, honest_gradient = bench.step([bench.merged["quarantined-middle"]])

    assert abs(loss / honest_loss - 1) > 1e-3
    assert difference(gradient, honest_gradient) > 1e-2


def test_the_loss_is_what_plain_pytorch_says(bench: Bench) -> None:
    """TRL's tiled loss against cross entropy over full logits, by hand."""
    index = bench.merged["quarantined-middle"]
    encoded = bench.examples[index].encoded
    ids = torch.tensor([encoded.input_ids])
    with torch.no_grad():
        logits = bench.trainer.model(input_ids=ids, use_cache=False).logits[0]
    trained = torch.tensor([position for position, is_trained in enumerate(encoded.loss_mask) if is_trained])
    by_hand = torch.nn.functional.cross_entropy(logits[trained - 1].double(), ids[0, trained])

    loss, _ = bench.step([index])

    assert loss == pytest.approx(float(by_hand), rel=TOLERANCE)


def test_packed_sequences_have_the_token_losses_they_have_alone(bench: Bench) -> None:
    names = list(TALKS)
    packed = bench.token_losses(bench.micro_batches(*(bench.merged[name] for name in names), packing=True))
    alone = [
        loss for name in names for loss in bench.token_losses(bench.micro_batches(bench.merged[name], packing=True))
    ]

    assert len(packed) == len(alone) > 100
    assert packed == pytest.approx(alone, rel=TOLERANCE, abs=TOLERANCE)


def test_packed_sequences_have_the_gradient_they_have_alone(bench: Bench) -> None:
    indices = list(bench.merged.values())
    packed_loss, packed_gradient = bench.step(indices)
    alone_loss, alone_gradient = bench.step(*([index] for index in indices))

    assert packed_loss == pytest.approx(alone_loss, rel=TOLERANCE)
    assert difference(packed_gradient, alone_gradient) < TOLERANCE


def test_padded_rows_equal_packed_rows(bench: Bench) -> None:
    indices = list(bench.merged.values())
    padded = bench.micro_batches(*indices, packing=False)
    assert len({len(ids) for ids in padded.input_ids}) == 1
    assert padded.attention_mask is not None
    assert min(map(sum, padded.attention_mask)) < len(padded.input_ids[0])

    packed_loss, packed_gradient = bench.step(indices, packing=True)
    padded_loss, padded_gradient = bench.step(indices, packing=False)

    assert padded_loss == pytest.approx(packed_loss, rel=TOLERANCE)
    assert difference(padded_gradient, packed_gradient) < TOLERANCE


def test_one_row_of_four_answers_equals_four_rows_of_one(bench: Bench) -> None:
    """batch_size × gradient_accumulation_steps as 4×1, 2×2 and 1×4: the same steps, the same gradients."""
    indices = [index for separate in bench.separate.values() for index in separate]
    sizes = [bench.examples[index].size for index in indices]
    planned = {(batch, 4 // batch): steps_of(sizes, batch, 4 // batch) for batch in (4, 2, 1)}
    assert [len(steps) for steps in planned.values()] == [2, 2, 2]
    assert [max(len(step.micro_batches) for step in steps) for steps in planned.values()] == [1, 2, 4]

    for of_four, of_two, of_one in zip(*planned.values(), strict=True):
        reference_loss, reference = run_planned(bench, of_four, indices)
        for other in (of_two, of_one):
            assert sorted(flat(other)) == sorted(flat(of_four))
            loss, gradient = run_planned(bench, other, indices)
            assert loss == pytest.approx(reference_loss, rel=TOLERANCE)
            assert difference(gradient, reference) < TOLERANCE


def test_rows_of_unequal_length_weigh_by_their_tokens(bench: Bench) -> None:
    """A mean of row means (transformers 34191) would give the short row more than its share."""
    long, short = bench.merged["three-answers"], bench.merged["one-answer"]
    counts = [bench.examples[index].size.trained_tokens for index in (long, short)]
    losses = [bench.step([index])[0] for index in (long, short)]
    by_tokens = sum(count * loss for count, loss in zip(counts, losses, strict=True)) / sum(counts)

    together, _ = bench.step([long], [short])

    assert together == pytest.approx(by_tokens, rel=TOLERANCE)
    assert abs(together / (sum(losses) / 2) - 1) > 10 * TOLERANCE


@pytest.mark.parametrize("mistake", ["positions run on", "a mask of ones is given"])
def test_a_row_whose_sequences_see_one_another_would_be_noticed(bench: Bench, mistake: str) -> None:
    """The negative control: the same tokens and labels with the boundary lost have other losses."""
    first, second = bench.merged["three-answers"], bench.merged["two-answers"]
    right = bench.micro_batches(first, second, packing=True)
    length = len(right.input_ids[0])
    wrong = {
        "positions run on": replace(right, position_ids=[[*range(length)]]),
        "a mask of ones is given": replace(right, attention_mask=[[1] * length]),
    }[mistake]
    kept = bench.examples[first].size.trained_tokens

    apart, together = bench.token_losses(right), bench.token_losses(wrong)

    assert together[:kept] == pytest.approx(apart[:kept], rel=TOLERANCE, abs=TOLERANCE)
    assert mean(map(gap, together[kept:], apart[kept:])) > 100 * TOLERANCE


def test_order_inside_a_row_changes_nothing(bench: Bench) -> None:
    indices = list(bench.merged.values())
    shuffled = random.Random(3).sample(indices, len(indices))
    assert shuffled != indices

    loss, gradient = bench.step(indices)
    other_loss, other_gradient = bench.step(shuffled)

    assert other_loss == pytest.approx(loss, rel=TOLERANCE)
    assert difference(other_gradient, gradient) < TOLERANCE


def steps_of(sizes: list[ExampleSize], batch_size: int, accumulation: int) -> list[Step]:
    return plan_steps(
        sizes,
        batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        num_epochs=1.0,
        max_steps=None,
        seed=42,
    )


def run_planned(bench: Bench, step: Step, indices: list[int]) -> tuple[float, torch.Tensor]:
    return bench.step(*([indices[number] for number in micro_batch] for micro_batch in step.micro_batches))


def flat(step: Step) -> list[int]:
    return [index for micro_batch in step.micro_batches for index in micro_batch]


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Relative error in the Euclidean norm."""
    assert float(other.norm()) > 0
    return float((one - other).norm() / other.norm())


def gap(one: float, other: float) -> float:
    return abs(one - other)


def mean(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed)
