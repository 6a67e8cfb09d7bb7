"""The owner wants no more of a job: it is cancelled at once, and its machine ends right after."""

from __future__ import annotations

from brightrun.contract.states import EndReason, JobStatus
from brightrun.database.tables import TrainingJob
from brightrun.jobs.look_up import owned
from brightrun.jobs.move import move
from brightrun.jobs.studio import Studio


def cancel_job(studio: Studio, *, owner_id: str, job_id: str) -> TrainingJob:
    """Cancel a job; one that is cancelled stays so. The reconciler ends its machine and closes the lease.

    Raises:
        NotFound: the owner has no such job.
        IllegalTransition: it completed or failed already.
    """
    now = studio.clock()
    with studio.database.session() as session:
        job = owned(session, owner_id, job_id, lock=True)
        if job.status is JobStatus.CANCELLED:
            return job
        job.cancel_requested_at = now
        session.flush()
        reason = EndReason.CANCELLED_BY_USER
        return move(
            session, job, JobStatus.CANCELLED, now=now, reason=reason, message=reason.text.words, hint=reason.text.hint
        )
