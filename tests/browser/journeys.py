"""A studio in a process of its own with the real worker and a very small model, for stories in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.served_studio import MODEL, Place, until


@dataclass(frozen=True)
class Trainer:
    """Starts jobs by the command line, where the story is not about starting."""

    place: Place
    models: Path

    def starts(self, **settings: Any) -> str:
        return self.place.start_job(**settings)

    def starts_without_its_model(self) -> str:
        """A job whose model's weights are gone when its machine looks for them."""
        (weights,) = self.models.rglob("model.safetensors")
        away = weights.with_suffix(".away")
        weights.rename(away)
        try:
            job_id = self.place.start_job()
            until(lambda: self.place.job(job_id)["status"] in {"failed", "training"}, seconds=90)
        finally:
            away.rename(weights)
        return job_id


@contextmanager
def a_trainer(folder: Path, tiny_model: Path, sample: Path) -> Iterator[Trainer]:
    place = Place(folder)
    (folder / "conversations.json").write_bytes(sample.read_bytes())
    place.json("model", "pull", tiny_model, "--name", MODEL)
    place.starts()
    try:
        yield Trainer(place, place.home / "models")
    finally:
        place.stops()
