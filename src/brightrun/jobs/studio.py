"""Everything a use case may reach, gathered once by assembly: database, files, machines, clock and patience."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx
from pydantic import SecretStr

from brightrun.compute.base import Chat, Compute
from brightrun.contract.run_folder import RunFolder
from brightrun.database.database import Database
from brightrun.errors import InputError
from brightrun.jobs.cache import Cache
from brightrun.jobs.decide import ReconcileLimits
from brightrun.storage.base import Storage


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Studio:
    """The control plane's means. Nothing here is opened at import; assembly makes one from the settings.

    Attributes:
        models: Folder of the pulled base models.
        home: Folder for the run folders of machines that share this disk.
        webhook_secret: The master that every job's own secrets are derived from.
        worker_tokens: Bearer token of a provider's worker where it is not the job's own (a standing worker).
        transports: Network to a provider's workers where it is not the real one (simulated machines).
        public_url: Where workers can reach the studio; None: their journals are pulled.
        open_chat: Loads base and tuned model of a folder with a job's spec and adapter; None: not on this machine.
        usd_per_hour: What a machine of a provider costs by its owner's word; absent: nobody said.
        monthly_budget_usd: Budget per month of owners who set none; None: no limit.
        kept: What plans that are asked for again need not count again.
    """

    database: Database
    storage: Storage
    computes: Mapping[str, Compute]
    models: Path
    home: Path
    webhook_secret: SecretStr
    default_compute: str = "local_process"
    worker_tokens: Mapping[str, SecretStr] = field(default_factory=dict)
    transports: Mapping[str, httpx.BaseTransport] = field(default_factory=dict)
    public_url: str | None = None
    open_chat: Callable[[Path], Chat] | None = None
    monthly_budget_usd: Decimal | None = None
    usd_per_hour: Mapping[str, Decimal] = field(default_factory=dict)
    clock: Callable[[], datetime] = utc_now
    limits: ReconcileLimits = field(default_factory=ReconcileLimits)
    cache: Cache = field(default_factory=Cache, repr=False, compare=False)

    def compute(self, name: str) -> Compute:
        """The provider of that name.

        Raises:
            InputError: it is not set up here.
        """
        try:
            return self.computes[name]
        except KeyError:
            known = ", ".join(sorted(self.computes)) or "none"
            raise InputError(f"There is no compute provider {name} here.", hint=f"Set up are: {known}.") from None

    def run_folder(self, job_id: str) -> RunFolder:
        return RunFolder(self.home / "jobs" / job_id)
