"""The named recipes: hyperparameters by name and a plain sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from brightrun.catalogue.tables import read_table, suggest
from brightrun.errors import RecipeError

RecipeValue = bool | int | float | str


class Recipe(BaseModel):
    """A name, a sentence for people, and the hyperparameters that differ from the defaults or matter most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = Field(min_length=1)
    hyperparameters: dict[str, RecipeValue]


@cache
def load_recipes() -> Mapping[str, Recipe]:
    """Every recipe by name, in the order of the table."""
    recipes = {name: _recipe(name, row) for name, row in read_table("recipes.toml").items()}
    return MappingProxyType(recipes)


def _recipe(name: str, row: Mapping[str, RecipeValue]) -> Recipe:
    settings = {key: value for key, value in row.items() if key != "description"}
    return Recipe(name=name, description=str(row["description"]), hyperparameters=settings)


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: none is called so; the hint lists near names.
    """
    recipes = load_recipes()
    if name in recipes:
        return recipes[name]
    raise RecipeError(f"No recipe is called '{name}'.", hint=suggest(name, recipes), details={"recipe": name})
