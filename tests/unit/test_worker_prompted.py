"""The prompted base, asked of a real, tiny model: what is kept of the shown conversations changes no figure."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from torch.nn.functional import cross_entropy

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.job_spec import JobSpec
from brightrun.datasets.prepared import PreparedConversation, read_prepared
from brightrun.runs.examples import validation_examples
from brightrun.runs.shown_conversations import TRIED, behind_shown, choose_shown
from brightrun.templating.chat_model import ChatModel
from brightrun.templating.messages import Message
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.answer import choose_prompts, generate_answers
from brightrun.worker.event_log import EventLog
from brightrun.worker.limits import RunLimits
from brightrun.worker.load_model import LoadedBase, load_base
from brightrun.worker.prompted import Prompted, ask_prompted, common_prefix, load_prompted, save_prompted
from tests.runs import make_run

pytestmark = pytest.mark.worker


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> LoadedBase:
    return load_base(tiny_model, Hyperparameters().resolve("cpu"))


@pytest.fixture(scope="module")
def chat(tiny_model: Path) -> ChatModel:
    return load_chat_model(tiny_model)


def _conversation(name: str, *turns: str, persona: str | None = None) -> PreparedConversation:
    roles = ["user", "assistant"] * len(turns)
    messages = [{"role": "system", "content": "Answer as Lena."}]
    messages += [
        {"role": role, "content": text, "trained": role == "assistant"}  # type: ignore[dict-item]
        for role, text in zip(roles, turns, strict=False)
    ]
    return PreparedConversation.model_validate({"id": name, "persona": persona, "messages": messages})


def test_every_persona_is_shown_before_a_second_one_of_any(chat: ChatModel) -> None:
    conversations = [
        _conversation("a1", "one", "two", persona="a"),
        _conversation("a2", "three", "four", persona="a"),
        _conversation("b1", "five", "six", persona="b"),
    ]
    shown = choose_shown(conversations, chat, room=10_000)
    assert [message.content for message in shown.turns] == ["one", "two", "five", "six", "three", "four"]
    assert shown.conversations == 3
    assert not any(message.trained for message in shown.turns)
    less = choose_shown(conversations, chat, room=shown.tokens - 1)
    assert [message.content for message in less.turns] == ["one", "two", "five", "six"]
    assert choose_shown(conversations, chat, room=3).turns == ()


def test_after_so_many_that_do_not_fit_none_is_tried_any_more(chat: ChatModel) -> None:
    first, last = _conversation("a", "one", "two"), _conversation("z", "three", "four")
    room = choose_shown([first, last], chat, room=10_000).tokens
    for misses, shown in ((TRIED - 1, 2), (TRIED, 1)):
        long = [_conversation(f"m{number:03}", "word " * room, "yes") for number in range(misses)]
        assert choose_shown([first, *long, last], chat, room=room).conversations == shown


def test_only_plain_turns_can_be_shown(chat: ChatModel) -> None:
    greeting = PreparedConversation.model_validate(
        {"id": "g", "messages": [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Yes"}]}
    )
    assert choose_shown([greeting], chat, room=10_000).conversations == 0


def test_shown_turns_stand_behind_the_system_prompt() -> None:
    shown = [Message("user", "a"), Message("assistant", "b")]
    own = [Message("system", "s"), Message("user", "c"), Message("assistant", "d", trained=True)]
    assert behind_shown(shown, own) == (own[0], *shown, *own[1:])
    assert behind_shown(shown, own[1:]) == (*shown, *own[1:])


def test_thecommon_prefix_leaves_something_of_every_sequence() -> None:
    assert common_prefix([[1, 2, 3, 4, 5], [1, 2, 3, 9, 9]]) == [1, 2, 3]
    assert common_prefix([[1, 2, 3], [1, 2, 3]]) == [1]
    assert common_prefix([[1, 2, 3, 4], [7, 2, 3, 4]]) == []
    assert common_prefix([[1], [1]]) == []


def test_losses_and_answers_are_those_of_reading_everything_anew(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path, base: LoadedBase, chat: ChatModel
) -> None:
    folder = make_run(
        tmp_path / "run", tiny_model, sample_dataset, prompted_tokens=1500, sample_answers=3, sample_tokens=12
    )
    spec = JobSpec.load(folder.spec)
    folder.work.mkdir(exist_ok=True)
    conversations = list(read_prepared(folder.root / spec.dataset.validation_path))
    prompts = choose_prompts(conversations, 3)
    examples = list(validation_examples(conversations, chat))
    log = EventLog(folder.event_log, attempt=1)
    prompted = ask_prompted(base, chat, spec, folder, examples, prompts, event_log=log, limits=RunLimits())
    log.close()
    assert prompted is not None
    train = read_prepared(folder.root / spec.dataset.train_path)
    shown = choose_shown(train, chat, room=1500)
    assert prompted.conversations == shown.conversations > 0
    alone = {}
    for conversation in conversations:
        encoded = chat.encode_conversation(behind_shown(shown.turns, conversation.chat_messages()))
        ids = torch.tensor([encoded.input_ids])
        with torch.no_grad():
            logits = base.model(input_ids=ids).logits[0]
        for number, (start, end) in enumerate(encoded.answer_spans, start=1):
            alone[conversation.id, number] = float(cross_entropy(logits[start - 1 : end - 1], ids[0, start:end]))
    assert {
        (one.conversation_id, one.answer_number): pytest.approx(one.loss, abs=1e-4) for one in prompted.losses
    } == alone
    for prompt, answer in zip(prompts, prompted.answers, strict=True):
        whole = chat.encode_prompt(behind_shown(shown.turns, prompt.messages))
        assert generate_answers(base, base.model, chat, [whole], max_tokens=12) == [answer]


def test_where_memory_ends_the_run_goes_on_without(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path, chat: ChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    folder = make_run(tmp_path / "run", tiny_model, sample_dataset, prompted_tokens=1500)
    spec, log = JobSpec.load(folder.spec), EventLog(folder.event_log, attempt=1)
    conversations = list(read_prepared(folder.root / spec.dataset.validation_path))
    examples = list(validation_examples(conversations, chat))
    base = load_base(tiny_model, Hyperparameters().resolve("cpu"))
    monkeypatch.setattr(base.model, "get_decoder", lambda: full)
    assert ask_prompted(base, chat, spec, folder, examples, [], event_log=log, limits=RunLimits()) is None
    log.close()
    assert "has not the memory" in folder.event_log.read_text(encoding="utf-8")


def test_what_was_asked_is_kept_for_the_same_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "prompted.json"
    assert load_prompted(path, fingerprint="a") is None
    prompted = Prompted(conversations=2, tokens=9, losses=(), answers=())
    save_prompted(path, prompted, fingerprint="a")
    kept = load_prompted(path, fingerprint="a")
    assert kept is not None
    assert copy.copy(kept.prompted) == prompted
    assert load_prompted(path, fingerprint="b") is None
    path.write_text("{", encoding="utf-8")
    assert load_prompted(path, fingerprint="a") is None
