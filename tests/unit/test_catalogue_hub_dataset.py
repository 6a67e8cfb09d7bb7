"""Datasets of the hub, against a real HTTP server in a thread that speaks the hub's few endpoints."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

from brightrun.catalogue.pull.hub_dataset import HubDataset, fetch_hub_dataset, parse_hub_dataset
from brightrun.errors import DatasetError
from tests.unit.command_line import CommandLine
from tests.unit.hub_server import serving
from tests.unit.test_datasets_builders import chat_record, said

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "mara/evenings"


def lines(*topics: str) -> bytes:
    return "".join(json.dumps(chat_record(said(topic))) + "\n" for topic in topics).encode()


class Hub(NamedTuple):
    """What the stand-in serves, and what was fetched from it."""

    address: str
    files: dict[str, bytes]
    fetched: list[str]


def handler_of(files: dict[str, bytes], fetched: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            if path in {f"/api/datasets/{REPO}", f"/api/datasets/{REPO}/revision/v1"}:
                siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                self.reply(200, json.dumps({"id": REPO, "sha": COMMIT, "siblings": siblings}).encode(), body=body)
            elif path.startswith(f"/api/datasets/{REPO}/revision/"):
                self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body=body)
            elif path.startswith(f"/datasets/{REPO}/resolve/{COMMIT}/"):
                name = path.rpartition(f"/{COMMIT}/")[2]
                etag = hashlib.sha256(files[name]).hexdigest()
                if body:
                    fetched.append(name)
                self.reply(200, files[name], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body=body)
            else:
                self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)

        def reply(self, status: int, content: bytes, headers: dict[str, str] | None = None, *, body: bool) -> None:
            self.send_response(status)
            for key, value in ({"Content-Type": "application/json"} | (headers or {})).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    return Handler


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    files: dict[str, bytes] = {"README.md": b"# Evenings\n"}
    fetched: list[str] = []
    with serving(handler_of(files, fetched), monkeypatch, tmp_path) as address:
        yield Hub(address, files, fetched)


def fetch(hub: Hub, text: str, home: Path) -> Path:
    home.mkdir(exist_ok=True)
    return fetch_hub_dataset(parse_hub_dataset(text), home, endpoint=hub.address)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("hf:a/b", HubDataset("a/b", None, None)),
        ("hf:a/b:test", HubDataset("a/b", None, "test")),
        ("hf:a/b@v1.0:train", HubDataset("a/b", "v1.0", "train")),
        ("hf:a/b@refs/convert/parquet", HubDataset("a/b", "refs/convert/parquet", None)),
    ],
)
def test_ids_are_understood(text: str, parsed: HubDataset) -> None:
    assert parse_hub_dataset(text) == parsed


@pytest.mark.parametrize("text", ["hf:", "hf:a", "hf:a/b@", "hf:a/b:", "hf:a b/c"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="not an id of a dataset"):
        parse_hub_dataset(text)


def test_the_commit_is_in_the_name_and_nothing_is_fetched_twice(hub: Hub, tmp_path: Path) -> None:
    hub.files.update({"train.jsonl": lines("rent", "sleep"), "test.jsonl": lines("wills")})
    path = fetch(hub, f"hf:{REPO}@v1", tmp_path / "home")
    assert path.name == f"mara--evenings@{COMMIT}-train.jsonl"
    assert path.read_bytes() == hub.files["train.jsonl"]
    assert fetch(hub, f"hf:{REPO}", tmp_path / "home") == path
    assert hub.fetched == ["train.jsonl"]
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert fetch(hub, f"hf:{REPO}:test", tmp_path / "home").read_bytes() == hub.files["test.jsonl"]


def test_shards_are_joined_in_order(hub: Hub, tmp_path: Path) -> None:
    hub.files.update(
        {
            "data/train-00001-of-00002.jsonl.gz": gzip.compress(lines("sleep")),
            "data/train-00000-of-00002.jsonl.gz": gzip.compress(lines("rent").rstrip()),
        }
    )
    path = fetch(hub, f"hf:{REPO}", tmp_path / "home")
    assert path.read_text().split() == (lines("rent") + lines("sleep")).decode().split()


def test_parquet_shards_are_joined(hub: Hub, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for number, topic in enumerate(("rent", "sleep")):
        stream = io.BytesIO()
        parquet.write_table(pyarrow.Table.from_pylist([chat_record(said(topic))]), stream)
        hub.files[f"data/train-0000{number}-of-00002.parquet"] = stream.getvalue()
    rows = parquet.read_table(fetch(hub, f"hf:{REPO}", tmp_path / "home")).to_pylist()
    assert rows == [chat_record(said(topic)) for topic in ("rent", "sleep")]


@pytest.mark.parametrize(
    ("files", "text", "told"),
    [
        ({}, "", "no JSON, JSONL, CSV or Parquet"),
        ({"test.jsonl": b"{}", "dev.jsonl": b"{}"}, "", "several splits: test, validation"),
        ({"train.jsonl": b"{}"}, ":test", "no split test: train"),
        ({"a.csv": b"a,b", "b.csv": b"a,b"}, "", "cannot be joined"),
        ({"train.jsonl": b"{}"}, "@other", "no revision other"),
    ],
)
def test_what_cannot_be_fetched_is_said(
    hub: Hub, tmp_path: Path, files: dict[str, bytes], text: str, told: str
) -> None:
    hub.files.update(files)
    with pytest.raises(DatasetError, match=told) as caught:
        fetch(hub, f"hf:{REPO}{text}", tmp_path / "home")
    assert caught.value.hint
    assert hub.fetched == []


def test_an_unknown_dataset_is_called_a_dataset(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="knows no dataset nobody/nothing"):
        fetch(hub, "hf:nobody/nothing", tmp_path / "home")


def test_the_command_line_takes_it_in_place_of_a_file(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files["train.jsonl"] = lines("rent", "sleep", "wills")
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "studio"))
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    report = CommandLine(tmp_path, capsys)("dataset", "audit", f"hf:{REPO}@v1", "--json").json
    assert report["file_name"] == f"mara--evenings@{COMMIT}-train.jsonl"
    assert report["conversations"] == 3
