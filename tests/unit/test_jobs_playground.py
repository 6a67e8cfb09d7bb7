"""Asking the models of a job: loaded once, unloaded when idle or at the end, refused with reasons where impossible."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from brightrun.catalogue.folders import ModelRecord, write_model_record
from brightrun.catalogue.gpus import load_gpus
from brightrun.compute.chat_process import ChatProcess
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.states import JobStatus
from brightrun.errors import BundleDamaged, ComputeError, Conflict, NoMachine, NotFound
from brightrun.jobs.playground import SCRATCH_PREFIX, Playground, Question, cheapest_gpu
from brightrun.jobs.studio import Studio
from tests.unit.finished_job import INSTRUCTIONS, a_finished_job
from tests.unit.web_studio import ME, SOMEBODY_ELSE, a_job, a_studio

PROGRAM = """
import json, sys
folder = sys.argv[1]
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    spec = json.load(open(folder + "/job.json"))
    told = {"text": json.dumps([asked, spec["model"]["path"]]), "tokens": 1, "stopped": True}
    print(json.dumps({"base": told, "tuned": told}), flush=True)
"""


class Second:
    """Seconds that are set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    with a_studio(tmp_path) as (studio, _):
        studio.home.mkdir()
        pulled(studio)
        yield replace(studio, open_chat=lambda run: ChatProcess(run, command=(sys.executable, str(script))))


@pytest.fixture
def second() -> Second:
    return Second()


@pytest.fixture
def playground(studio: Studio, second: Second) -> Iterator[Playground]:
    made = Playground(studio, idle_seconds=60.0, monotonic=second)
    yield made
    made.close()
    assert not scratch(studio)


def pulled(studio: Studio, name: str = "tiny-llama", revision: str = "test") -> Path:
    folder = studio.models / name
    folder.mkdir(parents=True)
    record = ModelRecord(
        name=name, revision=revision, source="folder", license="Apache-2.0", files=(),
        pulled_at=datetime(2026, 11, 1, tzinfo=UTC),
    )  # fmt: skip
    write_model_record(folder, record)
    return folder


def scratch(studio: Studio) -> list[Path]:
    return list(studio.home.glob(f"{SCRATCH_PREFIX}*"))


def heard(answers: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    import json

    asked, path = json.loads(answers["tuned"]["text"])
    return asked, path


def test_both_are_asked_the_same_under_the_dataset_s_own_instructions(studio: Studio, playground: Playground) -> None:
    job = a_finished_job(studio)
    asked, path = heard(playground.ask(ME, job.id, Question(prompt="Where do I begin?", max_tokens=7)))
    expected = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": "Where do I begin?"}]
    assert asked == {"base": expected, "tuned": expected, "max_tokens": 7}
    assert path == str(studio.models / "tiny-llama")


@pytest.mark.parametrize(("system", "roles"), [("", ["user"]), ("Be short.", ["system", "user"])])
def test_instructions_may_be_others_or_none(
    studio: Studio, playground: Playground, system: str, roles: list[str]
) -> None:
    job = a_finished_job(studio)
    asked, _ = heard(playground.ask(ME, job.id, Question(prompt="Hello", system=system)))
    assert [message["role"] for message in asked["base"]] == roles


def test_models_stay_loaded_until_nobody_asks_any_more(studio: Studio, playground: Playground, second: Second) -> None:
    job = a_finished_job(studio)
    assert playground.loaded_job is None
    playground.ask(ME, job.id, Question(prompt="One"))
    first = scratch(studio)
    playground.ask(ME, job.id, Question(prompt="Two"))
    assert scratch(studio) == first
    assert playground.loaded_job == job.id
    second.now = 59.0
    playground.unload_if_idle()
    assert playground.loaded_job == job.id
    second.now = 60.0
    playground.unload_if_idle()
    assert playground.loaded_job is None
    assert not scratch(studio)


def test_another_job_s_models_take_the_place(studio: Studio, playground: Playground) -> None:
    first, other = a_finished_job(studio), a_finished_job(studio)
    for job in (first, other):
        playground.ask(ME, job.id, Question(prompt="One"))
    assert playground.loaded_job == other.id
    assert len(scratch(studio)) == 1


def test_models_that_died_are_loaded_again(studio: Studio, playground: Playground) -> None:
    job = a_finished_job(studio)
    playground.ask(ME, job.id, Question(prompt="One"))
    loaded = playground._loaded
    assert loaded is not None
    loaded.chat.close()
    playground.ask(ME, job.id, Question(prompt="Two"))
    assert playground.loaded_job == job.id


def test_a_second_question_at_the_same_time_is_refused(studio: Studio, playground: Playground) -> None:
    job = a_finished_job(studio)
    with playground._busy, pytest.raises(Conflict, match="being answered"):
        playground.ask(ME, job.id, Question(prompt="One"))


def test_what_belongs_to_somebody_else_is_not_found(studio: Studio, playground: Playground) -> None:
    job = a_finished_job(studio, owner_id=SOMEBODY_ELSE)
    with pytest.raises(NotFound):
        playground.ask(ME, job.id, Question(prompt="One"))


def test_a_job_without_a_proven_adapter_has_nobody_to_ask(studio: Studio, playground: Playground) -> None:
    with pytest.raises(Conflict, match="training"):
        playground.ask(ME, a_job(studio, status=JobStatus.TRAINING).id, Question(prompt="One"))


def test_a_stored_adapter_that_is_not_the_delivered_one_is_never_loaded(studio: Studio, playground: Playground) -> None:
    job = a_finished_job(studio)
    studio.storage.put(f"lora_adapters/{job.id}/adapter_model.safetensors", b"others")
    with pytest.raises(BundleDamaged):
        playground.ask(ME, job.id, Question(prompt="One"))
    assert not scratch(studio)


def test_without_the_base_model_here_it_says_what_a_machine_costs(studio: Studio, playground: Playground) -> None:
    job = a_finished_job(studio)
    spec = JobSpec.model_validate(job.spec)
    big = spec.model.model_copy(update={"name": "llama-3-70b-instruct"})
    job.spec = spec.model_copy(update={"model": big}).model_dump(mode="json")
    with pytest.raises(NoMachine, match="No machine is up that holds llama-3-70b-instruct") as refused:
        playground.require_possible(job)
    offer = cheapest_gpu(int(70.55e9 * 2.4))
    assert offer is None or offer[0].title in refused.value.hint
    small = spec.model.model_copy(update={"name": "llama-3-8b-instruct"})
    job.spec = spec.model_copy(update={"model": small}).model_dump(mode="json")
    with pytest.raises(NoMachine) as refused:
        playground.require_possible(job)
    assert re_dollars(refused.value.hint)


def re_dollars(text: str) -> bool:
    import re

    return re.search(r"costs \$\d+\.\d\d an hour", text) is not None


def test_another_revision_of_the_model_is_not_the_model(studio: Studio, playground: Playground) -> None:
    job = a_finished_job(studio)
    spec = JobSpec.model_validate(job.spec)
    job.spec = spec.model_copy(update={"model": spec.model.model_copy(update={"revision": "newer"})}).model_dump()
    with pytest.raises(NoMachine):
        playground.require_possible(job)


def test_a_studio_that_starts_no_processes_says_so(studio: Studio) -> None:
    job = a_finished_job(studio)
    with pytest.raises(NoMachine):
        Playground(replace(studio, open_chat=None)).require_possible(job)


def test_the_cheapest_card_is_one_that_holds_it() -> None:
    offer = cheapest_gpu(60 << 30)
    assert offer is not None
    gpu, price = offer
    assert gpu.memory_bytes >= 60 << 30
    others = [one for one in load_gpus().values() if one.memory_bytes >= 60 << 30]
    prices = [found.usd_per_hour for one in others if (found := one.latest_price()) is not None]
    assert price.usd_per_hour == min(prices)
    assert cheapest_gpu(1 << 50) is None


def test_a_process_that_cannot_load_leaves_nothing(studio: Studio) -> None:
    job = a_finished_job(studio)
    broken = replace(
        studio, open_chat=lambda run: ChatProcess(run, command=(sys.executable, "-c", "raise SystemExit(1)"))
    )
    asking = Playground(broken)
    with pytest.raises(ComputeError):
        asking.ask(ME, job.id, Question(prompt="One"))
    asking.close()
    assert not scratch(studio)
