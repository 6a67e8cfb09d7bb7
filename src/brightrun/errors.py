"""The family tree of what may go wrong. Every other room raises from here; this one knows none of them.

    BrightRunError
    ├── InputError              what the person gave cannot be used as it is
    │   ├── DatasetError        a file of conversations (place: file, line, column, conversation)
    │   ├── ModelError          a base model's folder, name or template
    │   ├── RecipeError         a hyperparameter or a recipe's name
    │   ├── RunFolderError      an output folder that holds something else
    │   └── BundleDamaged       a delivered bundle is not what its manifest says
    ├── MachineError            this machine cannot do it
    │   ├── NotEnoughDisk
    │   ├── NotEnoughMemory
    │   └── MissingDependency   an optional part of the install is absent
    ├── TrainingError           the run itself failed
    │   ├── MaskDisagreement    two computations of the learnt tokens differ
    │   ├── LossNotFinite
    │   ├── ResumeMismatch      a checkpoint does not belong to this job or is damaged
    │   └── AdapterUnproven     adapter-off is not the base, or adapter-on changes nothing
    └── ContractError           a message between the machines is malformed

`code` is stable for programs, `hint` tells a person the mend, `exit_status` is what the command line returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class BrightRunError(Exception):
    """Anything this product raises on purpose.

    Args:
        message: One sentence naming the place.
        hint: One sentence naming the mend; the class's own where absent.
        details: Facts for programs (line numbers, sizes in bytes, hashes). Never a secret.
    """

    code: ClassVar[str] = "error"
    default_hint: ClassVar[str] = ""
    exit_status: ClassVar[int] = 1

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


class DatasetError(InputError):
    code = "invalid_training_file"
    default_hint = "Run `brightrun dataset audit FILE` to see everything that was found in the file."


class ModelError(InputError):
    code = "model_unusable"
    default_hint = "Run `brightrun model list` to see the models that are known and which are pulled."


class RecipeError(InputError):
    code = "invalid_hyperparameter"
    default_hint = "Recipes are conservative, balanced, aggressive and quickstart; fields are set with --set key=value."


class RunFolderError(InputError):
    code = "run_folder_in_use"
    default_hint = "Choose another folder with --out."


class BundleDamaged(InputError):
    code = "bundle_damaged"
    default_hint = "Take the bundle again from the run that made it; this copy must not be used."


class MachineError(BrightRunError):
    code = "machine_unfit"


class NotEnoughDisk(MachineError):
    code = "disk_full"
    default_hint = "Free some space or choose a folder on another disk."


class NotEnoughMemory(MachineError):
    code = "out_of_memory"
    default_hint = "Choose a smaller base model, a smaller batch_size, or a machine with more memory."


class MissingDependency(MachineError):
    code = "missing_dependency"
    default_hint = "Install the training stack: pip install 'brightrun[worker]'"


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


class AdapterUnproven(TrainingError):
    code = "artifact_unverified"
    default_hint = "The adapter was not delivered. Keep the folder and report it with its events.jsonl."


class ContractError(BrightRunError):
    code = "malformed_message"
