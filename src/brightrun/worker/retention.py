"""What was lost and what leaks: asks base and tuned model beside the validation part, as the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from brightrun.contract.event_data import AskedFor, Phase, SampleData
from brightrun.contract.job_spec import JobSpec
from brightrun.contract.run_folder import RunFolder
from brightrun.datasets.prepared import read_prepared
from brightrun.errors import DatasetError, MaskDisagreement
from brightrun.evaluation.forgetting import Forgetting, QuestionScore, compare_general
from brightrun.evaluation.memorization import Memorization
from brightrun.files import write_model
from brightrun.runs.general_questions import EncodedQuestion, encode_questions
from brightrun.templating.chat_model import ChatModel
from brightrun.worker.answer import Prompt, answer_prompts
from brightrun.worker.event_log import EventLog
from brightrun.worker.general import QuestionLosses, ask_general
from brightrun.worker.limits import RunLimits
from brightrun.worker.load_model import LoadedBase
from brightrun.worker.memorization import find_repeated, training_prompts

_FILE = "general.json"


class _Kept(BaseModel):
    """The base's answers to the general questions, as they are kept for a resumed run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fingerprint: str
    losses: tuple[QuestionLosses, ...]


@dataclass(slots=True)
class Retention:
    """Asks, and tells how far it is. Raises LimitReached between two batches where the run may not go on."""

    spec: JobSpec
    folder: RunFolder
    event_log: EventLog
    chat: ChatModel
    limits: RunLimits
    base: LoadedBase
    questions: Sequence[EncodedQuestion] = ()
    before: Sequence[QuestionLosses] = ()

    def ask_before(self) -> None:
        """Put the general questions to the untouched base, if no earlier attempt of this very run did."""
        try:
            self.questions = encode_questions(self.chat, self.spec.hyperparameters.general_questions)
        except (DatasetError, MaskDisagreement) as error:
            self.event_log.say(f"No general question can be asked under this chat template: {error}")
            return
        path, fingerprint = self.folder.work / _FILE, self.spec.fingerprint()
        kept = _Kept.model_validate_json(path.read_bytes()) if path.exists() else None
        if kept is None or kept.fingerprint != fingerprint:
            kept = _Kept(fingerprint=fingerprint, losses=tuple(self._ask(self.base.model, "baseline")))
            write_model(path, kept)
        self.before = kept.losses

    def forgetting(self, tuned: Any) -> Forgetting | None:
        """The general questions put to the tuned model, beside what the base said; None where none is asked."""
        if not self.questions:
            return None
        after = self._ask(tuned, "final")
        return compare_general([question_score(*each) for each in zip(self.questions, self.before, after, strict=True)])

    def memorization(self, tuned: Any) -> Memorization | None:
        """What the tuned model repeats of its training answers; None where none is asked for."""
        conversations = list(read_prepared(self.folder.root / self.spec.dataset.train_path))
        prompts, training_answers = training_prompts(conversations, self.spec.hyperparameters.memorization_answers)
        if not prompts:
            return None

        def ask_tuned(some: Sequence[Prompt], tokens: int) -> list[str]:
            return self._answers(tuned, some, tokens, "final")

        def ask_base(some: Sequence[Prompt], tokens: int) -> list[str]:
            with tuned.disable_adapter():
                return self._answers(tuned, some, tokens, "baseline")

        return find_repeated(prompts, training_answers=training_answers, ask_tuned=ask_tuned, ask_base=ask_base)

    def _ask(self, model: Any, phase: Phase) -> list[QuestionLosses]:
        def between(done: int) -> None:
            self._report(done, len(self.questions), phase, "general")

        return ask_general(self.base, model, self.questions, between=between)

    def _answers(self, model: Any, prompts: Sequence[Prompt], tokens: int, phase: Phase) -> list[str]:
        def done(count: int) -> None:
            self._report(count, len(prompts), phase, "training")

        asked = [prompt.asked for prompt in prompts]
        answers = answer_prompts(self.base, model, self.chat, asked, max_tokens=tokens, done=done)
        return [answer.text for answer in answers]

    def _report(self, done: int, total: int, phase: Phase, of: AskedFor) -> None:
        if done:
            self.event_log.write(SampleData(done=done, total=total, phase=phase, of=of))
        self.limits.check()


def question_score(question: EncodedQuestion, base: QuestionLosses, tuned: QuestionLosses) -> QuestionScore:
    """What each model chose. Where the right answer and a wrong one are equally likely, the wrong one is taken."""
    asked = question.question
    return QuestionScore(
        id=asked.id,
        kind=asked.kind,
        question=asked.question,
        answers=len(asked.answers),
        right=asked.right,
        base_answer=asked.answers[_choice(base.losses)],
        tuned_answer=asked.answers[_choice(tuned.losses)],
    )


def _choice(losses: Sequence[float]) -> int:
    """The place of the lowest loss, the last one of several."""
    return min(range(len(losses)), key=lambda place: (losses[place], -place))
