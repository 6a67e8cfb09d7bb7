"""Puts a converted model in the place of the file it was made from. The converting itself is the caller's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from brightrun.catalogue.hashes import Progress, record_files
from brightrun.catalogue.pull.staging import PullResult, put_in_place, staged_folder


def finish_conversion(
    pulled: PullResult, convert: Callable[[Path, Path], None], *, progress: Progress | None = None
) -> PullResult:
    """Call `convert(source_file, target_folder)` and record what it wrote; the source's name and hash stay known.

    A pull that needs no conversion is returned as it is. Whatever `convert` raises leaves the folder as it was.
    """
    if not pulled.needs_conversion:
        return pulled
    (source,) = pulled.record.files
    home = pulled.folder.parent
    with staged_folder(home, pulled.record.name) as staged:
        convert(pulled.folder / source.name, staged)
        record = pulled.record.model_copy(
            update={
                "files": record_files(staged, progress),
                "needs_conversion": False,
                "converted_from": f"{source.name} sha256:{source.sha256}",
            }
        )
        return put_in_place(staged, home, record)
