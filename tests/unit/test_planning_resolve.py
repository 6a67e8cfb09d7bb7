"""Recipe and overrides become settings, or a refusal that names key, value and bounds."""

from __future__ import annotations

import pytest

from brightrun.catalogue.models import load_models
from brightrun.catalogue.recipes import load_recipes
from brightrun.contract.hyperparameters import LLAMA_PROJECTIONS, Hyperparameters
from brightrun.errors import RecipeError
from brightrun.planning.resolve import Override, allowed, resolve_hyperparameters


def resolve(
    recipe: str = "balanced", longest: int = 700, context: int = 8192, **overrides: Override
) -> Hyperparameters:
    return resolve_hyperparameters(recipe, overrides, longest_tokens=longest, context_length=context)


@pytest.mark.parametrize("recipe", load_recipes())
def test_every_recipe_settles(recipe: str) -> None:
    resolved = resolve(recipe)
    for key, value in load_recipes()[recipe].hyperparameters.items():
        assert getattr(resolved, key) == value


def test_text_is_read_as_the_fields_type() -> None:
    resolved = resolve(
        learning_rate="1e-3", num_epochs="1.5", packing="false", max_steps="7", optim="adamw_torch", seed=3
    )
    found = (resolved.learning_rate, resolved.num_epochs, resolved.packing, resolved.max_steps, resolved.seed)
    assert found == (0.001, 1.5, False, 7, 3)
    assert resolved.optim == "adamw_torch"
    assert resolve(max_steps="none").max_steps is None


def test_modules_are_a_list_with_commas() -> None:
    assert resolve(target_modules="q_proj, v_proj").target_modules == ("q_proj", "v_proj")
    all_of_them: list[Override] = ["all-linear", ["all-linear"], list(LLAMA_PROJECTIONS)]
    for modules in all_of_them:
        assert resolve(target_modules=modules).target_modules == LLAMA_PROJECTIONS


@pytest.mark.parametrize("unknown", ["qproj", "v_proj, qproj", ["qproj"]])
def test_a_module_that_no_model_has_is_refused_with_near_ones(unknown: Override) -> None:
    with pytest.raises(RecipeError, match="no projection of a Llama model: qproj") as refused:
        resolve(target_modules=unknown)
    assert "q_proj" in refused.value.hint
    assert refused.value.details["param"] == "hyperparameters.target_modules"


@pytest.mark.parametrize("twice", ["q_proj, v_proj,q_proj", ["q_proj", "v_proj", "q_proj"]])
def test_a_module_that_is_named_twice_is_refused_with_the_way_out(twice: Override) -> None:
    with pytest.raises(RecipeError, match="names q_proj more than once; name every layer once") as refused:
        resolve(target_modules=twice)
    assert refused.value.message.startswith("target_modules = ['q_proj', 'v_proj', 'q_proj'] is not allowed: it names")
    param, message = "hyperparameters.target_modules", "It names q_proj more than once; name every layer once."
    assert refused.value.details["param"] == param
    assert refused.value.details["errors"] == [{"param": param, "message": message}]


def test_the_modules_that_are_known_are_those_of_every_model() -> None:
    for entry in load_models().values():
        assert tuple(entry.projection_shapes()) == LLAMA_PROJECTIONS


@pytest.mark.parametrize(
    ("longest", "expected"), [(1, 64), (64, 64), (65, 128), (3529, 3584), (8190, 8192), (8192, 8192)]
)
def test_the_longest_sequence_decides_the_maximum(longest: int, expected: int) -> None:
    assert resolve(longest=longest).max_seq_length == expected


def test_the_maximum_never_exceeds_the_models_context() -> None:
    assert resolve(longest=1000, context=1001).max_seq_length == 1001
    with pytest.raises(RecipeError, match="longest sequence has 8,193 tokens; the base model holds 8,192"):
        resolve(longest=8193)
    assert resolve(longest=8193, overlength_policy="drop").max_seq_length == 8192
    with pytest.raises(RecipeError, match="max_seq_length = 9,000 is more than the base model holds"):
        resolve(max_seq_length="9000")


def test_a_maximum_that_was_set_stays() -> None:
    assert resolve(longest=3000, max_seq_length="2048").max_seq_length == 2048


@pytest.mark.parametrize(
    ("key", "value", "bounds"),
    [
        ("learning_rate", "3", "a number above 0 and at most 1.0"),
        ("learning_rate", "nan", "above 0"),
        ("num_epochs", "inf", "at most 100"),
        ("r", "0", "a whole number at least 1 and at most 512"),
        ("seed", "1.5", "a whole number"),
        ("packing", "maybe", "true or false"),
        ("optim", "sgd", "one of adamw_torch_fused, adamw_torch"),
        ("max_steps", "0", "a whole number at least 1"),
    ],
)
def test_a_bad_value_names_key_value_and_bounds(key: str, value: str, bounds: str) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve(**{key: value})
    assert caught.value.message.startswith(f"{key} = '{value}' is not allowed")
    assert bounds in caught.value.hint
    assert bounds.partition(",")[0] in allowed(key)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("lr", "learning_rate"),
        ("epochs", "num_epochs"),
        ("alpha", "lora_alpha"),
        ("learning_rates", "learning_rate"),
    ],
)
def test_an_unknown_key_is_answered_with_near_ones(typed: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=f"no setting '{typed}'") as caught:
        resolve(**{typed: "1"})
    assert meant in caught.value.hint


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(RecipeError, match="No recipe is called 'bold'"):
        resolve("bold")
