"""The TOML tables: shapes agree with the published counts, prices are dated, names are found."""

from __future__ import annotations

from decimal import Decimal

import pytest

from brightrun.catalogue.gpus import find_gpu, load_gpus
from brightrun.catalogue.models import BaseModelEntry, find_model, load_models
from brightrun.catalogue.recipes import find_recipe, load_recipes
from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.errors import InputError, ModelError, RecipeError


@pytest.mark.parametrize("entry", load_models().values(), ids=lambda entry: entry.name)
def test_parameters_recomputed_from_the_shapes_agree_with_the_published_count(entry: BaseModelEntry) -> None:
    assert entry.counted_parameters() == pytest.approx(entry.parameters, rel=0.01)
    assert entry.heads % entry.kv_heads == 0


@pytest.mark.parametrize("entry", load_models().values(), ids=lambda entry: entry.name)
def test_every_model_names_its_license_and_its_origin(entry: BaseModelEntry) -> None:
    assert entry.license
    assert entry.license_note
    assert (entry.source == "hub") == (entry.hub_id is not None)
    assert (entry.source == "package") == (entry.package is not None)
    assert entry.revision is None or len(entry.revision) == 40


def test_linear_weights_of_llama_3_70b_are_those_of_the_training_notes() -> None:
    assert find_model("llama-3-70b-instruct").linear_parameters == 68_451_041_280


def test_models_are_found_by_name_and_by_hub_id_in_any_case() -> None:
    by_name = find_model("llama-3-70b-instruct")
    assert find_model("meta-llama/Meta-Llama-3-70B-Instruct") is by_name
    assert find_model("META-LLAMA/meta-llama-3-70b-instruct") is by_name


def test_an_unknown_model_is_answered_with_near_names() -> None:
    with pytest.raises(ModelError, match="lama-3-70b-instrukt") as caught:
        find_model("lama-3-70b-instrukt")
    assert "llama-3-70b-instruct" in caught.value.hint


def test_a_hub_entry_without_hub_id_is_refused() -> None:
    row = find_model("llama-3-8b-instruct").model_dump() | {"hub_id": None}
    with pytest.raises(ValueError, match="hub_id"):
        BaseModelEntry.model_validate(row)


@pytest.mark.parametrize("name", load_recipes())
def test_every_recipe_validates_as_hyperparameters(name: str) -> None:
    recipe = find_recipe(name)
    settled = Hyperparameters.model_validate(recipe.hyperparameters)
    assert recipe.description.endswith(".")
    assert "description" not in recipe.hyperparameters
    assert settled.lora_alpha == 2 * settled.r


def test_the_three_product_recipes_are_those_of_the_design() -> None:
    expected = {
        "balanced": (16, 32, 0.05, 3, 2e-4, 16),
        "conservative": (8, 16, 0.05, 2, 1e-4, 16),
        "aggressive": (32, 64, 0.1, 4, 3e-4, 16),
    }
    for name, values in expected.items():
        h = Hyperparameters.model_validate(find_recipe(name).hyperparameters)
        found = (h.r, h.lora_alpha, h.lora_dropout, h.num_epochs, h.learning_rate, h.answers_per_step)
        assert found == values, name
        assert (h.lr_scheduler_type, h.warmup_ratio) == ("cosine", 0.03)


def test_an_unknown_recipe_is_answered_with_near_names() -> None:
    with pytest.raises(RecipeError) as caught:
        find_recipe("balance")
    assert caught.value.hint == "Did you mean balanced?"


def test_every_price_says_where_it_was_read_and_the_newest_is_taken() -> None:
    prices = [price for gpu in load_gpus().values() for price in gpu.prices]
    assert len(prices) >= 10
    assert all("RunPod pricing page" in price.source for price in prices)
    sxm = find_gpu("h100-sxm").latest_price()
    assert sxm is not None
    assert (sxm.usd_per_hour, str(sxm.date)) == (Decimal("3.99"), "2026-11-09")


def test_a_gpu_without_a_recorded_price_has_none() -> None:
    assert find_gpu("rtx-4090").latest_price() is None
    assert find_gpu("h200").latest_price(cloud="community") is None


def test_gpus_are_found_by_the_providers_id_and_are_ordered_by_sense() -> None:
    assert find_gpu("NVIDIA H100 80GB HBM3").name == "h100-sxm"
    assert find_gpu("h200").memory_bytes > find_gpu("h100-nvl").memory_bytes > find_gpu("h100-pcie").memory_bytes
    with pytest.raises(InputError) as caught:
        find_gpu("h100")
    assert "h100-sxm" in caught.value.hint
