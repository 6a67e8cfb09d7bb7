"""What only a folder on a disk can do wrong: a full disk, a killed writer, a link planted in it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from brightrun.errors import KeyRefused, NotEnoughDisk, StorageError
from brightrun.storage.in_memory import InMemory
from brightrun.storage.links import LinkSigner
from brightrun.storage.local_folder import LocalFolder

SIGNER = LinkSigner("a secret of the studio", "http://studio.test")


@pytest.fixture
def store(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "store", SIGNER)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_such_and_keeps_the_old_file(
    store: LocalFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store.put("jobs/1/a", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(NotEnoughDisk):
            store.put("jobs/1/a", b"new")
    with store.open("jobs/1/a") as stream:
        assert stream.read() == b"old"
    assert [file.key for file in store.list("")] == ["jobs/1/a"]


def test_memory_can_be_full_too() -> None:
    store = InMemory(SIGNER, capacity=10)
    store.put("a", b"0123456789")
    store.put("a", b"9876543210")
    with pytest.raises(NotEnoughDisk):
        store.put("b", b"x")
    assert [file.key for file in store.list("")] == ["a"]


def test_a_file_size_limit_in_the_middle_of_a_write_leaves_nothing(tmp_path: Path) -> None:
    """The kernel itself refuses the second half of the write, in a process of its own."""
    program = f"""
import resource, signal
from pathlib import Path
from brightrun.errors import StorageError
from brightrun.storage.links import LinkSigner
from brightrun.storage.local_folder import LocalFolder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = LocalFolder(Path({str(tmp_path / "store")!r}), LinkSigner("x" * 16, ""))
try:
    store.put("jobs/1/big", b"x" * 3_000_000)
except StorageError as error:
    print(type(error).__name__, list(store.list("")), list((Path({str(tmp_path / "store")!r}) / ".staging").iterdir()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "StorageError [] []"


def test_a_writer_killed_in_the_middle_leaves_no_file_and_its_rest_is_swept(tmp_path: Path) -> None:
    program = f"""
import io, os, signal
from pathlib import Path
from brightrun.storage.links import LinkSigner
from brightrun.storage.local_folder import LocalFolder
class Killer(io.RawIOBase):
    told = 0
    def read(self, size=-1):
        self.told += 1
        if self.told > 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return b"x" * size
LocalFolder(Path({str(tmp_path / "store")!r}), LinkSigner("x" * 16, "")).put("jobs/1/a", Killer())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert done.returncode == -9
    now = datetime.now(UTC)
    store = LocalFolder(tmp_path / "store", SIGNER, clock=lambda: now)
    assert store.stat("jobs/1/a") is None
    assert list(store.list("")) == []
    assert len(list((tmp_path / "store" / ".staging").iterdir())) == 1
    assert store.sweep_staging() == 0
    later = LocalFolder(tmp_path / "store", SIGNER, clock=lambda: now + timedelta(days=2))
    assert later.sweep_staging() == 1
    assert list((tmp_path / "store" / ".staging").iterdir()) == []


def test_a_link_planted_in_the_folder_leads_nowhere(store: LocalFolder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret", encoding="utf-8")
    store.put("jobs/1/a", b"a")
    (tmp_path / "store" / "jobs" / "door").symlink_to(outside)
    with pytest.raises(KeyRefused, match="leads out"):
        store.open("jobs/door/secret")
    with pytest.raises(KeyRefused):
        store.put("jobs/door/new", b"x")
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_store_below_a_linked_folder_works(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    store = LocalFolder(tmp_path / "linked" / "store", SIGNER)
    store.put("jobs/1/a", b"a")
    assert (tmp_path / "real" / "store" / "jobs" / "1" / "a").read_bytes() == b"a"


def test_a_key_below_a_file_or_on_a_folder_is_refused_whole(store: LocalFolder) -> None:
    store.put("jobs/1", b"a file")
    with pytest.raises(StorageError):
        store.put("jobs/1/a", b"x")
    with pytest.raises(StorageError):
        store.put("jobs", b"x")
    assert [(file.key, file.bytes) for file in store.list("")] == [("jobs/1", 6)]


def test_nothing_is_made_before_the_first_put(store: LocalFolder, tmp_path: Path) -> None:
    assert list(store.list("")) == []
    assert store.stat("a") is None
    store.delete("a")
    assert list(tmp_path.iterdir()) == []
