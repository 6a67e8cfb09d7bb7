"""The base models that are known by name: shapes, license, where to get them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from brightrun.catalogue.tables import read_table, suggest
from brightrun.errors import ModelError, RecipeError

Source = Literal["hub", "package", "folder"]
EMBEDDED_MODEL = "smollm2-135m-instruct"
"""The base model that trains on a processor and comes without a hub."""


class PackageFile(BaseModel):
    """One file inside a published Python package.

    `file` is its path inside the wheel, `sha256` that of the file alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str
    file: str
    bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def requirement(self) -> str:
        """As an installer wants it, `name==version`."""
        return f"{self.name}=={self.version}"


class BaseModelEntry(BaseModel):
    """A base model with Llama's seven projections in every layer, as much of it as planning and pulling need.

    `parameters` counts weights, tied ones once; sizes are in elements and `context_length` in tokens.
    `revision` is absent where none is pinned; pulling then resolves and records one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    source: Source
    hub_id: str | None = None
    revision: str | None = None
    package: PackageFile | None = None
    parameters: int = Field(gt=0)
    layers: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    heads: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)
    vocab_size: int = Field(gt=0)
    tied_embeddings: bool
    context_length: int = Field(gt=0)
    license: str
    license_note: str = ""
    gated: bool = False

    @model_validator(mode="after")
    def _has_its_source(self) -> BaseModelEntry:
        if self.source == "hub" and self.hub_id is None:
            raise ValueError("a model from the hub needs its hub_id")
        if self.source == "package" and self.package is None:
            raise ValueError("a model from a package needs its package")
        return self

    def projection_shapes(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of each linear projection of one layer, by the names that adapters use."""
        attention, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        hidden, inner = self.hidden_size, self.intermediate_size
        return {
            "q_proj": (hidden, attention),
            "k_proj": (hidden, kv),
            "v_proj": (hidden, kv),
            "o_proj": (attention, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    def adapter_parameters(self, r: int, target_modules: Sequence[str]) -> int:
        """Trainable weights of a LoRA adapter: r × (inputs + outputs) of every chosen projection in every layer.

        Raises:
            RecipeError: a chosen module is no projection of this model.
        """
        shapes = self.projection_shapes()
        require_projections(target_modules, shapes, of=self.name)
        return self.layers * r * sum(sum(shapes[name]) for name in set(target_modules))

    @property
    def linear_parameters(self) -> int:
        """Weights of all projections of all layers: what quantization shrinks and matrix products touch."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.projection_shapes().values())

    @property
    def head_parameters(self) -> int:
        """Weights of the output head, which are the embeddings' own where they are tied."""
        return self.vocab_size * self.hidden_size

    def counted_parameters(self) -> int:
        """All weights recomputed from the shapes; equals `parameters` where the shapes are right."""
        embeddings = self.head_parameters * (1 if self.tied_embeddings else 2)
        norms = (2 * self.layers + 1) * self.hidden_size
        return embeddings + self.linear_parameters + norms


def require_projections(target_modules: Sequence[str], known: Collection[str], *, of: str) -> None:
    """Raise RecipeError where a module is not among the projections of that model; the hint names near ones."""
    unknown = [name for name in target_modules if name not in known]
    if unknown:
        raise RecipeError(
            f"target_modules names no projection of {of}: {', '.join(unknown)}.",
            hint=suggest(unknown[0], known),
            details={"param": "hyperparameters.target_modules"},
        )


@cache
def load_models() -> dict[str, BaseModelEntry]:
    """Every known base model by name, in the order of the table."""
    entries = [BaseModelEntry.model_validate(row) for row in read_table("models.toml")["models"]]
    return {entry.name: entry for entry in entries}


def find_model(name_or_hub_id: str) -> BaseModelEntry:
    """The entry of that name or hub id, letter case aside.

    Raises:
        ModelError: none is called so; the hint lists near names.
    """
    wanted = name_or_hub_id.strip().lower()
    models = load_models()
    for entry in models.values():
        if wanted in (entry.name, (entry.hub_id or entry.name).lower()):
            return entry
    near = suggest(wanted.rpartition("/")[2], models)
    raise ModelError(
        f"No base model is called '{name_or_hub_id}'.",
        hint=f"{near} `brightrun model list` shows them all.",
        details={"model": name_or_hub_id},
    )
