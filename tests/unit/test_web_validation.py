"""A dataset of one's own for validation: planned, started, told, kept; and refused where it overlaps."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from brightrun.contract.job_spec import canonical_sha256
from brightrun.contract.states import JobStatus
from brightrun.database import files, jobs
from brightrun.datasets.options import AS_WRITTEN, ReadingChoices
from brightrun.datasets.prepared import read_prepared
from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.examine_once import forget_deleted
from brightrun.jobs.studio import Studio
from brightrun.jobs.submit import JobRequest
from tests.unit.test_datasets_builders import chat_record, said, write_lines
from tests.unit.web_studio import ME, SOMEBODY_ELSE, a_client, a_studio

API = "/api/training"
HTML = {"accept": "text/html"}
TRAINED, KEPT = ("rent", "sleep", "wills", "taxes"), ("garden", "school")


@pytest.fixture
def trained(tmp_path: Path, tiny_model: Path) -> Iterator[tuple[Studio, TestClient]]:
    """A studio with the tiny model pulled, and a client of it."""
    with a_studio(tmp_path, models=tiny_model.parent) as (studio, _), a_client(studio) as client:
        yield studio, client


def stored(
    studio: Studio, folder: Path, name: str, topics: tuple[str, ...], *, owner: str = ME,
    choices: ReadingChoices = AS_WRITTEN,
) -> str:  # fmt: skip
    path = write_lines(folder / name, [chat_record(said(topic)) for topic in topics])
    return add_dataset(studio, owner_id=owner, file_name=name, source=path, choices=choices).id


def body(training: str, validation: str | None, **more: Any) -> dict[str, Any]:
    settings = {"num_epochs": 1, "evaluations": 1, "sample_answers": 1, "sample_tokens": 8}
    request = {"training_file_id": training, "base_model": "tiny-llama", "hyperparameters": settings, **more}
    return request if validation is None else request | {"validation_file_id": validation}


def answers(path: Path) -> list[str]:
    return [each.messages[-1].content for each in read_prepared(path)]


def test_a_job_is_validated_with_a_dataset_of_its_own(trained: tuple[Studio, TestClient], tmp_path: Path) -> None:
    studio, client = trained
    training = stored(studio, tmp_path, "mine.jsonl", TRAINED)
    validation = stored(studio, tmp_path, "theirs.jsonl", KEPT)
    drawn = client.post(f"{API}/plan", json=body(training, None)).json()["plan"]
    planned = client.post(f"{API}/plan", json=body(training, validation)).json()
    assert planned["refused"] is False
    assert planned["plan"]["tokens_per_epoch"] > drawn["tokens_per_epoch"], "nothing of it is kept aside"

    started = client.post(f"{API}/start-job", json=body(training, validation))
    assert started.status_code == 201, started.text
    job_id = started.json()["training_job_id"]
    data = studio.run_folder(job_id).data
    assert answers(data / "train.jsonl") == [said(topic)[-1] for topic in TRAINED]
    assert answers(data / "validation.jsonl") == [said(topic)[-1] for topic in KEPT]
    assert '"validation_file": "theirs.jsonl"' in (data / "audit.json").read_text(encoding="utf-8")
    job = client.get(f"{API}/jobs/{job_id}").json()
    assert (job["training_file_id"], job["validation_file_id"]) == (training, validation)

    for file_id in (training, validation):
        refused = client.delete(f"{API}/files/{file_id}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "dataset_in_use")
    shown = client.get(f"/jobs/{job_id}", headers=HTML).text
    assert f'<a href="/datasets/{validation}" dir="auto">theirs.jsonl</a>, a dataset of its own' in shown
    assert "validated by it" in client.get(f"/datasets/{validation}", headers=HTML).text
    assert "validated by it" not in client.get(f"/datasets/{training}", headers=HTML).text

    with studio.database.session() as session:
        jobs.change_if(session, job_id, expected=[JobStatus.QUEUED], status=JobStatus.CANCELLED)
    again = client.post(f"{API}/jobs/{job_id}/retry").json()
    assert again["validation_file_id"] == validation
    form = client.get("/start", params={"retry_of": job_id}, headers=HTML).text
    assert re.findall(r'name="validation" value="(\w+)"', form) == ["own"]
    assert f'<option value="{validation}" selected>' in form


def test_without_one_a_part_of_the_dataset_is_kept(trained: tuple[Studio, TestClient], tmp_path: Path) -> None:
    studio, client = trained
    training = stored(studio, tmp_path, "mine.jsonl", TRAINED)
    job_id = client.post(f"{API}/start-job", json=body(training, None)).json()["training_job_id"]
    assert client.get(f"{API}/jobs/{job_id}").json()["validation_file_id"] is None
    assert "drawn from the dataset" in client.get(f"/jobs/{job_id}", headers=HTML).text


def test_the_plan_is_made_anew_for_another_file_and_another_way_of_reading_it(
    trained: tuple[Studio, TestClient], tmp_path: Path
) -> None:
    studio, client = trained
    training = stored(studio, tmp_path, "mine.jsonl", TRAINED)
    whole = stored(studio, tmp_path, "theirs.jsonl", KEPT)
    part = stored(studio, tmp_path, "theirs.jsonl", KEPT, choices=ReadingChoices(choose=("2",)))
    other = stored(studio, tmp_path, "others.jsonl", ("letter", "nurse", "evening"))
    kept = {whole: 2, part: 1, other: 3, None: 1}
    for _ in range(2):  # made, then remembered
        for validation, conversations in kept.items():
            text = client.post("/start/review", json=body(training, validation)).text
            assert f"in {conversations} conversation" in text, validation
    job_id = client.post(f"{API}/start-job", json=body(training, part)).json()["training_job_id"]
    assert answers(studio.run_folder(job_id).data / "validation.jsonl") == [said(KEPT[1])[-1]]


def test_what_cannot_validate_says_why(trained: tuple[Studio, TestClient], tmp_path: Path) -> None:
    studio, client = trained
    training = stored(studio, tmp_path, "mine.jsonl", TRAINED)
    overlapping = stored(studio, tmp_path, "over.jsonl", ("garden", "sleep"))
    foreign = stored(studio, tmp_path, "foreign.jsonl", KEPT, owner=SOMEBODY_ELSE)
    itself = client.post(f"{API}/start-job", json=body(training, training))
    assert itself.status_code == 400
    assert itself.json()["error"]["param"] == "validation_file_id"
    for path in ("plan", "start-job"):
        refused = client.post(f"{API}/{path}", json=body(training, overlapping))
        assert refused.status_code == 400, refused.text
        assert "is much like" in refused.json()["error"]["message"]
        assert [each["check"] for each in refused.json()["error"]["details"]["findings"]] == ["validation_overlap"]
        assert client.post(f"{API}/{path}", json=body(training, foreign)).status_code == 404
    assert client.get(f"{API}/jobs").json()["data"] == []
    assert client.delete(f"{API}/files/{overlapping}").status_code == 200


def test_the_review_names_it_and_the_form_offers_it(trained: tuple[Studio, TestClient], tmp_path: Path) -> None:
    studio, client = trained
    training = stored(studio, tmp_path, "mine.jsonl", TRAINED)
    validation = stored(studio, tmp_path, "theirs.jsonl", KEPT)
    one = stored(studio, tmp_path, "one.jsonl", ("letter",))  # too little to be divided, enough to validate
    damaged = write_lines(
        tmp_path / "damaged.jsonl", [chat_record(texts) for texts in (["Hi <|eot_id|>", "Hello."], said("kites"))]
    )
    of_another = add_dataset(studio, owner_id=ME, file_name="damaged.jsonl", source=damaged).id  # model's strings
    untrained = write_lines(tmp_path / "none.jsonl", [{**chat_record(said("nurse")), "weight": 0}])
    bad = add_dataset(studio, owner_id=ME, file_name="none.jsonl", source=untrained).id
    told = html.unescape(client.post("/start/review", json=body(training, validation)).text)
    assert "<b>Validation</b> your own file theirs.jsonl, 2 conversations" in told
    assert "<b>Dataset</b> audited with the validation file: 6 conversations, no error found" in told
    assert "<b>Validation</b>" not in client.post("/start/review", json=body(training, None)).text
    form = client.get("/start", headers=HTML).text
    offered = set(re.findall(r'<option value="([0-9a-f-]{36})"', form))
    assert offered == {training, validation, one, of_another}
    assert bad not in offered
    assert 'data-may-start="yes"' in client.post("/start/review", json=body(training, one)).text


@pytest.mark.parametrize("here", [True, False])
def test_nothing_is_kept_of_a_validation_dataset_that_is_deleted(
    trained: tuple[Studio, TestClient], tmp_path: Path, *, here: bool
) -> None:
    """`here`: by this studio, else by another one on the same database."""
    studio, client = trained
    training = stored(studio, tmp_path, "mine.jsonl", TRAINED)
    validation = stored(studio, tmp_path, "theirs.jsonl", KEPT)

    def is_kept() -> bool:
        text = said("garden")[-1].encode()
        return any(text in path.read_bytes() for path in (studio.home / "examined").rglob("*") if path.is_file())

    client.post(f"{API}/plan", json=body(training, validation)).raise_for_status()
    if here:
        client.delete(f"{API}/files/{validation}").raise_for_status()
    else:
        with studio.database.session() as session:
            files.delete(session, validation, owner_id=ME, now=studio.clock())
        assert is_kept()
        assert forget_deleted(studio) == 1
    assert not is_kept()
    assert (studio.home / "examined").is_dir(), "what is kept of the training dataset stays"


def test_an_idempotency_key_of_before_is_still_good() -> None:
    request = JobRequest(training_file_id="one")
    before = request.model_dump(mode="json", exclude={"validation_file_id"})
    assert request.sha256() == canonical_sha256(before)
    others = {request.model_copy(update={"validation_file_id": name}).sha256() for name in ("two", "three")}
    assert len(others | {request.sha256()}) == 3
