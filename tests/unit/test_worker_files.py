"""Files and folders are there whole or not at all, whatever ends the writing."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from brightrun.errors import NotEnoughDisk
from brightrun.files import require_free_space, whole_folder, write_text

DiskUsage = namedtuple("DiskUsage", "total used free")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_half(final: Path, error: BaseException) -> None:
    with whole_folder(final) as staging:
        write_text(staging / "half.txt", "half")
        raise error


def test_a_folder_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "result"
    with whole_folder(final) as staging:
        write_text(staging / "one.txt", "1")
        assert not final.exists()

    assert (final / "one.txt").read_text() == "1"
    assert names(final.parent) == ["result"]


def test_a_folder_replaces_an_older_one_whole(tmp_path: Path) -> None:
    final = tmp_path / "result"
    for text in ("old", "new"):
        with whole_folder(final) as staging:
            write_text(staging / f"{text}.txt", text)

    assert names(final) == ["new.txt"]
    assert names(tmp_path) == ["result"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_old_folder_stays_when_the_block_raises(tmp_path: Path, error: type[BaseException]) -> None:
    final = tmp_path / "result"
    with whole_folder(final) as staging:
        write_text(staging / "kept.txt", "kept")

    with pytest.raises(error):
        fill_half(final, error())

    assert names(final) == ["kept.txt"]


def test_no_folder_appears_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in the middle"):
        fill_half(tmp_path / "result", ValueError("in the middle"))

    assert not (tmp_path / "result").exists()


def test_what_a_killed_process_left_in_staging_does_not_get_into_the_folder(tmp_path: Path) -> None:
    final = tmp_path / "result"
    with pytest.raises(KeyboardInterrupt):
        fill_half(final, KeyboardInterrupt())

    with whole_folder(final) as staging:
        write_text(staging / "of-the-next-one.txt", "")

    assert names(final) == ["of-the-next-one.txt"]


def test_a_retired_folder_of_a_killed_process_is_cleared(tmp_path: Path) -> None:
    final = tmp_path / "result"
    final.mkdir()
    (tmp_path / ".result.retired").mkdir()
    (tmp_path / ".result.retired" / "old.txt").write_text("")

    with whole_folder(final) as staging:
        write_text(staging / "new.txt", "")

    assert names(tmp_path) == ["result"]
    assert names(final) == ["new.txt"]


def test_a_text_is_replaced_in_one_move(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    write_text(path, "first")
    with path.open(encoding="utf-8") as reader:
        write_text(path, "second")
        assert reader.read() == "first"  # the old file was never written into

    assert path.read_text() == "second"
    assert names(tmp_path) == ["note.txt"]


def test_too_little_space_is_said_with_both_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: DiskUsage(10**12, 10**12 - 999, 999))

    require_free_space(tmp_path, 999, "This run")
    with pytest.raises(NotEnoughDisk, match=r"This run needs 3\.0 GB") as raised:
        require_free_space(tmp_path, 3_000_000_000, "This run")

    assert raised.value.details == {"needed_bytes": 3_000_000_000, "free_bytes": 999}
