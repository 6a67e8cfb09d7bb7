"""Where the project's sample dataset lies: inside an installed package, or in the repository's examples."""

from __future__ import annotations

from pathlib import Path

from brightrun.errors import DatasetError

FILE_NAME = "lantern-care-sample.json"


def sample_dataset_path() -> Path:
    """The sample's path.

    Raises:
        DatasetError: this install has none.
    """
    here = Path(__file__).resolve().parent
    packaged = here / "sample" / FILE_NAME
    in_repository = here.parents[2] / "examples" / FILE_NAME
    for candidate in (packaged, in_repository):
        if candidate.is_file():
            return candidate
    raise DatasetError(
        f"The sample dataset {FILE_NAME} is not in this install.",
        hint="Install brightrun again, or give a file of your own.",
        details={"recognized_by": [str(packaged), str(in_repository)]},
    )
