"""Where a job is (status) and why it ended (reason). Who may move a job is decided in jobs/."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class JobStatus(StrEnum):
    """The owner's view of a job; design.md section 4."""

    QUEUED = "queued"
    PROVISIONING = "provisioning"
    PREPROCESSING = "preprocessing"
    MODEL_LOADED = "model_loaded"
    TRAINING = "training"
    EVALUATING = "evaluating"
    UPLOADING = "uploading"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}

    @property
    def words(self) -> str:
        """As people read it."""
        return _STATUS_WORDS[self]


_STATUS_WORDS = {
    JobStatus.QUEUED: "Queued",
    JobStatus.PROVISIONING: "Starting a machine",
    JobStatus.PREPROCESSING: "Checking and loading",
    JobStatus.MODEL_LOADED: "Testing the original model",
    JobStatus.TRAINING: "Training",
    JobStatus.EVALUATING: "Testing the trained model",
    JobStatus.UPLOADING: "Delivering",
    JobStatus.COMPLETED: "Completed",
    JobStatus.FAILED: "Failed",
    JobStatus.CANCELLED: "Cancelled",
}


class ReasonText(NamedTuple):
    """What the owner reads about a reason, and whether trying again can help."""

    words: str
    hint: str
    retry_makes_sense: bool


class EndReason(StrEnum):
    """The closed list of why a job ended otherwise than completed."""

    OUT_OF_MEMORY = "out_of_memory"
    DATASET_REJECTED = "dataset_rejected"
    MODEL_UNAVAILABLE = "model_unavailable"
    DISK_FULL = "disk_full"
    BUDGET_REACHED = "budget_reached"
    TIME_LIMIT = "time_limit"
    NO_CAPACITY = "no_capacity"
    WORKER_LOST = "worker_lost"
    INTERRUPTED = "interrupted"
    ARTIFACT_UNVERIFIED = "artifact_unverified"
    CANCELLED_BY_USER = "cancelled_by_user"
    INTERNAL = "internal"

    @property
    def text(self) -> ReasonText:
        return _TEXTS[self]


_TEXTS: dict[EndReason, ReasonText] = {
    EndReason.OUT_OF_MEMORY: ReasonText(
        "The machine ran out of memory.",
        "Choose a larger GPU, a smaller model or a smaller batch_size.",
        True,
    ),
    EndReason.DATASET_REJECTED: ReasonText(
        "The dataset cannot be trained on as it is.",
        "Read the audit, fix the file and upload it again.",
        False,
    ),
    EndReason.MODEL_UNAVAILABLE: ReasonText(
        "The base model could not be obtained or is damaged.",
        "Pull the model again and check its license.",
        True,
    ),
    EndReason.DISK_FULL: ReasonText(
        "The machine's disk is full.", "Choose a machine with a larger disk or free some space.", True
    ),
    EndReason.BUDGET_REACHED: ReasonText(
        "The job reached its cap in dollars.",
        "Raise the cap and retry; the job resumes where it stopped.",
        True,
    ),
    EndReason.TIME_LIMIT: ReasonText(
        "The job reached its time limit.",
        "Raise the limit and retry; the job resumes where it stopped.",
        True,
    ),
    EndReason.NO_CAPACITY: ReasonText(
        "No machine of this kind was free.", "Try again later or choose another GPU.", True
    ),
    EndReason.WORKER_LOST: ReasonText(
        "The machine stopped answering.", "Retry; the job resumes from its last checkpoint.", True
    ),
    EndReason.INTERRUPTED: ReasonText(
        "The run was interrupted.", "Retry; the job resumes from its last checkpoint.", True
    ),
    EndReason.ARTIFACT_UNVERIFIED: ReasonText(
        "The result could not be verified and was not delivered.",
        "Retry; if it happens again, report it.",
        True,
    ),
    EndReason.CANCELLED_BY_USER: ReasonText("The job was cancelled.", "Start a new job whenever you like.", False),
    EndReason.INTERNAL: ReasonText(
        "Something went wrong inside the product.", "Report it with the event log of the job.", True
    ),
}
