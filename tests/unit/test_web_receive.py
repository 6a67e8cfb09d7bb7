"""Uploads go to disk as they come, and nothing of them stays when anything fails."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from fastapi import Request

from brightrun.jobs.studio import Studio
from brightrun.web.access import LoopbackAccess
from brightrun.web.app import create_app
from brightrun.web.problems import BodyTooLarge, BodyUnreadable
from brightrun.web.receive import SCRATCH_PREFIX, Received, receive_form_file, scratch_folder, sent_name
from tests.unit.web_studio import a_client

PAYLOAD = random.Random(11).randbytes(3000) + b"\r\n--bound\r\n--boundar\r\n--" + b"\r\n" * 5


def a_form(
    payload: bytes = PAYLOAD, *, name: str = "file", file_name: str | None = "talk.json", ends: bool = True
) -> bytes:
    named = f'; filename="{file_name}"' if file_name is not None else ""
    head = f'--boundary\r\nContent-Disposition: form-data; name="{name}"{named}\r\nContent-Type: any/thing\r\n\r\n'
    return head.encode() + payload + (b"\r\n--boundary--\r\n" if ends else b"")


def receive(
    body: bytes, folder: Path, *, piece: int = 65536, limit: int = 10**6,
    kind: str = "multipart/form-data; boundary=boundary",
) -> Received:  # fmt: skip
    """As a server would hand the body over, in pieces of that size."""

    async def messages() -> AsyncIterator[dict[str, object]]:
        for at in range(0, len(body), piece):
            yield {"type": "http.request", "body": body[at : at + piece], "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    async def go() -> Received:
        stream = messages()
        scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
        return await receive_form_file(Request(scope, stream.__anext__), folder, field="file", limit=limit)  # type: ignore[arg-type]

    return anyio.run(go)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 1000, 65536])
def test_a_file_arrives_byte_by_byte_as_it_was_sent(tmp_path: Path, piece: int) -> None:
    received = receive(a_form(), tmp_path, piece=piece)
    assert received.path.read_bytes() == PAYLOAD
    assert received.name == "talk.json"
    assert received.bytes == len(PAYLOAD)
    assert received.sha256 == hashlib.sha256(PAYLOAD).hexdigest()


def test_an_empty_file_arrives(tmp_path: Path) -> None:
    assert receive(a_form(b""), tmp_path).bytes == 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (a_form(name="other"), None),
        (a_form(file_name=None), None),
        (a_form(file_name=""), None),
        (a_form(file_name="../.."), None),
        (a_form(ends=False), None),
        (a_form()[:40], None),
        (b"", None),
        (b"--boundary--\r\n", None),
        (b"no form at all", None),
        (a_form()[: -len("--\r\n")] + b"\r\n" + a_form(), None),
        (a_form(), "multipart/form-data"),
        (a_form(), "application/json"),
        (a_form(), "multipart/form-data; boundary=" + "b" * 500),
    ],
)
def test_what_is_no_form_with_one_file_is_refused(tmp_path: Path, body: bytes, kind: str | None) -> None:
    with pytest.raises(BodyUnreadable):
        receive(body, tmp_path, **({"kind": kind} if kind else {}))  # type: ignore[arg-type]


def test_a_file_one_byte_over_the_limit_is_refused(tmp_path: Path) -> None:
    assert receive(a_form(), tmp_path, limit=len(PAYLOAD)).bytes == len(PAYLOAD)
    with pytest.raises(BodyTooLarge):
        receive(a_form(), tmp_path, limit=len(PAYLOAD) - 1)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ('filename="talk.json"', "talk.json"),
        ("filename=talk.json", "talk.json"),
        ("filename*=UTF-8''36%20chat%20%5Bfinal%5D.jsonl", "36 chat [final].jsonl"),
        ("filename=\"x.json\"; filename*=utf-8'de'Gespr%C3%A4ch.json", "Gespräch.json"),
        ("filename*=UTF-8''%d7%a9%d7%9c%d7%95%d7%9d.json; filename=\"x.json\"", "שלום.json"),
        ("filename*=ISO-8859-1''%E9t%E9.json", "été.json"),
        ("filename=\"x.json\"; filename*=koi8-r''%C1.json", "x.json"),
        ("filename=\"x.json\"; filename*=UTF-8''%zz", "x.json"),
        ("filename=\"a; filename*=UTF-8''b.json\"", "a; filename*=UTF-8''b.json"),
        ('filename="36%20chat%20%5Bfinal%5D.jsonl"', "36 chat [final].jsonl"),
        ('filename="na%C3%AFve.json"', "naïve.json"),
        ('filename="100%2525.json"', "100%25.json"),
        ('filename="100% sure [%41].json"', "100% sure [%41].json"),
        ('filename="100%.json"', "100%.json"),
        ('filename="a %22b%22 c.json"', 'a "b" c.json'),
        (r'filename="a \"b\" c.json"', 'a "b" c.json'),
        ('filename="two %0d%0alines.json"', "two \r\nlines.json"),
        (r'filename="C:\Users\anna\talk.json"', "talk.json"),
        ("", None),
    ],
)
def test_a_name_is_read_as_it_is_meant(sent: str, meant: str | None) -> None:
    assert sent_name(f'form-data; name="file"; {sent}') == meant


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ('filename="%2e%2e%2Ftalk.json"', "talk.json"),
        ('filename="two%0Alines\x1b[2J.json"', "two_lines_[2J.json"),
        ('filename="Gespräch №1.json"', "Gespräch №1.json"),
        ("filename*=UTF-8''%E2%80%AEnosj.json", "_nosj.json"),
    ],
)
def test_the_name_in_a_form_is_kept_without_folders_and_controls(tmp_path: Path, sent: str, kept: str) -> None:
    received = receive(a_form().replace(b'filename="talk.json"', sent.encode()), tmp_path)
    assert received.name == received.path.name == kept


def test_nothing_is_left_of_a_refused_upload(studio: Studio) -> None:
    with a_client(studio) as client:
        refused = client.post("/api/training/files", files={"file": ("a.json", b"not a dataset")})
        broken = client.post(
            "/api/training/files", content=a_form(ends=False),
            headers={"content-type": "multipart/form-data; boundary=boundary"},
        )  # fmt: skip
        other = client.post(
            "/api/training/files", files={"file": ("a.json", b"{}")}, headers={"x-content-sha256": "0" * 64}
        )
        kept = client.get("/api/training/files").json()
    assert (refused.status_code, broken.status_code, other.status_code) == (400, 400, 400)
    assert refused.json()["error"]["code"] == "invalid_training_file"
    assert "a.json" in refused.json()["error"]["message"]
    assert other.json()["error"]["details"]["sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert kept["data"] == []
    assert list(studio.storage.list("")) == []
    assert list(studio.home.iterdir()) == []


def test_what_a_killed_process_left_is_swept_after_a_day(studio: Studio) -> None:
    studio.home.mkdir()
    old, new = studio.home / f"{SCRATCH_PREFIX}old", studio.home / f"{SCRATCH_PREFIX}new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "body").write_bytes(b"x")
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    with a_client(studio):
        assert [folder.name for folder in studio.home.iterdir()] == [new.name]


def test_a_scratch_folder_is_gone_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_folder(tmp_path / "home") as folder:
            (folder / "x").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list((tmp_path / "home").iterdir()) == []


def test_nothing_is_left_of_an_upload_whose_sender_went_away(studio: Studio) -> None:
    body, answers = a_form()[:2000], []

    async def messages() -> AsyncIterator[dict[str, object]]:
        yield {"type": "http.request", "body": body, "more_body": True}
        yield {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        answers.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"multipart/form-data; boundary=boundary")]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/training/files", "raw_path": b"/api/training/files", "query_string": b"", "root_path": "",
        "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    stream = messages()
    anyio.run(create_app(studio, LoopbackAccess()), scope, stream.__anext__, send)
    assert answers[0]["status"] == 400
    assert list(studio.home.iterdir()) == []
    assert list(studio.storage.list("")) == []
