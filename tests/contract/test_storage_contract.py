"""One suite for every store: what is put comes back whole, keys stay inside, links open one file for a while."""

from __future__ import annotations

import hashlib
import io
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from brightrun.errors import KeyRefused, LinkRefused, StorageError, StoredFileMissing
from brightrun.storage.base import Storage
from brightrun.storage.in_memory import InMemory
from brightrun.storage.links import LINK_PATH, LinkSigner, receive_upload
from brightrun.storage.local_folder import LocalFolder

Store = InMemory | LocalFolder
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SIGNER = LinkSigner("a secret of the studio", "http://studio.test")
KEY = "lora_adapters/job-1/adapter_model.safetensors"


def _in_memory(_folder: Path) -> Store:
    return InMemory(SIGNER, clock=lambda: NOON)


def _local_folder(folder: Path) -> Store:
    return LocalFolder(folder / "store", SIGNER, clock=lambda: NOON)


@pytest.fixture(params=[_in_memory, _local_folder], ids=["in_memory", "local_folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    make: Callable[[Path], Store] = request.param
    return make(tmp_path)


def _bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(store: Storage, key: str, **part: int) -> bytes:
    with store.open(key, **part) as stream:
        return stream.read()


def _token(link: str) -> str:
    assert link.startswith(f"http://studio.test{LINK_PATH}")
    return link.removeprefix(f"http://studio.test{LINK_PATH}")


def test_is_a_storage(store: Store) -> None:
    assert isinstance(store, Storage)


@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_what_is_put_comes_back_from_bytes_stream_and_file(store: Store, tmp_path: Path, size: int) -> None:
    content = _bytes(size)
    path = tmp_path / "source.bin"
    path.write_bytes(content)
    for key, source in [("a/bytes", content), ("a/stream", io.BytesIO(content)), ("a/file", path)]:
        stored = store.put(key, source, sha256=_sha256(content))
        assert (stored.key, stored.bytes, stored.sha256) == (key, size, _sha256(content))
        assert stored.modified_at.tzinfo is not None
        assert _read(store, key) == content
        known = store.stat(key)
        assert known is not None
        assert (known.key, known.bytes) == (key, size)
        assert known.sha256 in {None, _sha256(content)}
    assert path.read_bytes() == content


def test_wrong_hash_stores_nothing_and_keeps_what_was_there(store: Store) -> None:
    with pytest.raises(StorageError, match="not the expected ones"):
        store.put(KEY, b"truncated", sha256=_sha256(b"whole"))
    assert store.stat(KEY) is None
    store.put(KEY, b"first")
    with pytest.raises(StorageError):
        store.put(KEY, b"truncated", sha256=_sha256(b"whole"))
    assert _read(store, KEY) == b"first"
    assert [file.key for file in store.list("")] == [KEY]


def test_a_source_that_breaks_off_stores_nothing(store: Store) -> None:
    class BreaksOff(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            block = super().read(min(size or 0, 1000))
            if not block:
                raise ConnectionResetError("the sender went away")
            return block

    with pytest.raises((StorageError, ConnectionResetError)):
        store.put(KEY, BreaksOff(_bytes(5000)))
    assert store.stat(KEY) is None
    assert list(store.list("")) == []


def test_a_source_file_that_is_not_there_is_a_storage_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.bin"):
        store.put(KEY, tmp_path / "gone.bin")


def test_put_may_be_repeated_and_replaces_whole(store: Store) -> None:
    store.put(KEY, b"same")
    store.put(KEY, b"same", sha256=_sha256(b"same"))
    store.put(KEY, b"later bytes")
    assert _read(store, KEY) == b"later bytes"
    assert len(list(store.list(""))) == 1


def test_an_open_file_stays_what_it_was_while_it_is_replaced_and_deleted(store: Store) -> None:
    first = _bytes(1 << 20, seed=1)
    store.put(KEY, first)
    with store.open(KEY) as stream:
        start = stream.read(10)
        store.put(KEY, _bytes(1 << 20, seed=2))
        store.delete(KEY)
        assert start + stream.read() == first


@pytest.mark.parametrize(
    ("start", "end"), [(0, None), (0, 0), (0, 1), (5, 10), (99, 100), (99, 500), (100, None), (400, 500), (7, None)]
)
def test_ranges_are_half_open_and_clipped(store: Store, start: int, end: int | None) -> None:
    content = _bytes(100)
    store.put(KEY, content)
    with store.open(KEY, start=start, end=end) as stream:
        assert stream.read() == content[start:end]


def test_a_range_can_be_sought_in_and_read_in_pieces(store: Store) -> None:
    content = _bytes(1000)
    store.put(KEY, content)
    with store.open(KEY, start=100, end=300) as stream:
        assert stream.read(7) == content[100:107]
        stream.seek(50)
        assert stream.read(10) == content[150:160]
        assert stream.seek(0, io.SEEK_END) == 200
        assert stream.read(1) == b""


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 4)])
def test_a_range_that_is_none_is_a_mistake_of_the_caller(store: Store, start: int, end: int | None) -> None:
    store.put(KEY, b"0123456789")
    with pytest.raises(ValueError, match="range"):
        store.open(KEY, start=start, end=end)


def test_what_is_not_there_is_told_apart(store: Store) -> None:
    assert store.stat(KEY) is None
    with pytest.raises(StoredFileMissing):
        store.open(KEY)
    store.put(KEY, b"x")
    assert store.stat("lora_adapters/job-1") is None
    with pytest.raises(StoredFileMissing):
        store.open("lora_adapters/job-1")
    assert store.stat(f"{KEY}/below") is None


def test_delete_may_be_repeated_and_takes_one_file_only(store: Store) -> None:
    store.put("jobs/1/a", b"a")
    store.put("jobs/1/b", b"b")
    store.delete("jobs/1/a")
    store.delete("jobs/1/a")
    store.delete("never/was")
    assert [file.key for file in store.list("")] == ["jobs/1/b"]
    store.delete("jobs/1/b")
    assert list(store.list("")) == []
    store.put("jobs/1/a", b"again")
    assert _read(store, "jobs/1/a") == b"again"


def test_list_is_sorted_and_counts_whole_segments(store: Store) -> None:
    for key in ["jobs/10/a", "jobs/1/b", "jobs/1/a/deep", "jobs/1x", "other"]:
        store.put(key, key.encode())
    assert [file.key for file in store.list("jobs/1")] == ["jobs/1/a/deep", "jobs/1/b"]
    assert [file.key for file in store.list("jobs/1/")] == ["jobs/1/a/deep", "jobs/1/b"]
    assert [file.key for file in store.list("jobs/1x")] == ["jobs/1x"]
    assert [file.bytes for file in store.list("")] == [13, 8, 9, 7, 5]
    assert list(store.list("jobs/2")) == []


@pytest.mark.parametrize(
    "key",
    ["../out", "a/../../out", "/etc/passwd", "a//b", "", ".", "a/.", "a\\b", "a\x00b", "a\nb", "C:/x", "nul",
     "a/COM1.txt", ".staging/x", "a/.staging", "a ", " a", "a.", "e\u0301", "\ud800", "x" * 241,
     "/".join(["y" * 100] * 10)],
)  # fmt: skip
def test_keys_that_lead_elsewhere_are_refused_everywhere(store: Store, key: str) -> None:
    store.put("safe", b"safe")
    calls: list[Callable[[], object]] = [
        lambda: store.put(key, b"x"),
        lambda: store.open(key),
        lambda: store.stat(key),
        lambda: store.delete(key),
        lambda: store.download_link(key, expires=timedelta(hours=1)),
        lambda: store.upload_link(key, expires=timedelta(hours=1), max_bytes=1),
    ]
    if key:
        calls.append(lambda: store.list(key))
    for call in calls:
        with pytest.raises(KeyRefused):
            call()
    assert [file.key for file in store.list("")] == ["safe"]


def test_keys_with_letters_of_all_kinds_are_kept(store: Store) -> None:
    for key in ["träumerei/冬.json", "a b/c (1).txt", ".hidden", "x-y_z.tar.gz", "compact/console.log"]:
        store.put(key, key.encode())
        assert _read(store, key) == key.encode()


def test_a_download_link_opens_its_file_until_it_expires(store: Store) -> None:
    store.put(KEY, b"weights")
    token = _token(store.download_link(KEY, expires=timedelta(minutes=5), file_name="Ādapter.safetensors"))
    for method in ("GET", "HEAD", "get"):
        grant = store.redeem(token, method, NOON + timedelta(minutes=4, seconds=59))
        assert (grant.method, grant.key, grant.file_name) == ("GET", KEY, "Ādapter.safetensors")
    with pytest.raises(LinkRefused, match="expired"):
        store.redeem(token, "GET", NOON + timedelta(minutes=5))
    for method in ("PUT", "DELETE", "POST", ""):
        with pytest.raises(LinkRefused, match="GET only"):
            store.redeem(token, method, NOON)


def test_an_upload_link_takes_its_file_and_not_a_byte_more(store: Store) -> None:
    token = _token(store.upload_link(KEY, expires=timedelta(minutes=5), max_bytes=10))
    grant = store.redeem(token, "PUT", NOON)
    with pytest.raises(LinkRefused, match="10 bytes"):
        receive_upload(store, grant, io.BytesIO(b"01234567890"))
    assert store.stat(KEY) is None
    assert receive_upload(store, grant, io.BytesIO(b"0123456789")).bytes == 10
    assert _read(store, KEY) == b"0123456789"
    with pytest.raises(LinkRefused):
        store.redeem(token, "GET", NOON)


def test_a_download_link_takes_no_upload(store: Store) -> None:
    grant = store.redeem(_token(store.download_link(KEY, expires=timedelta(minutes=5))), "GET", NOON)
    with pytest.raises(LinkRefused):
        receive_upload(store, grant, io.BytesIO(b"x"))
    assert store.stat(KEY) is None


def test_a_link_for_no_time_is_a_mistake(store: Store) -> None:
    with pytest.raises(ValueError, match="some time"):
        store.download_link(KEY, expires=timedelta(0))


def test_many_writers_of_one_key_leave_one_whole_file(store: Store) -> None:
    contents = [_bytes(200_000, seed) for seed in range(8)]
    threads = [threading.Thread(target=store.put, args=(KEY, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _read(store, KEY) in contents
    assert [file.key for file in store.list("")] == [KEY]


def test_putting_and_deleting_neighbours_at_once_loses_nothing(store: Store) -> None:
    """A store of folders removes the empty one just when another file is about to come into it."""
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(60):
                store.put(f"shared/{name}", name.encode())
                assert _read(store, f"shared/{name}") == name.encode()
                store.delete(f"shared/{name}")
        except BaseException as error:  # noqa: BLE001 told to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(store.list("")) == []
