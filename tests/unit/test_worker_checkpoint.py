"""Checkpoints: sealed with digests, found again only if whole and of this run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from brightrun.errors import ResumeMismatch
from brightrun.worker.checkpoint import latest_checkpoint, writing_checkpoint

RUN = "a" * 64


def write(root: Path, step: int, fingerprint: str = RUN) -> Path:
    with writing_checkpoint(root, step=step, fingerprint=fingerprint) as staging:
        (staging / "adapter_model.safetensors").write_bytes(b"weights %d" % step)
        (staging / "inner").mkdir()
        (staging / "inner" / "optimizer.pt").write_bytes(b"moments %d" % step)
    return root / f"step-{step:06d}"


def write_half(root: Path, step: int) -> None:
    with writing_checkpoint(root, step=step, fingerprint=RUN) as staging:
        (staging / "adapter_model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_the_newest_checkpoint_is_found(tmp_path: Path) -> None:
    write(tmp_path, 9)
    newest = write(tmp_path, 10)

    found, damaged = latest_checkpoint(tmp_path, fingerprint=RUN)

    assert found is not None
    assert (found.step, found.folder, damaged) == (10, newest, [])


def test_none_is_found_where_there_is_none(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path / "absent", fingerprint=RUN) == (None, [])
    assert latest_checkpoint(tmp_path, fingerprint=RUN) == (None, [])


def test_two_are_kept(tmp_path: Path) -> None:
    for step in (2, 9, 10, 100):
        write(tmp_path, step)

    assert names(tmp_path) == ["step-000010", "step-000100"]


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "inner/optimizer.pt", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["a byte", "the end", "the file"])
def test_a_damaged_one_is_passed_over_for_the_one_before(tmp_path: Path, name: str, damage: str) -> None:
    before, newest = write(tmp_path, 1), write(tmp_path, 2)
    spoil(newest / name, damage)

    found, damaged = latest_checkpoint(tmp_path, fingerprint=RUN)

    assert found is not None
    assert found.folder == before
    assert damaged == ["step-000002"]


def test_all_damaged_means_none(tmp_path: Path) -> None:
    for step in (1, 2):
        spoil(write(tmp_path, step) / "inner/optimizer.pt", "a byte")

    assert latest_checkpoint(tmp_path, fingerprint=RUN) == (None, ["step-000002", "step-000001"])


def test_one_of_another_run_is_refused_and_left(tmp_path: Path) -> None:
    write(tmp_path, 3, fingerprint="b" * 64)

    with pytest.raises(ResumeMismatch, match="step-000003") as raised:
        latest_checkpoint(tmp_path, fingerprint=RUN)

    assert raised.value.details == {"checkpoint_fingerprint": "b" * 64, "run_fingerprint": RUN}
    assert names(tmp_path) == ["step-000003"]


def test_a_crash_while_writing_leaves_the_one_before(tmp_path: Path) -> None:
    before = write(tmp_path, 1)
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path, 2)

    found, damaged = latest_checkpoint(tmp_path, fingerprint=RUN)

    assert found is not None
    assert (found.folder, damaged) == (before, [])


def test_a_crash_between_sealing_and_the_move_leaves_the_one_before(tmp_path: Path) -> None:
    """kill -9 between the two renames of a rewritten checkpoint: old one retired, new one still in staging."""
    before, newest = write(tmp_path, 1), write(tmp_path, 2)
    shutil.copytree(newest, tmp_path / ".step-000002.partial")
    newest.rename(tmp_path / ".step-000002.retired")

    found, _ = latest_checkpoint(tmp_path, fingerprint=RUN)
    assert found is not None
    assert found.folder == before

    write(tmp_path, 2)
    assert names(tmp_path) == ["step-000001", "step-000002"]


def test_a_crash_before_the_older_ones_are_removed_keeps_no_fourth(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        write(tmp_path, step)
    shutil.copytree(tmp_path / "step-000003", tmp_path / "step-000001")

    write(tmp_path, 4)

    assert names(tmp_path) == ["step-000003", "step-000004"]


def spoil(path: Path, damage: str) -> None:
    content = path.read_bytes()
    if damage == "the file":
        path.unlink()
    else:
        path.write_bytes(content[:-3] if damage == "the end" else bytes([content[0] ^ 1]) + content[1:])
