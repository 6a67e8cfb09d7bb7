"""A claim that is kept for as long as its job is acted on, however long that takes. Knows no act."""

from __future__ import annotations

from datetime import timedelta

from brightrun.database import jobs
from brightrun.database.claims import ClaimedJob
from brightrun.jobs.studio import Studio


class Claim:
    """One job that is this reconciler's.

    Args:
        lease: How long the claim holds when it is taken or renewed.
    """

    def __init__(self, studio: Studio, claim: ClaimedJob, lease: timedelta) -> None:
        self._studio, self._claim, self._lease = studio, claim, lease
        self._renew_at = claim.expires_at - lease * 2 / 3

    @property
    def job_id(self) -> str:
        return self._claim.job.id

    def heartbeat(self) -> None:
        """Renew the claim where a third of it has gone by; cheap, so to be called before every act and every block.

        Raises:
            ClaimLost: it lapsed, and another reconciler took the job. Nothing more may be done for it here.
        """
        now = self._studio.clock()
        if now < self._renew_at:
            return
        with self._studio.database.session() as session:
            expires_at = jobs.renew_claim(session, self.job_id, self._claim.token, now=now, lease=self._lease)
        self._renew_at = expires_at - self._lease * 2 / 3
