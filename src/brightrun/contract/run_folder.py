"""Where things lie in a run's folder. One name for each place, used by the worker and by those who show a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run on disk: what went in above, what came out below, what only resuming needs under `work`."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "job.json"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def event_log(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def checkpoints(self) -> Path:
        return self.work / "checkpoints"

    @property
    def best(self) -> Path:
        return self.work / "best"

    @property
    def baseline(self) -> Path:
        return self.work / "baseline"

    @property
    def adapter(self) -> Path:
        return self.root / "adapter"

    @property
    def comparison(self) -> Path:
        return self.root / "comparison.json"

    @property
    def report(self) -> Path:
        return self.root / "report.html"
