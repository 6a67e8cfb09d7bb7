"""What can be chosen: base models, recipes, GPUs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import Field

from brightrun.catalogue.folders import list_pulled
from brightrun.catalogue.gpus import Gpu, load_gpus
from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.catalogue.models import BaseModelEntry, load_models
from brightrun.catalogue.recipes import load_recipes
from brightrun.errors import ModelError
from brightrun.jobs.studio import Studio
from brightrun.web.api.schemas import Listed
from brightrun.web.deps import Answer, CurrentPrincipal, StudioDep, Usd
from brightrun.web.problems import declared

router = APIRouter(prefix="/api/training", tags=["catalogue"])


class ModelView(Answer):
    """A base model."""

    id: str = Field(description="Its name.", examples=["smollm2-135m-instruct"])
    title: str
    hub_id: str | None
    parameters: int
    context_length: int
    license: str
    license_note: str
    gated: bool
    pulled: bool = Field(description="Whether it lies here, ready to be trained on.")


class RecipeView(Answer):
    """Named hyperparameters."""

    id: str = Field(examples=["balanced"])
    description: str
    hyperparameters: dict[str, Any]


class GpuView(Answer):
    """A card, with the newest price that was read."""

    id: str = Field(examples=["h100-80gb"])
    title: str
    memory_bytes: int
    price_usd_per_hour: Usd | None
    price_date: str | None

    @classmethod
    def of(cls, gpu: Gpu) -> GpuView:
        price = gpu.latest_price()
        return cls(
            id=gpu.name,
            title=gpu.title,
            memory_bytes=gpu.memory_bytes,
            price_usd_per_hour=price.usd_per_hour if price else None,
            price_date=price.date.isoformat() if price and price.date else None,
        )


@router.get("/models", responses=declared(401, 403))
def list_models(studio: StudioDep, principal: CurrentPrincipal) -> Listed[ModelView]:  # noqa: ARG001 a person asks
    """Base models: those of the catalogue, and what else was pulled."""
    return Listed(data=known_models(studio), has_more=False)


def known_models(studio: Studio) -> list[ModelView]:
    """Those of the catalogue, and what else was pulled."""
    pulled = _pulled(studio)
    known = {**load_models(), **pulled}
    return [
        ModelView(
            id=entry.name, title=entry.title, hub_id=entry.hub_id, parameters=entry.parameters,
            context_length=entry.context_length, license=entry.license, license_note=entry.license_note,
            gated=entry.gated, pulled=entry.name in pulled,
        )
        for entry in known.values()
    ]  # fmt: skip


@router.get("/recipes", responses=declared(401, 403))
def list_recipes(principal: CurrentPrincipal) -> Listed[RecipeView]:  # noqa: ARG001 a person asks
    """The recipes."""
    data = [
        RecipeView(id=recipe.name, description=recipe.description, hyperparameters=recipe.hyperparameters)
        for recipe in load_recipes().values()
    ]
    return Listed(data=data, has_more=False)


@router.get("/gpus", responses=declared(401, 403))
def list_gpus(principal: CurrentPrincipal) -> Listed[GpuView]:  # noqa: ARG001 a person asks
    """The cards that are known."""
    return Listed(data=[GpuView.of(gpu) for gpu in load_gpus().values()], has_more=False)


def _pulled(studio: Studio) -> dict[str, BaseModelEntry]:
    """Models whose folders can be trained on; what is damaged or half converted is left out."""
    found = {}
    for folder, record in list_pulled(studio.models):
        if record.needs_conversion:
            continue
        try:
            found[record.name] = entry_of_folder(folder)
        except ModelError:
            continue
    return found
