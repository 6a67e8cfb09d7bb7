"""The family tree of what may go wrong. Every other room raises from here; this one knows none of them.

    BrightRunError
    ├── InputError              what the person gave cannot be used as it is
    │   ├── DatasetError        a file of conversations (place: file, line, column, conversation)
    │   ├── ModelError          a base model's folder, name or template
    │   ├── RecipeError         a hyperparameter or a recipe's name
    │   ├── PriceUnknown        a limit in dollars on a machine whose price nobody knows
    │   ├── RunFolderError      an output folder that holds something else
    │   ├── PlanRefused         the run would take more than it may cost or last
    │   └── BundleDamaged       a delivered bundle is not what its manifest says
    ├── MachineError            this machine cannot do it
    │   ├── NotEnoughDisk
    │   ├── NotEnoughMemory
    │   ├── MissingDependency   an optional part of the install is absent
    │   └── PlatformUnsupported this operating system does not support it
    ├── TrainingError           the run itself failed
    │   ├── MaskDisagreement    two computations of the trained tokens differ
    │   ├── LossNotFinite
    │   ├── ResumeMismatch      a checkpoint does not belong to this job or is damaged
    │   └── AdapterCheckFailed     adapter-off is not the base, or adapter-on changes nothing
    ├── StorageError            the file store failed; trying again may help
    │   ├── StoredFileMissing   no file under that key
    │   ├── KeyRefused          a key that no store may hold (.., absolute, reserved); trying again never helps
    │   └── LinkRefused         a link is expired, forged, or for something else
    ├── ComputeError            a machine's provider failed; whether it acted is unknown until it is asked by name
    │   ├── NoCapacity          no machine is free now; trying later may help
    │   └── ComputeRefused      the provider said no for good; nothing was started
    ├── RequestError            a request to the studio that cannot be granted
    │   ├── NotFound            no such thing, or it belongs to someone else
    │   ├── Conflict            the thing is in a state that does not allow it
    │   │   ├── IllegalTransition
    │   │   ├── DatasetInUse    a job was trained on it
    │   │   ├── IdempotencyConflict  the same key with another body
    │   │   ├── OverBudget      the job is expected to cost more than it may
    │   │   ├── ClaimLost       another reconciler took the job over
    │   │   └── NoMachine       nothing that is up could do it; the hint says what a machine would cost
    │   ├── NotSignedIn
    │   └── TooManyRequests
    └── ContractError           a message between the machines is malformed

`code` is stable for programs, `hint` tells a person the fix, `exit_status` is what the command line returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class BrightRunError(Exception):
    """Anything this product raises on purpose.

    Args:
        message: One sentence naming the place.
        hint: One sentence naming the fix; the class's own where absent.
        details: Facts for programs (line numbers, sizes in bytes, hashes). Never a secret.
    """

    code: ClassVar[str] = "error"
    default_hint: ClassVar[str] = ""
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.details: dict[str, object] = dict(details or {})

    def as_dict(self) -> dict[str, object]:
        """The error as JSON shows it: `{"error": {"type", "code", "message", "hint", "details"}}`."""
        return {
            "error": {
                "type": type(self).__name__,
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
                "details": self.details,
            }
        }


class InputError(BrightRunError):
    code = "invalid_input"
    exit_status = 2
    http_status = 400


class DatasetError(InputError):
    code = "invalid_training_file"
    default_hint = "Run `brightrun dataset audit FILE` to see everything that was found in the file."


class ModelError(InputError):
    code = "model_unusable"
    default_hint = "Run `brightrun model list` to see the models that are known and which are pulled."


class RecipeError(InputError):
    code = "invalid_hyperparameter"
    default_hint = "Recipes are conservative, balanced, aggressive and quickstart; fields are set with --set key=value."


class PriceUnknown(InputError):
    code = "price_unknown"
    default_hint = "Set BRIGHTRUN_LOCAL_USD_PER_HOUR or BRIGHTRUN_WORKER_USD_PER_HOUR, or leave max_cost_usd out."


class RunFolderError(InputError):
    code = "run_folder_in_use"
    default_hint = "Choose another folder with --out."


class PlanRefused(InputError):
    code = "plan_refused"
    default_hint = "Raise the cap, choose a cheaper machine, or make the run smaller."
    http_status = 422


class BundleDamaged(InputError):
    code = "bundle_damaged"
    default_hint = "Take the bundle again from the run that made it; this copy must not be used."


class MachineError(BrightRunError):
    code = "machine_unfit"


class NotEnoughDisk(MachineError):
    code = "disk_full"
    http_status = 503
    default_hint = "Free some space or choose a folder on another disk."


class NotEnoughMemory(MachineError):
    code = "out_of_memory"
    http_status = 422
    default_hint = "Choose a smaller base model, a smaller batch_size, or a machine with more memory."


class MissingDependency(MachineError):
    code = "missing_dependency"
    default_hint = "Install the training stack: pip install 'brightrun[worker]'"


class PlatformUnsupported(MachineError):
    code = "platform_unsupported"
    default_hint = "Use Linux, macOS or WSL 2."


class TrainingError(BrightRunError):
    code = "training_failed"


class MaskDisagreement(TrainingError):
    code = "mask_disagreement"
    default_hint = "The chat template of this base model is unusual; choose another base model and report this one."


class LossNotFinite(TrainingError):
    code = "loss_not_finite"
    default_hint = "Lower the learning rate, for example --set learning_rate=1e-4, and start again in a new folder."


class ResumeMismatch(TrainingError):
    code = "resume_mismatch"
    default_hint = "Start again in a new folder with --out; this one is left as it is."


class AdapterCheckFailed(TrainingError):
    code = "artifact_unverified"
    default_hint = "The adapter was not delivered. Keep the folder and report it with its events.jsonl."


class RequestError(BrightRunError):
    code = "request_refused"
    http_status = 400


class NotFound(RequestError):
    code = "not_found"
    default_hint = "Check the id. You may not have access to it."
    http_status = 404


class Conflict(RequestError):
    code = "conflict"
    http_status = 409


class IllegalTransition(Conflict):
    code = "illegal_transition"
    default_hint = "Look at the job's status; a job that ended never changes. Retry makes a new one."


class DatasetInUse(Conflict):
    code = "dataset_in_use"
    default_hint = "The record of what an adapter was trained on is kept as long as the job is."


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"
    default_hint = "Use a new Idempotency-Key for another request."


class OverBudget(Conflict):
    code = "over_budget"
    default_hint = "Raise the budget or the job's cap, or make the job smaller."


class ClaimLost(Conflict):
    code = "claim_lost"


class NoMachine(Conflict):
    code = "no_machine"


class NotSignedIn(RequestError):
    code = "not_signed_in"
    default_hint = "Send an API token as `Authorization: Bearer …`, or sign in. Tokens: brightrun token create."
    http_status = 401


class TooManyRequests(RequestError):
    code = "too_many_requests"
    default_hint = "Wait a little and try again."
    http_status = 429


class ContractError(BrightRunError):
    code = "malformed_message"
    http_status = 400


class StorageError(BrightRunError):
    code = "storage_failed"
    default_hint = "Try again in a moment; check the storage settings with `brightrun doctor` if it lasts."
    http_status = 503


class StoredFileMissing(StorageError):
    code = "file_missing"
    default_hint = "The file was removed or was never stored."
    http_status = 404


class KeyRefused(StorageError):
    code = "invalid_key"
    default_hint = "Keys are relative paths with forward slashes, without .. and without reserved names."
    http_status = 400


class LinkRefused(StorageError):
    code = "link_refused"
    default_hint = "Ask for a new link; links are short-lived and made for one file."
    http_status = 403


class ComputeError(BrightRunError):
    code = "compute_failed"
    default_hint = "Nothing needs to be done; the machine is looked for by its name and the step is repeated."
    http_status = 503


class NoCapacity(ComputeError):
    code = "no_capacity"
    default_hint = "Wait until a machine is free, or choose another GPU."


class ComputeRefused(ComputeError):
    code = "compute_refused"
    default_hint = "Check the compute settings with `brightrun doctor`."
