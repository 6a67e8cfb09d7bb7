"""Claims jobs that are due, observes, decides, acts. Any number of studios may do so on one database."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import assert_never

from brightrun.database import jobs
from brightrun.database.claims import ClaimedJob
from brightrun.errors import BrightRunError, ClaimLost
from brightrun.jobs.claim import Claim
from brightrun.jobs.decide import Act, decide
from brightrun.jobs.observe import observe
from brightrun.jobs.outcome import Again, Settled, Wait
from brightrun.jobs.reconcile_pass import ReconcilePass
from brightrun.jobs.studio import Studio
from brightrun.jobs.warn_budget import warn_budget

_log = logging.getLogger(__name__)
CLAIM_DURATION = timedelta(minutes=5)
_MAX_ACTS = 12
"""Acts in a row for one job; then others have their turn."""
_AFTER_ERROR = Wait(timedelta(seconds=15))


def reconcile_once(studio: Studio, *, owner: str, limit: int = 20) -> int:
    """One pass over the jobs that are due, at most `limit`; how many were looked at.

    They are claimed one by one: a claim on a job that waits behind slow ones would lapse meanwhile.
    """
    for looked_at in range(limit):
        with studio.database.session() as session:
            claimed = jobs.claim_due(session, owner=owner, now=studio.clock(), lease=CLAIM_DURATION, limit=1)
        if not claimed:
            return looked_at
        _reconcile(studio, claimed[0])
    return limit


def _reconcile(studio: Studio, claimed: ClaimedJob) -> None:
    job_id = claimed.job.id
    outcome: Wait | Settled = _AFTER_ERROR
    try:
        outcome = _act_until_waiting(studio, Claim(studio, claimed, CLAIM_DURATION))
    except ClaimLost:
        _log.info("the claim on job %s was taken over", job_id)
        return
    except BrightRunError as error:
        _log.warning("job %s: %s It is looked at again.", job_id, error.message)
    except Exception:  # noqa: BLE001 the reconciler's loop, one of three broad excepts: a job must not stop the others
        _log.exception("reconciling job %s failed; it is looked at again", job_id)
    next_check_at = studio.clock() + outcome.delay if isinstance(outcome, Wait) else None
    try:
        with studio.database.session() as session:
            jobs.release_claim(session, job_id, claimed.token, next_check_at=next_check_at)
    except ClaimLost:
        _log.info("the claim on job %s was taken over", job_id)


def _act_until_waiting(studio: Studio, claim: Claim) -> Wait | Settled:
    """Act as often as something can be done at once.

    Raises:
        ClaimLost: it took so long that another studio has the job.
    """
    heard_out = False
    for _ in range(_MAX_ACTS):
        observed = observe(studio, claim.job_id)
        decision = decide(observed.situation)
        if decision.act is Act.REST:
            return Settled()
        claim.heartbeat()
        here = ReconcilePass(studio, observed, claim)
        if not heard_out and here.fails_unheard(decision):
            heard_out = True
            here.hear_out()
            continue
        warn_budget(studio, observed.job, observed.situation)
        outcome = here.apply(decision)
        match outcome:
            case Wait() | Settled():
                return outcome
            case Again():
                continue
            case _:
                assert_never(outcome)
    return Wait(studio.limits.poll)
