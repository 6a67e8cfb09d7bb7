"""What the form that starts a training offers: datasets, recipes, settings, models, machines. Plans nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from brightrun.catalogue.gpus import load_gpus
from brightrun.catalogue.recipes import load_recipes
from brightrun.compute.local_process import LocalProcess
from brightrun.contract.compute import ComputeRequest
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.contract.states import JobStatus
from brightrun.database import files
from brightrun.database.tables import TrainingFile, TrainingJob
from brightrun.datasets.audit_report import depends_on_model
from brightrun.datasets.checks import undividable
from brightrun.jobs.month_budget import MonthBudget, month_budget
from brightrun.jobs.ownership import owned, owned_file
from brightrun.jobs.studio import Studio
from brightrun.jobs.submit import JobRequest
from brightrun.planning.this_machine import own_gpu
from brightrun.web.api.catalogue import GpuView, ModelView, known_models
from brightrun.web.api.schemas import FileView
from brightrun.web.pages.job_settings import SettingField, setting_fields

MAX_DATASETS = 50
_PROVIDERS = {LocalProcess.name: "This machine", "static_worker": "Your worker server", "runpod": "RunPod"}
_TITLES = {
    "conservative": "Conservative",
    "balanced": "Balanced",
    "aggressive": "Strong pull",
    "quickstart": "Quick try",
}
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("How much is trained on", ("num_epochs", "max_steps", "learning_rate", "r", "lora_alpha", "lora_dropout")),
    ("What a step sees", (
        "batch_size", "gradient_accumulation_steps", "example_unit", "packing", "max_seq_length", "overlength_policy",
    )),
    ("How it learns", (
        "optim", "lr_scheduler_type", "warmup_ratio", "weight_decay", "max_grad_norm", "target_modules", "seed",
    )),
    ("Memory", ("quantization", "gradient_checkpointing")),
    ("Proof and checkpoints", (
        "validation_fraction", "evaluations", "sample_answers", "sample_tokens",
        "prompted_tokens",
        "general_questions", "memorization_answers", "checkpoints", "adapter_choice",
    )),
)  # fmt: skip

_LABELS = {
    "num_epochs": "Passes over the data",
    "max_steps": "Max steps",
    "r": "Rank",
    "lora_alpha": "Alpha",
    "lora_dropout": "Dropout",
    "batch_size": "Answers in a row",
    "gradient_accumulation_steps": "Rows in a step",
    "max_seq_length": "Longest sequence",
    "overlength_policy": "What is longer",
    "optim": "Optimizer",
    "lr_scheduler_type": "LR schedule",
    "warmup_ratio": "Warm-up",
    "max_grad_norm": "Gradient clipping",
    "target_modules": "Adapted layers",
    "validation_fraction": "Validation",
    "sample_answers": "Prompts answered",
    "sample_tokens": "Longest answer",
    "general_questions": "General questions",
    "memorization_answers": "Training answers asked for",
    "prompted_tokens": "Real conversations shown to the base",
    "adapter_choice": "Delivered adapter",
}


@dataclass(frozen=True, slots=True)
class RecipeChoice:
    """A recipe in plain words; `settings` is JSON of every setting's text under it, as the form's fields have it."""

    name: str
    title: str
    description: str
    facts: str
    settings: str


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """Where a job may run. `picks_gpu`: its GPU can be named; else it is what this machine has."""

    name: str
    title: str
    picks_gpu: bool
    spot: bool
    usd_per_hour: Decimal | None


@dataclass(frozen=True, slots=True)
class StartForm:
    """Everything the form shows. `old` is the job that is tried again or whose settings are taken over.

    `retry` is the address that a second try is sent to; None: the form starts a job of its own. `validations` are the
    datasets that may be kept for validation whole, `validation_id` the one that is.
    """

    key: str
    datasets: list[FileView]
    more_datasets: bool
    dataset_id: str | None
    validations: list[FileView]
    validation_id: str | None
    recipes: list[RecipeChoice]
    recipe: str
    groups: list[tuple[str, list[SettingField]]]
    models: list[ModelView]
    base_model: str
    providers: list[ProviderChoice]
    provider: str
    gpus: list[GpuView]
    compute: ComputeRequest
    month: MonthBudget
    old: TrainingJob | None
    retry: str | None

    @property
    def dataset(self) -> FileView | None:
        """The one that is chosen already."""
        return next((each for each in self.datasets if each.id == self.dataset_id), None)

    @staticmethod
    def label(name: str) -> str:
        """A setting's name as its field says it."""
        return _LABELS.get(name, name.replace("_", " ").capitalize())

    @property
    def has_spot(self) -> bool:
        return any(each.spot for each in self.providers)

    @property
    def picks_gpu(self) -> bool:
        return any(each.picks_gpu for each in self.providers)


def start_form(studio: Studio, owner_id: str, *, dataset: str | None, retry_of: str | None) -> StartForm:
    """The form for that dataset, or as that job was.

    Raises:
        NotFound: the owner has no such dataset or job.
    """
    with studio.database.reading() as session:
        old = None if retry_of is None else owned(session, owner_id, retry_of)
        dataset = dataset if old is None else old.training_file_id
        validation = None if old is None else old.validation_file_id
        listed = files.list_page(session, owner_id=owner_id, limit=MAX_DATASETS)
        rows = list(listed.items)
        for older in filter(None, (validation, dataset)):
            if all(row.id != older for row in rows):
                rows.insert(0, owned_file(session, owner_id, older))
        if dataset is None and len(rows) == 1:
            dataset = rows[0].id
        datasets = [FileView.of(row) for row in rows]
        validations = [FileView.of(row) for row in rows if row.id == validation or _can_validate(row)]
    again = old is not None and old.status in {JobStatus.FAILED, JobStatus.CANCELLED}
    recipe = _usual_recipe(studio) if old is None or old.recipe not in load_recipes() else old.recipe
    models = sorted(known_models(studio), key=lambda model: not model.pulled)
    compute = ComputeRequest() if old is None else old.compute
    providers = provider_choices(studio)
    wished = compute.provider or studio.default_compute
    settings = recipe_settings(recipe) if old is None else dict(old.hyperparameters)
    if not again:
        settings["max_seq_length"] = None  # the data of then decided it; that of now decides anew
    return StartForm(
        key=str(uuid.uuid4()),
        datasets=[each for each in datasets if each.id == dataset] if again else datasets,
        more_datasets=listed.has_more and not again,
        dataset_id=dataset,
        validations=[each for each in validations if each.id == validation] if again else validations,
        validation_id=validation,
        recipes=[choice for choice in recipe_choices() if not again or choice.name == recipe],
        recipe=recipe,
        groups=grouped(setting_fields(settings)),
        models=[model for model in models if not again or (old is not None and model.id == old.base_model)],
        base_model=_usual_model(models) if old is None else old.base_model,
        providers=providers,
        provider=wished if any(each.name == wished for each in providers) else studio.default_compute,
        gpus=[GpuView.of(gpu) for gpu in load_gpus().values()],
        compute=compute,
        month=month_budget(studio, owner_id=owner_id),
        old=old,
        retry=f"/api/training/jobs/{old.id}/retry" if old is not None and again else None,
    )


def _can_validate(row: TrainingFile) -> bool:
    """Whether a base model may take the dataset, also where it is too little to be divided, which it need not be."""
    if row.audit is None:
        return False
    others = [finding for finding in row.audit.get("findings", []) if finding["check"] != undividable.NAME]
    refused = any(finding["severity"] == "error" for finding in others)
    return not refused or depends_on_model({"findings": others})


def recipe_settings(name: str) -> dict[str, Any]:
    """Every setting under that recipe."""
    return Hyperparameters.model_validate(load_recipes()[name].hyperparameters).model_dump(mode="json")


def recipe_choices() -> list[RecipeChoice]:
    """Every recipe, the presets by their strength and the quick one behind them."""
    known = load_recipes()
    ordered = [name for name in _TITLES if name in known] + [name for name in known if name not in _TITLES]
    return [_recipe_choice(name, known[name].description) for name in ordered]


def _recipe_choice(name: str, description: str) -> RecipeChoice:
    settings = Hyperparameters.model_validate(load_recipes()[name].hyperparameters)
    texts = {field.name: field.value for field in setting_fields(settings.model_dump(mode="json"))}
    passes = f"{settings.num_epochs:g} pass" + ("" if settings.num_epochs == 1 else "es")
    facts = f"{passes} over the data, rank {settings.r}, learning rate {settings.learning_rate:g}"
    return RecipeChoice(name, _TITLES.get(name, name), description, facts, json.dumps(texts))


def provider_choices(studio: Studio) -> list[ProviderChoice]:
    """The providers that are set up, the default one first."""
    names = sorted(studio.computes, key=lambda name: (name != studio.default_compute, name))
    return [
        ProviderChoice(
            name=name,
            title=_PROVIDERS.get(name, name),
            picks_gpu=name != LocalProcess.name,
            spot=studio.computes[name].supports_spot,
            usd_per_hour=studio.usd_per_hour.get(name),
        )
        for name in names
    ]


def grouped(fields: Sequence[SettingField]) -> list[tuple[str, list[SettingField]]]:
    """The fields under their headings; one that no group names stands at the end, never nowhere."""
    known = {field.name: field for field in fields}
    groups = [(title, [known.pop(name) for name in names if name in known]) for title, names in _GROUPS]
    return [*groups, ("Further", list(known.values()))] if known else groups


def _usual_recipe(studio: Studio) -> str:
    """The quick one where jobs run on this machine's processor, on which the others take long."""
    return "quickstart" if studio.default_compute == LocalProcess.name and own_gpu() is None else "balanced"


def _usual_model(models: Sequence[ModelView]) -> str:
    """The API's default where it is here; else one that is; else the default, which has to be pulled."""
    default = str(JobRequest.model_fields["base_model"].default)
    pulled = [model.id for model in models if model.pulled]
    return default if default in pulled or not pulled else pulled[0]
