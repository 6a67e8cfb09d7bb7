"""The owner wants no more of a job: it is cancelled at once, and its machine ends right after.

An adapter of what was trained may be asked for; the machine then ends when that is home, or after a while without it.
"""

from __future__ import annotations

from brightrun.contract.states import EndReason, JobStatus
from brightrun.database import attempts
from brightrun.database.tables import TrainingJob
from brightrun.jobs.limits import may_have_adapter
from brightrun.jobs.ownership import owned
from brightrun.jobs.studio import Studio
from brightrun.jobs.transition import transition


def cancel_job(studio: Studio, *, owner_id: str, job_id: str, export_on_stop: bool = False) -> TrainingJob:
    """Cancel a job; one that is cancelled stays so. The reconciler ends its machine and closes the lease.

    With `export_on_stop` it first has the run end its step and brings an unproven adapter home, where a machine runs;
    `export_until` of the answer says whether and until when that is tried.

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
        attempt = attempts.newest(session, job_id) if export_on_stop else None
        if attempt is not None and may_have_adapter(attempt):
            job.export_until = now + studio.limits.export_on_stop
        session.flush()
        reason = EndReason.CANCELLED_BY_USER
        return transition(
            session, job, JobStatus.CANCELLED, now=now, reason=reason, message=reason.text.words, hint=reason.text.hint
        )
