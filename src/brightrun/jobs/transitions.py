"""Which state may follow which. The one place that knows; terminal states never change."""

from __future__ import annotations

from brightrun.contract.states import JobStatus
from brightrun.errors import IllegalTransition

_ORDER = (
    JobStatus.QUEUED,
    JobStatus.PROVISIONING,
    JobStatus.PREPROCESSING,
    JobStatus.MODEL_LOADED,
    JobStatus.TRAINING,
    JobStatus.EVALUATING,
    JobStatus.UPLOADING,
    JobStatus.COMPLETED,
)
_RESTARTS = frozenset({JobStatus.PROVISIONING})


def may_follow(now: JobStatus, then: JobStatus) -> bool:
    """Whether a job in state `now` may go to `then`.

    Forward over any number of states, since events of short states may be lost; failed and cancelled from anywhere;
    back to provisioning where a new attempt starts. Never out of a terminal state, and completed only from uploading.
    """
    if now.is_terminal or then is now:
        return False
    if then in {JobStatus.FAILED, JobStatus.CANCELLED}:
        return True
    if then is JobStatus.COMPLETED:
        return now is JobStatus.UPLOADING
    if then in _RESTARTS and _ORDER.index(now) > _ORDER.index(then):
        return True
    return _ORDER.index(then) > _ORDER.index(now)


def require_may_follow(now: JobStatus, then: JobStatus) -> None:
    """Raise IllegalTransition, which carries the current status, where `may_follow` says no."""
    if not may_follow(now, then):
        raise IllegalTransition(
            f"A job that is {now.value} cannot become {then.value}.",
            details={"status": now.value, "wanted": then.value},
        )
