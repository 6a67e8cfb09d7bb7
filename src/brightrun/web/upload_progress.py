"""How far the checks of datasets are that are coming in, for whoever sends them. In this process and memory only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Checked(NamedTuple):
    """Bytes of the file that were read and checked, and all of them; None while it is still arriving."""

    done: int
    total: int | None


class UploadProgress:
    """Uploads by owner and by the id that their sender gave them; each is known while its request is answered."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Checked] = {}

    @contextmanager
    def follow(self, owner_id: str, upload_id: str | None) -> Iterator[Callable[[int, int], None]]:
        """What to call with bytes done and bytes in all; without an id nobody can ask, and nothing is kept."""
        key = (owner_id, upload_id or "")

        def tell(done: int, total: int) -> None:
            if upload_id is not None:
                self._known[key] = Checked(done, total)

        if upload_id is not None:
            self._known[key] = Checked(0, None)
        try:
            yield tell
        finally:
            self._known.pop(key, None)

    def of(self, owner_id: str, upload_id: str) -> Checked | None:
        """None: there is no such upload, or it is over."""
        return self._known.get((owner_id, upload_id))
