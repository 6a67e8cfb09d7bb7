"""From a file, a base model and a recipe to a plan: audited and tokenized for real, then arithmetic. Writes no run."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from brightrun.contract.hyperparameters import Hyperparameters
from brightrun.datasets.examined import ExaminedConversation, ExaminedDataset, examine_dataset
from brightrun.datasets.new_folder import scratch_folder
from brightrun.datasets.options import AS_WRITTEN, ReadingChoices, ReadOptions
from brightrun.datasets.prepare import PreparedDataset, divide_dataset
from brightrun.errors import DatasetError, MaskDisagreement
from brightrun.evaluation.outlook import Outlook, verdict_outlook
from brightrun.jobs.base_model import BaseChoice
from brightrun.planning.choice import GpuOffer, choose_gpus
from brightrun.planning.cost import HourlyPrice, InstanceType
from brightrun.planning.fixes import checked
from brightrun.planning.job_plan import JobPlan, plan_job
from brightrun.planning.phases import ValidationSet
from brightrun.planning.plan import RunShape, shape_run
from brightrun.planning.resolve import Override, resolve_hyperparameters
from brightrun.planning.this_machine import Machine
from brightrun.runs.examples import example_sizes
from brightrun.runs.general_questions import encode_questions, question_sizes
from brightrun.runs.prompts import MOST_ANSWERS, sampled_answers, settle_sampling
from brightrun.templating.batches import ExampleSize
from brightrun.templating.chat_model import ChatModel

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is to be trained on: a file, a recipe and what is set differently. `overrides` are text or typed.

    `validation_file` is a validation file of one's own; without one, a part of the file is kept aside.
    """

    file: Path
    recipe: str
    overrides: Mapping[str, Override]
    client_profile: str = "keep"
    choices: ReadingChoices = AS_WRITTEN
    validation_file: Path | None = None

    def resolve(self, longest_tokens: int, context_length: int) -> Hyperparameters:
        """The recipe with the overrides, for data whose longest sequence has that many tokens."""
        return resolve_hyperparameters(
            self.recipe, self.overrides, longest_tokens=longest_tokens, context_length=context_length
        )

    def data_settings(self, context_length: int) -> tuple[Hashable, ...]:
        """Everything of the request but the file that `measure_data` depends on. Raises RecipeError as `settle`."""
        draft = self.resolve(0, context_length)
        longest = draft.max_seq_length if self.overrides.get("max_seq_length") else context_length
        settings = (
            draft.overlength_policy,
            draft.validation_fraction,
            draft.seed,
            draft.example_unit,
            draft.sample_answers,
            draft.general_questions,
            draft.memorization_answers,
        )
        return (longest, *settings, self.client_profile, self.choices.model_dump_json())


@dataclass(frozen=True, slots=True)
class PlanTarget:
    """What the job may use and cost. `price` absent: the machine's price is not known. Caps absent: none.

    `correct` puts into a plan what earlier runs taught.
    """

    machine: Machine
    price: HourlyPrice | None = None
    instance_type: InstanceType = "on_demand"
    max_cost_usd: Decimal | None = None
    max_duration_hours: float | None = None
    calibrate: Callable[[JobPlan, Hyperparameters], JobPlan] = lambda plan, _: plan


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what it was made of; `offers` are GPUs for the same job, those that hold it first, by dollars."""

    plan: JobPlan
    offers: tuple[GpuOffer, ...]
    prepared: PreparedDataset
    hyperparameters: Hyperparameters

    @property
    def outlook(self) -> Outlook:
        """What the comparison at the end could say."""
        kept, trained = self.prepared.validation.conversations, self.prepared.train.conversations
        drawn = self.prepared.audit.validation_file is None
        return verdict_outlook(kept, out_of=kept + trained if drawn else None)


@dataclass(frozen=True, slots=True)
class MeasuredData:
    """A dataset counted with a base model's tokenizer: all that a plan needs of it. The prepared files may be gone."""

    base: BaseChoice
    prepared: PreparedDataset
    sizes: tuple[ExampleSize, ...]
    validation: ValidationSet


Examine = Callable[[ReadOptions], ExaminedDataset]
"""Brings the request's dataset, examined with the base's tokenizer and these options; its folder is only read."""


def measure_data(
    request: RunRequest,
    base: BaseChoice,
    data: Path,
    *,
    examine: Examine | None = None,
    progress: Progress | None = None,
) -> MeasuredData:
    """Prepare the data into the new folder `data`, its tokens counted. Every conversation is encoded once at most.

    Args:
        examine: Where the dataset comes from if it need not be read from `request.file` once more.

    Raises:
        DatasetError, RecipeError: what was asked for cannot be made.
        NotEnoughDisk
    """
    options = _read_options(request, base)
    with scratch_folder(data) as scratch:
        if examine is None:
            examined = examine_dataset(
                request.file,
                scratch / "examined",
                chat=base.chat,
                options=options,
                validation_file=request.validation_file,
                progress=progress,
            )
        else:
            examined = examine(options)
        draft = request.resolve(0, base.entry.context_length)
        prepared = divide_dataset(
            examined,
            data,
            source_name=request.file.name,
            validation_fraction=draft.validation_fraction,
            seed=draft.seed,
            validation_name=None if request.validation_file is None else request.validation_file.name,
        )
        hyperparameters = request.resolve(prepared.audit.longest_tokens, base.entry.context_length)
        kept = frozenset(prepared.split.validation)
        starts: dict[str, tuple[int, ...]] = {}
        train = _noted((each for each in examined.conversations() if each.id not in kept), starts)
        sizes = tuple(example_sizes(train, hyperparameters.example_unit))
        validation = [each for each in examined.conversations() if each.id in kept]
    return MeasuredData(base, prepared, sizes, _asked(validation, starts, base.chat, hyperparameters))


def plan_measured(request: RunRequest, measured: MeasuredData, target: PlanTarget) -> Planned:
    """Settle the hyperparameters and plan, over data that were measured with the same settings of data.

    What does not fit is told, too. Raises RecipeError.
    """
    base, prepared, sizes, validation = measured.base, measured.prepared, measured.sizes, measured.validation
    hyperparameters = request.resolve(prepared.audit.longest_tokens, base.entry.context_length)
    device = target.machine(base.entry, hyperparameters)
    shape, asked = _settled(shape_run(sizes, hyperparameters, base.entry, device.kind), validation)
    hyperparameters = shape.hyperparameters
    plan = target.calibrate(plan_job(shape, device, validation=asked, price=target.price), hyperparameters)
    rentable = (shape, asked)
    if device.kind != "cuda":
        rentable = _settled(shape_run(sizes, hyperparameters, base.entry, "cuda"), validation)
    offers = choose_gpus(rentable[0], validation=rentable[1], instance_type=target.instance_type)
    plan = checked(
        plan, shape, offers=offers, max_cost_usd=target.max_cost_usd, max_duration_hours=target.max_duration_hours
    )
    return Planned(plan, offers, prepared, hyperparameters)


def _settled(shape: RunShape, validation: ValidationSet) -> tuple[RunShape, ValidationSet]:
    """The run with its sampled answers settled, and what is then asked."""
    settled = settle_sampling(
        shape.hyperparameters, answer_tokens=validation.answer_tokens, trained_on=shape.tokens, kind=shape.kind
    )
    asked = replace(validation, prompt_tokens=validation.prompt_tokens[: settled.sample_answers])
    return replace(shape, hyperparameters=settled), asked


def _read_options(request: RunRequest, base: BaseChoice) -> ReadOptions:
    context = base.entry.context_length
    draft = request.resolve(0, context)
    return ReadOptions.model_validate(
        {
            "max_seq_length": draft.max_seq_length if request.overrides.get("max_seq_length") else context,
            "context_length": context,
            "overlength_policy": draft.overlength_policy,
            "client_profile": request.client_profile,
            **request.choices.model_dump(),
        }
    )


def _noted(
    conversations: Iterable[ExaminedConversation], starts: dict[str, tuple[int, ...]]
) -> Iterator[ExaminedConversation]:
    """The same conversations; where each of their answers starts is noted as they pass."""
    for each in conversations:
        starts[each.id] = tuple(start for start, _ in each.answer_spans)
        yield each


def _asked(
    validation: Sequence[ExaminedConversation],
    training_starts: Mapping[str, tuple[int, ...]],
    chat: ChatModel,
    hyperparameters: Hyperparameters,
) -> ValidationSet:
    """Sizes of the validation examples and of the general questions, and how many tokens stand before each answer that
    will be asked for."""
    validation_starts: dict[str, tuple[int, ...]] = {}
    sizes = tuple(example_sizes(_noted(validation, validation_starts), "conversation"))
    return ValidationSet(
        sizes=sizes,
        prompt_tokens=_prompt_tokens(validation_starts, hyperparameters.sample_answers or MOST_ANSWERS),
        answer_tokens=tuple(end - start for each in validation for start, end in each.answer_spans),
        general=_question_sizes(chat, hyperparameters.general_questions),
        training_prompts=_prompt_tokens(training_starts, hyperparameters.memorization_answers),
    )


def _prompt_tokens(starts: Mapping[str, tuple[int, ...]], count: int) -> tuple[int, ...]:
    places = sampled_answers({name: len(answers) for name, answers in starts.items()}, count)
    return tuple(starts[place.conversation_id][place.number - 1] for place in places)


_QUESTIONS: dict[tuple[str, int], tuple[ExampleSize, ...]] = {}
"""Sizes of the general questions by tokenizer and template: they are encoded once in a process."""


def _question_sizes(chat: ChatModel, count: int) -> tuple[ExampleSize, ...]:
    """None where the model's template takes no general questions; the run then says so and asks none."""
    key = (chat.fingerprint, count)
    if key not in _QUESTIONS:
        try:
            _QUESTIONS[key] = question_sizes(encode_questions(chat, count))
        except (DatasetError, MaskDisagreement):
            _QUESTIONS[key] = ()
    return _QUESTIONS[key]
