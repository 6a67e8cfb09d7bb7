"""A dataset is read again from its stored bytes, with only some of its conversations and else as before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from brightrun.database.tables import TrainingFile
from brightrun.datasets.list_conversations import ListedConversation, list_conversations
from brightrun.errors import DatasetInUse
from brightrun.jobs.add_dataset import choices_of, fetch_dataset, read_again, remove_dataset
from brightrun.jobs.studio import Studio


def conversations_of(studio: Studio, *, owner_id: str, file_id: str, folder: Path) -> list[ListedConversation]:
    """Every conversation of a dataset's file, those that were not chosen too; `folder` takes its bytes meanwhile.

    Raises:
        NotFound: the owner has no such dataset.
        DatasetError: it cannot be read.
    """
    path = folder / "dataset"
    row = fetch_dataset(studio, owner_id=owner_id, file_id=file_id, target=path)
    return list(list_conversations(path, choices_of(row)))


def choose_conversations(
    studio: Studio, *, owner_id: str, file_id: str, choose: Sequence[str], replace: bool = False
) -> TrainingFile:
    """The dataset of the same bytes with only those conversations; all else is read as before.

    Args:
        replace: Delete the dataset that was chosen from, unless a job was made of it.

    Raises:
        NotFound: the owner has no such dataset.
        DatasetError: a choice that no conversation fits.
        StorageError, NotEnoughDisk
    """
    chosen = read_again(studio, owner_id=owner_id, file_id=file_id, changes={"choose": tuple(choose)})
    if replace and chosen.id != file_id:
        with suppress(DatasetInUse):
            remove_dataset(studio, owner_id=owner_id, file_id=file_id)
    return chosen
