"""Files go out by ranges, by links, and as one zip that nobody can take for whole when it is not."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from brightrun.byte_ranges import RangeRefused, byte_range
from brightrun.contract.states import JobStatus
from brightrun.database import artifacts
from brightrun.database.tables import ModelArtifact, TrainingJob
from brightrun.errors import StorageError
from brightrun.jobs.studio import Studio
from brightrun.storage.in_memory import InMemory
from brightrun.storage.links import LinkSigner
from brightrun.web.stored_files import attachment
from brightrun.web.zip_stream import Member, stream_zip
from tests.unit.web_studio import BASE, ME, HandClock, a_job

AT = datetime(2026, 11, 23, 10, 20, 30, tzinfo=UTC)
CONTENT = random.Random(3).randbytes(5000)
KEY = "model-artifacts/lora_adapters/a job/weights é.bin"


def member(name: str, content: bytes, *, sha256: str | None = None) -> Member:
    return Member(name, len(content), sha256 or hashlib.sha256(content).hexdigest(), lambda: io.BytesIO(content))


def deliver(studio: Studio, job: TrainingJob, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        key = f"lora_adapters/{job.id}/{name}"
        studio.storage.put(key, content)
        row = ModelArtifact(
            job_id=job.id, owner_id=job.owner_id, attempt=1, artifact_type="lora_adapter", name=name, storage_path=key,
            file_size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), base_model="tiny-llama",
            created_at=AT,
        )  # fmt: skip
        with studio.database.session() as session:
            artifacts.save(session, row)


def link_path(link: str) -> str:
    assert link.startswith(BASE)
    return urlsplit(link).path


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, None),
        ("bytes=0-3", 10, (0, 4)),
        ("bytes=4-", 10, (4, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-30", 10, (0, 10)),
        ("bytes=9-99", 10, (9, 10)),
        (" bytes=0-0 ", 10, (0, 1)),
        ("bytes=5-3", 10, None),
        ("bytes=-", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("lines=0-1", 10, None),
        ("bytes=a-b", 10, None),
    ],
)
def test_one_range_is_understood_and_the_rest_is_passed_over(
    header: str | None, size: int, expected: tuple[int, int] | None
) -> None:
    assert byte_range(header, size) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=99-100", 10), ("bytes=0-", 0), ("bytes=-0", 5)]
)
def test_a_range_behind_the_end_is_refused(header: str, size: int) -> None:
    with pytest.raises(RangeRefused):
        byte_range(header, size)


def test_a_link_brings_the_file_whole_and_in_parts(studio: Studio, client: TestClient) -> None:
    studio.storage.put(KEY, CONTENT)
    path = link_path(studio.storage.download_link(KEY, expires=timedelta(minutes=5), file_name='we"ights é.bin'))
    whole = client.get(path)
    assert whole.status_code == 200
    assert whole.content == CONTENT
    assert whole.headers["content-length"] == "5000"
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-security-policy"].startswith("sandbox")
    assert whole.headers["content-disposition"] == attachment('we"ights é.bin')
    part = client.get(path, headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == CONTENT[100:200]
    assert part.headers["content-range"] == "bytes 100-199/5000"
    same = client.get(path, headers={"range": "bytes=4990-", "if-range": whole.headers["etag"]})
    assert same.content == CONTENT[4990:]
    changed = client.get(path, headers={"range": "bytes=4990-", "if-range": '"other"'})
    assert (changed.status_code, changed.content) == (200, CONTENT)
    head = client.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "5000")
    behind = client.get(path, headers={"range": "bytes=5000-"})
    assert behind.status_code == 416
    assert behind.headers["content-range"] == "bytes */5000"
    assert behind.json()["error"]["code"] == "range_not_satisfiable"


def test_a_link_is_good_for_its_time_its_method_and_its_file(studio: Studio, client: TestClient) -> None:
    clock = studio.clock
    assert isinstance(clock, HandClock)
    studio.storage.put("a", b"content")
    path = link_path(studio.storage.download_link("a", expires=timedelta(minutes=5)))
    assert client.put(path, content=b"x").status_code == 403
    assert client.get(path + "x").status_code == 403
    terminated = link_path(studio.storage.download_link("gone", expires=timedelta(minutes=5)))
    assert client.get(terminated).status_code == 404
    clock.forward(minutes=5)
    late = client.get(path)
    assert late.status_code == 403
    assert late.json()["error"]["code"] == "link_refused"


def test_a_link_made_with_another_secret_is_refused(studio: Studio, client: TestClient) -> None:
    other = InMemory(LinkSigner("another secret, as long", BASE), clock=studio.clock)
    studio.storage.put("a", b"content")
    assert client.get(link_path(other.download_link("a", expires=timedelta(minutes=5)))).status_code == 403


def test_a_file_is_put_through_a_link_and_not_more_than_it_allows(studio: Studio, client: TestClient) -> None:
    path = link_path(studio.storage.upload_link("up/a", expires=timedelta(minutes=5), max_bytes=len(CONTENT)))
    put = client.put(path, content=CONTENT)
    assert put.status_code == 200
    assert put.json() == {"bytes": 5000, "sha256": hashlib.sha256(CONTENT).hexdigest()}
    with studio.storage.open("up/a") as stored:
        assert stored.read() == CONTENT
    too_much = client.put(path, content=CONTENT + b"x")
    assert too_much.status_code == 413
    assert client.get(path).status_code == 403
    with studio.storage.open("up/a") as stored:
        assert stored.read() == CONTENT
    assert list(studio.home.iterdir()) == []


@pytest.mark.parametrize("sizes", [[], [0], [1, 0, 3], [(1 << 20) + 7, 5]])
def test_a_zip_holds_what_went_in(sizes: list[int]) -> None:
    dice = random.Random(5)
    files = {f"folder/{number} é.bin": dice.randbytes(size) for number, size in enumerate(sizes)}
    data = b"".join(stream_zip([member(name, content) for name, content in files.items()], at=AT))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == files
        assert all(info.date_time == (2026, 11, 23, 10, 20, 30) for info in archive.infolist())
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def test_a_zip_is_the_same_bytes_each_time_and_comes_in_blocks() -> None:
    content = random.Random(6).randbytes(5 << 20)
    first = list(stream_zip([member("a", content)], at=AT))
    assert max(len(block) for block in first) < (1 << 20) + 1000
    assert b"".join(first) == b"".join(stream_zip([member("a", content)], at=AT))


def test_a_zip_with_a_changed_file_has_no_end() -> None:
    got = []
    with pytest.raises(StorageError, match="not the file that was delivered"):
        got.extend(stream_zip([member("a", b"changed", sha256="0" * 64)], at=AT))
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(got)))


def test_a_zip_left_half_way_closes_its_file() -> None:
    opened = io.BytesIO(b"x" * (3 << 20))
    log = stream_zip([Member("a", 3 << 20, "", lambda: opened)], at=AT)
    next(log)
    log.close()  # type: ignore[attr-defined]
    assert opened.closed


def test_a_jobs_files_are_listed_linked_and_zipped(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, status=JobStatus.COMPLETED, completed_at=AT)
    files = {
        "adapter/adapter_model.safetensors": CONTENT,
        "adapter/deep/er.json": b"{}",
        "events.jsonl": b"{}\n",
    }
    deliver(studio, job, files)
    listed = client.get(f"/api/training/jobs/{job.id}/artifacts").json()
    assert [each["name"] for each in listed["data"]] == sorted(files)
    assert listed["has_more"] is False
    for each in listed["data"]:
        link = client.get(each["url"])
        assert link.status_code == 302
        assert client.get(link_path(link.headers["location"])).content == files[each["name"]]
        assert "storage_path" not in each
    zipped = client.get(f"/api/training/jobs/{job.id}/adapter.zip")
    assert zipped.headers["content-type"] == "application/zip"
    assert 'filename="A-job-first-try.zip"' in zipped.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
        assert archive.read("A-job-first-try/adapter_model.safetensors") == CONTENT
        assert archive.read("A-job-first-try/deep/er.json") == b"{}"
        assert len(archive.namelist()) == 2


def test_there_is_no_zip_before_the_end_and_no_file_of_another_name(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, status=JobStatus.UPLOADING)
    deliver(studio, job, {"adapter/a": b"x"})
    early = client.get(f"/api/training/jobs/{job.id}/adapter.zip")
    assert early.status_code == 409
    assert early.json()["error"]["details"] == {"status": "uploading"}
    for name in ("b", "adapter", "../adapter/a", "adapter%2F..%2Fa"):
        assert client.get(f"/api/training/jobs/{job.id}/artifacts/{name}").status_code == 404


def test_a_file_that_left_the_store_is_told_before_the_zip_begins(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, owner_id=ME, status=JobStatus.COMPLETED, completed_at=AT)
    deliver(studio, job, {"adapter/a": b"x", "adapter/b": b"y"})
    studio.storage.delete(f"lora_adapters/{job.id}/adapter/b")
    answer = client.get(f"/api/training/jobs/{job.id}/adapter.zip")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "file_missing"


def test_a_file_that_changed_in_the_store_cuts_the_zip_off(studio: Studio, client: TestClient) -> None:
    job = a_job(studio, owner_id=ME, status=JobStatus.COMPLETED, completed_at=AT)
    deliver(studio, job, {"adapter/a": b"x"})
    studio.storage.put(f"lora_adapters/{job.id}/adapter/a", b"z")
    with pytest.raises(RuntimeError) as broken:  # a server closes the connection then
        client.get(f"/api/training/jobs/{job.id}/adapter.zip")
    assert isinstance(broken.value.__cause__, StorageError)
