"""Every family that can be trained: a packed row, padded rows and single sequences are the same training.

Tiny models with random weights, real templates. Conversations with tools and reasoning are several sequences under
some templates (Qwen3's), which must not see each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

pytest.importorskip("torch")

import torch
import transformers

from brightrun.catalogue.model_shapes import TRAINABLE_KINDS
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.run_folder import RunFolder
from brightrun.runs.examples import TokenizedExample
from brightrun.templating.batches import Step
from brightrun.templating.chat_model import ChatModel, EncodedConversation
from brightrun.templating.messages import Message
from brightrun.worker.device import device_kind
from brightrun.worker.event_log import EventLog
from brightrun.worker.load_model import load_base
from brightrun.worker.validation import measure_losses
from tests.unit.family_models import family_model
from tests.unit.test_templating_families import REASONED, TOOLS

pytestmark = [
    pytest.mark.worker,
    # TRL still uses the old names of a switch that transformers has renamed.
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning"),
]

TOLERANCE = 2e-5
PLAIN = (
    Message("user", "He fell again."),
    Message("assistant", "Who is with him now?", trained=True),
    Message("user", "Only the neighbor."),
    Message("assistant", "Then call her first.", trained=True),
)
KINDS = {
    "llama": ("LlamaConfig", "llama3_1", (PLAIN, TOOLS)),
    "mistral": ("MistralConfig", "mistral_small", (PLAIN, TOOLS)),
    "qwen2": ("Qwen2Config", "qwen2_5", (PLAIN, TOOLS)),
    "qwen3": ("Qwen3Config", "qwen3", (PLAIN, TOOLS, REASONED)),
    "gemma3_text": ("Gemma3TextConfig", "gemma3", (PLAIN,)),
    "smollm3": ("SmolLM3Config", "qwen3", (PLAIN, TOOLS)),
}
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 4096,
    "sliding_window": 16,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "initializer_range": 0.3,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


class Bench(NamedTuple):
    trainer: Any
    chat: ChatModel
    whole: list[TokenizedExample]
    single: list[TokenizedExample]


def test_every_kind_that_is_accepted_is_tried() -> None:
    assert set(KINDS) == set(TRAINABLE_KINDS)


@pytest.fixture(scope="module", params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    from brightrun.worker.train_adapter import Training, _AnswerTrainer

    name, template, talks = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    chat = family_model(folder / "model", template)
    shape = dict(SHAPE) if request.param in {"gemma3_text"} else {
        key: value for key, value in SHAPE.items() if key not in {"sliding_window", "layer_types"}
    }  # fmt: skip
    torch.manual_seed(3)
    config = getattr(transformers, name)(vocab_size=300, **shape)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder / "model")
    whole = [TokenizedExample(str(number), chat.encode_conversation(talk)) for number, talk in enumerate(talks)]
    single = [part for example in whole for part in sequences(example)]
    event_log = EventLog(folder / "events.jsonl")
    training = Training(
        hyperparameters=Hyperparameters(lora_dropout=0.0),
        examples=[*whole, *single],
        steps=[Step(1.0, ((0,),))],
        folder=RunFolder(folder),
        fingerprint="families",
        event_log=event_log,
        validation_loss=lambda _: 0.0,
        pad_id=chat.pad_id,
    )
    trainer = _AnswerTrainer(load_base(folder / "model", training.hyperparameters.resolve(device_kind())), training)
    generator = torch.Generator().manual_seed(11)
    for parameter_name, parameter in trainer.model.named_parameters():
        if "lora_B" in parameter_name:
            parameter.data = 0.05 * torch.randn(parameter.shape, generator=generator)
    yield Bench(trainer, chat, whole, single)
    event_log.close()


def sequences(example: TokenizedExample) -> list[TokenizedExample]:
    """Each sequence of a conversation as an example of its own."""
    encoded = example.encoded
    ends = [*encoded.sequence_starts[1:], len(encoded.input_ids)]
    parts = []
    for start, end in zip(encoded.sequence_starts, ends, strict=True):
        spans = [(a - start, b - start) for a, b in encoded.answer_spans if start <= a < end]
        part = EncodedConversation(encoded.input_ids[start:end], encoded.loss_mask[start:end], spans)
        parts.append(TokenizedExample(example.conversation_id, part))
    return parts


def step(bench: Bench, micro_batches: list[list[int]], *, packing: bool) -> tuple[float, torch.Tensor]:
    training = bench.trainer._training
    training.hyperparameters = training.hyperparameters.model_copy(update={"packing": packing})
    bench.trainer.model.zero_grad(set_to_none=True)
    rows = tuple(map(tuple, micro_batches))
    loss = bench.trainer.training_step(bench.trainer.model, {"step": Step(1.0, rows)})
    named = sorted((name, part) for name, part in bench.trainer.model.named_parameters() if part.requires_grad)
    return float(loss), torch.cat([part.grad.flatten().double() for _, part in named])


def test_packed_padded_and_single_are_the_same_training(bench: Bench) -> None:
    whole, single = range(len(bench.whole)), range(len(bench.whole), len(bench.whole) + len(bench.single))
    wanted, gradient = step(bench, [[index] for index in single], packing=True)
    assert gradient.norm() > 0
    for rows, packing in (([[*whole]], True), ([[*whole]], False), ([[index] for index in whole], True)):
        loss, other = step(bench, rows, packing=packing)
        assert loss == pytest.approx(wanted, rel=TOLERANCE)
        assert float((other - gradient).norm() / gradient.norm()) < 1e-3


def test_validation_losses_are_those_of_single_sequences(bench: Bench) -> None:
    base = load_base(bench.trainer._training.folder.root / "model", bench.trainer._training.hyperparameters.resolve(
        device_kind()))  # fmt: skip
    together = [each.loss for each in measure_losses(base, base.model, bench.whole)]
    apart = [each.loss for each in measure_losses(base, base.model, bench.single)]
    assert together == pytest.approx(apart, rel=TOLERANCE)


def test_an_answer_of_weight_2_counts_twice(bench: Bench) -> None:
    """Its gradient is the token-weighted mean of the gradients that its answers have alone."""
    examples = bench.trainer._training.examples
    del examples[len(bench.whole) + len(bench.single) :]
    light, heavy = (encoded(bench.chat, PLAIN, weights) for weights in ((1.0, 1.0), (1.0, 2.0)))
    first, second = (encoded(bench.chat, PLAIN, weights) for weights in ((1.0, None), (None, 1.0)))
    examples += [TokenizedExample("weights", one) for one in (light, heavy, first, second)]
    at = len(examples) - 4
    assert light.answer_weights == ()
    assert heavy.answer_weights == (1.0, 2.0)
    losses = [step(bench, [[at + number]], packing=True) for number in range(4)]
    sizes = [first.trained_tokens, second.trained_tokens]
    for number, weights in ((0, (1.0, 1.0)), (1, (1.0, 2.0))):
        shares = [weight * size for weight, size in zip(weights, sizes, strict=True)]
        loss = sum(share * losses[2 + each][0] for each, share in enumerate(shares)) / sum(shares)
        gradient = sum(share * losses[2 + each][1] for each, share in enumerate(shares)) / sum(shares)
        assert losses[number][0] == pytest.approx(loss, rel=TOLERANCE)
        assert float((losses[number][1] - gradient).norm() / losses[number][1].norm()) < 1e-3
    assert float((losses[0][1] - losses[1][1]).norm() / losses[1][1].norm()) > 0.02
    padded, _ = step(bench, [[at + 1, 0]], packing=False)
    packed, _ = step(bench, [[at + 1], [0]], packing=True)
    assert padded == pytest.approx(packed, rel=TOLERANCE)


def encoded(chat: ChatModel, messages: tuple[Message, ...], weights: tuple[float | None, ...]) -> EncodedConversation:
    """The conversation whose answers have these weights; None: not trained on."""
    given = iter(weights)
    marked = []
    for message in messages:
        weight = next(given) if message.trained else None
        marked.append(replace(message, trained=weight is not None, weight=weight or 1.0))
    return chat.encode_conversation(marked)


def test_every_layer_learns(bench: Bench) -> None:
    step(bench, [[0]], packing=True)
    learned = [name for name, part in bench.trainer.model.named_parameters() if part.requires_grad]
    projections = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    for layer in range(SHAPE["num_hidden_layers"] if isinstance(SHAPE["num_hidden_layers"], int) else 0):
        for projection in projections:
            assert any(f"layers.{layer}." in name and projection in name for name in learned)
