"""Pulling from the hub, against a real HTTP server in a thread that speaks the hub's few endpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from brightrun.catalogue.folders import read_model_record, verify_model_folder
from brightrun.catalogue.models import find_model
from brightrun.catalogue.pull.hub import pull_from_hub
from brightrun.catalogue.pull.pull_model import pull_model
from brightrun.errors import ModelError, NotEnoughDisk
from tests.unit.hub_server import serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_ID = "meta-llama/Llama-3.2-1B-Instruct"
WEIGHTS = bytes(range(256)) * 1000


def usual_files() -> dict[str, bytes]:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    return {
        "config.json": b'{"model_type": "llama"}',
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b'{"chat_template": "{{ messages }}"}',
        "LICENSE.txt": b"a license",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-00001-of-00002.safetensors": WEIGHTS,
        "model-00002-of-00002.safetensors": WEIGHTS[::-1],
        "original/consolidated.00.pth": b"not wanted",
        "pytorch_model.bin": b"not wanted",
        "README.md": b"not wanted",
    }


@dataclass
class Hub:
    """What the stand-in serves, and how it misbehaves."""

    files: dict[str, bytes] = field(default_factory=usual_files)
    needs_token: str | None = None
    listing_is_public: bool = False
    claimed_bytes: dict[str, int] = field(default_factory=dict)
    served_instead: dict[str, bytes] = field(default_factory=dict)
    cut_after: dict[str, int] = field(default_factory=dict)
    status: int | None = None
    gets: list[str] = field(default_factory=list)
    address: str = ""

    def siblings(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for name, content in reversed(self.files.items()):
            size = self.claimed_bytes.get(name, len(content))
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            row: dict[str, object] = {"rfilename": name, "size": size, "blobId": blob}
            if name.endswith(".safetensors"):
                row["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 130}
            rows.append(row)
        return rows


def handler_of(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            if hub.status is not None:
                self.reply(hub.status, b"{}", {}, body=body)
            elif self.is_closed(path) and self.headers.get("Authorization") != f"Bearer {hub.needs_token}":
                gated = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}
                known = 403 if self.headers.get("Authorization") else 401
                self.reply(known, b"{}", gated, body=body)
            elif path == f"/api/models/{HUB_ID}" or path.startswith(f"/api/models/{HUB_ID}/revision/"):
                if path.endswith("/unknown"):
                    self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body=body)
                    return
                card = {"license": "other", "license_name": "llama3.2"}
                info = {"id": HUB_ID, "sha": COMMIT, "siblings": hub.siblings(), "cardData": card}
                self.reply(200, json.dumps(info).encode(), {"Content-Type": "application/json"}, body=body)
            elif path.startswith(f"/{HUB_ID}/resolve/{COMMIT}/"):
                self.file(path.rpartition(f"/{COMMIT}/")[2], body=body)
            else:
                self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)

        def is_closed(self, path: str) -> bool:
            listing = path.startswith("/api/") and hub.listing_is_public
            return hub.needs_token is not None and not listing

        def file(self, name: str, *, body: bool) -> None:
            content = hub.served_instead.get(name, hub.files[name])
            etag = hashlib.sha256(hub.files[name]).hexdigest()
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if body:
                hub.gets.append(name)
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            cut = hub.cut_after.get(name)
            if body and cut is not None:
                if start:
                    self.reply(503, b"", {}, body=True)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:cut])
                self.close_connection = True
                return
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.reply(206 if start else 200, content[start:], headers, body=body)

        def reply(self, status: int, content: bytes, headers: dict[str, str], *, body: bool) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    return Handler


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    hub = Hub()
    with serving(handler_of(hub), monkeypatch, tmp_path) as hub.address:
        yield hub


def test_a_pull_brings_what_training_needs_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    result = pull_from_hub(
        HUB_ID, tmp_path, name="tiny", endpoint=hub.address, progress=lambda *what: told.append(what)
    )
    unwanted = {"original/consolidated.00.pth", "pytorch_model.bin", "README.md"}
    assert result.folder == tmp_path / "tiny"
    assert {file.name for file in result.record.files} == set(hub.files) - unwanted
    assert {path.name for path in result.folder.iterdir()} == set(hub.files) - unwanted | {"brightrun-model.json"}
    assert (result.folder / "model-00002-of-00002.safetensors").read_bytes() == WEIGHTS[::-1]
    assert result.needs_conversion is False
    assert verify_model_folder(result.folder, hashes=True) == read_model_record(result.folder)
    assert (result.record.revision, result.record.hub_id) == (COMMIT, HUB_ID)
    assert result.record.license == "llama3.2"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    total = result.record.total_bytes
    downloads = [done for done, all_, what in told if what.startswith("downloading")]
    assert downloads == sorted(downloads)
    assert downloads[-1] == total
    assert told[-1] == (total, total, "checking model-00002-of-00002.safetensors")


def test_small_files_come_before_weights(hub: Hub, tmp_path: Path) -> None:
    pull_from_hub(HUB_ID, tmp_path, endpoint=hub.address)
    assert [name.endswith(".safetensors") for name in hub.gets] == [False] * 5 + [True] * 2


def test_a_catalogue_entry_is_pulled_under_its_own_name_and_license(hub: Hub, tmp_path: Path) -> None:
    entry = find_model("llama-3.2-1b-instruct")
    result = pull_model(entry, tmp_path, endpoint=hub.address)
    assert result.folder.name == entry.name
    assert result.record.license == "Llama 3.2 Community License"


def test_pulling_again_replaces_the_folder(hub: Hub, tmp_path: Path) -> None:
    first = pull_from_hub(HUB_ID, tmp_path, name="tiny", endpoint=hub.address)
    (first.folder / "model-00001-of-00002.safetensors").write_bytes(b"damaged")
    second = pull_from_hub(HUB_ID, tmp_path, name="tiny", endpoint=hub.address)
    assert verify_model_folder(second.folder, hashes=True).name == "tiny"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize("listing_is_public", [False, True])
@pytest.mark.parametrize("token", [None, "hf_of_somebody_else"])
def test_a_gated_model_names_the_license_and_the_token(
    hub: Hub, tmp_path: Path, token: str | None, listing_is_public: bool
) -> None:
    hub.needs_token = "hf_accepted"
    hub.listing_is_public = listing_is_public
    with pytest.raises(ModelError, match="gated") as caught:
        pull_from_hub(HUB_ID, tmp_path, endpoint=hub.address, token=token)
    assert f"https://huggingface.co/{HUB_ID}" in caught.value.hint
    assert "HF_TOKEN" in caught.value.hint
    assert "somebody" not in str(caught.value.as_dict())
    assert list(tmp_path.iterdir()) == []


def test_a_gated_model_comes_with_the_right_token(hub: Hub, tmp_path: Path) -> None:
    hub.needs_token = "hf_accepted"
    result = pull_from_hub(HUB_ID, tmp_path, endpoint=hub.address, token="hf_accepted")
    assert "hf_accepted" not in (result.folder / "brightrun-model.json").read_text()


def test_a_wrong_hash_names_the_file_and_only_that_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    bad = "model-00002-of-00002.safetensors"
    hub.served_instead[bad] = b"x" * len(WEIGHTS)
    with pytest.raises(ModelError, match=bad) as caught:
        pull_from_hub(HUB_ID, tmp_path, name="tiny", endpoint=hub.address)
    assert hashlib.sha256(WEIGHTS[::-1]).hexdigest() in caught.value.message
    assert hashlib.sha256(b"x" * len(WEIGHTS)).hexdigest() in caught.value.message
    assert not (tmp_path / "tiny").exists()
    hub.served_instead.clear()
    hub.gets.clear()
    result = pull_from_hub(HUB_ID, tmp_path, name="tiny", endpoint=hub.address)
    assert verify_model_folder(result.folder, hashes=True).revision == COMMIT
    assert hub.gets == [bad]


def test_a_damaged_small_file_is_found_by_its_git_id(hub: Hub, tmp_path: Path) -> None:
    hub.served_instead["config.json"] = b'{"model_type": "lXama"}'
    with pytest.raises(ModelError, match=r"config\.json of tiny is damaged"):
        pull_from_hub(HUB_ID, tmp_path, name="tiny", endpoint=hub.address)


def test_a_broken_download_is_continued_and_never_looks_pulled(hub: Hub, tmp_path: Path) -> None:
    from brightrun.catalogue.folders import list_pulled

    hub.cut_after["model-00002-of-00002.safetensors"] = 100_000
    with pytest.raises(ModelError) as caught:
        pull_from_hub(HUB_ID, tmp_path, name="tiny", endpoint=hub.address)
    assert "again" in caught.value.hint
    assert list_pulled(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [f".partial-tiny-{COMMIT}"]
    hub.cut_after.clear()
    hub.gets.clear()
    result = pull_from_hub(HUB_ID, tmp_path, name="tiny", endpoint=hub.address)
    assert verify_model_folder(result.folder, hashes=True).name == "tiny"
    assert hub.gets == ["model-00002-of-00002.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_too_little_disk_is_said_before_the_first_byte(hub: Hub, tmp_path: Path) -> None:
    hub.claimed_bytes["model-00001-of-00002.safetensors"] = 10**18
    with pytest.raises(NotEnoughDisk, match=r"needs 1,000,000,000\.\d GB .* and [\d,.]+ GB are free"):
        pull_from_hub(HUB_ID, tmp_path, endpoint=hub.address)
    assert hub.gets == []
    assert list(tmp_path.iterdir()) == []


def test_a_base_model_without_template_is_refused_before_its_weights(hub: Hub, tmp_path: Path) -> None:
    hub.files["tokenizer_config.json"] = b"{}"
    with pytest.raises(ModelError, match="no chat template"):
        pull_from_hub(HUB_ID, tmp_path, endpoint=hub.address)
    assert not any(name.endswith(".safetensors") for name in hub.gets)
    assert list(tmp_path.iterdir()) == []


def test_a_repository_without_safetensors_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.files = {name: content for name, content in hub.files.items() if not name.endswith(".safetensors")}
    with pytest.raises(ModelError, match="no safetensors"):
        pull_from_hub(HUB_ID, tmp_path, endpoint=hub.address)


def test_a_missing_shard_is_refused(hub: Hub, tmp_path: Path) -> None:
    del hub.files["model-00002-of-00002.safetensors"]
    with pytest.raises(ModelError, match="1 of its shards, the first model-00002-of-00002"):
        pull_from_hub(HUB_ID, tmp_path, endpoint=hub.address)


def test_unknown_repository_revision_and_id(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="knows no model some/other"):
        pull_from_hub("some/other", tmp_path, endpoint=hub.address)
    with pytest.raises(ModelError, match="no revision unknown"):
        pull_from_hub(HUB_ID, tmp_path, revision="unknown", endpoint=hub.address)
    with pytest.raises(ModelError, match="not a hub id"):
        pull_from_hub("a/b/c", tmp_path, endpoint=hub.address)


def test_no_connection_is_an_error_with_its_fix(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="broke off") as caught:
        pull_from_hub(HUB_ID, tmp_path, endpoint="http://127.0.0.1:9")
    assert "connection" in caught.value.hint


def test_a_failing_hub_is_named_with_its_status(hub: Hub, tmp_path: Path) -> None:
    hub.status = 500
    with pytest.raises(ModelError, match="answered 500"):
        pull_from_hub(HUB_ID, tmp_path, endpoint=hub.address)
