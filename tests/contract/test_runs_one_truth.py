"""A plan and a run say the same of one job: the adapter's size, the steps, the prompts, the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from brightrun.catalogue.gpus import find_gpu
from brightrun.catalogue.model_shapes import entry_of_folder
from brightrun.contract.hyperparameters import LLAMA_PROJECTIONS, Hyperparameters
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.prepared import read_prepared
from brightrun.errors import RecipeError
from brightrun.jobs.base_model import pulled_base
from brightrun.jobs.make_run import make_run as plan_and_freeze
from brightrun.jobs.plan_run import PlanTarget, RunRequest
from brightrun.planning.this_machine import rented
from brightrun.runs.examples import encode_examples
from brightrun.runs.prompts import sampled_answers
from brightrun.runs.steps import run_steps
from brightrun.templating.model_folder import load_chat_model
from brightrun.worker.answer import choose_prompts
from tests.runs import make_run

pytestmark = [
    pytest.mark.worker,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),  # asked by PEFT
]


@pytest.mark.parametrize(
    "modules", [("q_proj",), ("k_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj"), LLAMA_PROJECTIONS]
)
@pytest.mark.parametrize("r", [1, 8])
def test_the_adapter_has_the_size_that_peft_gives_it(tiny_model: Path, modules: tuple[str, ...], r: int) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = LoraConfig(r=r, target_modules=list(modules), task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), config)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert entry_of_folder(tiny_model).adapter_parameters(r, modules) == trainable


def test_a_layer_that_the_model_has_not_is_refused_by_name(tiny_model: Path) -> None:
    with pytest.raises(RecipeError, match=r"no projection of .*: lm_head") as refused:
        entry_of_folder(tiny_model).adapter_parameters(8, ("q_proj", "lm_head"))
    assert refused.value.details == {"param": "hyperparameters.target_modules"}


@pytest.mark.parametrize("unit", ["conversation", "answer"])
def test_the_plan_counts_what_the_worker_will_do(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path, unit: str
) -> None:
    request = RunRequest(sample_dataset, "balanced", {"example_unit": unit, "sample_answers": 5})
    target = PlanTarget(rented(find_gpu("h100-pcie")))
    base, folder = pulled_base(tiny_model), RunFolder(tmp_path / "run")
    made = plan_and_freeze(request, base, folder, target=target, job_id="test-job")
    folder, spec, plan = made.folder, made.spec, made.plan
    chat = load_chat_model(tiny_model)
    examples = encode_examples(read_prepared(folder.root / spec.dataset.train_path), chat, spec.hyperparameters)
    sizes = [example.size for example in examples]
    assert plan.examples == len(sizes)
    assert plan.tokens_per_epoch == sum(size.tokens for size in sizes)
    assert plan.trained_tokens_per_epoch == sum(size.trained_tokens for size in sizes)
    assert plan.steps == len(run_steps(sizes, spec.hyperparameters))
    expected = entry_of_folder(tiny_model).adapter_parameters(
        spec.hyperparameters.r, spec.hyperparameters.target_modules
    )
    assert plan.trainable_parameters == expected


def test_the_prompts_are_the_first_answers_of_all_then_the_second(
    tmp_path: Path, tiny_model: Path, sample_dataset: Path
) -> None:
    folder = make_run(tmp_path / "run", tiny_model, sample_dataset)
    spec = JobSpec.load(folder.spec)
    conversations = list(read_prepared(folder.root / spec.dataset.validation_path))
    answers = {each.id: sum(message.trained for message in each.chat_messages()) for each in conversations}
    for count in (1, len(conversations), len(conversations) + 2, 64):
        prompts = choose_prompts(conversations, count)
        assert [(p.answer_number, p.conversation_id) for p in prompts] == sampled_answers(answers, count)
    assert [place.number for place in sampled_answers({"b": 2, "a": 3}, 4)] == [1, 1, 2, 2]
    assert [place.conversation_id for place in sampled_answers({"b": 2, "a": 3}, 4)] == ["a", "b", "a", "b"]


def test_settings_are_resolved_in_one_place() -> None:
    """The rule behind `auto` stands in contract/hyperparameters.py and nowhere else."""
    package = Path(__file__).parents[2] / "src" / "brightrun"
    asked = ('quantization == "', 'gradient_checkpointing == "', '"auto": cuda')
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(words in path.read_text(encoding="utf-8") for words in asked)
    }
    assert found == {"contract/hyperparameters.py"}
    assert Hyperparameters().resolve("cuda").quantized
