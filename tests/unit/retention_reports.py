"""What a run may have lost and may leak, for the tests of reports and pages."""

from __future__ import annotations

from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.forgetting import Forgetting, QuestionScore, compare_general
from brightrun.evaluation.memorization import Memorization, RepeatedAnswer, SensitiveValue, summarize
from brightrun.runs.general_questions import all_questions


def forgotten(*, lost: int, gained: int = 0, known: int = 100, count: int = 128) -> Forgetting:
    """The base knows the first `known` questions; of those the first are lost, of the others the first are gained."""
    scores = []
    for number, question in enumerate(all_questions()[:count]):
        before = number < known
        after = number >= lost if before else number < known + gained
        scores.append(
            QuestionScore(
                id=question.id,
                kind=question.kind,
                question=question.question,
                answers=len(question.answers),
                right=question.right,
                base_answer=question.right if before else question.wrong[0],
                tuned_answer=question.right if after else question.wrong[0],
            )
        )
    return compare_general(scores)


def repeated(*runs: int, words: str = "Elena", said: bool = False, base_run: int = 3) -> Memorization:
    """Training answers of 80 words, of which so many in a row are repeated; the first holds a mail address."""
    value = SensitiveValue(kind="mail address", masked="el…om", said=said, base_said=False)
    answers = [
        RepeatedAnswer(
            conversation_id=words,
            answer_number=number,
            unit="words",
            length=80,
            run=run,
            base_run=base_run,
            excerpt=f"EXCERPT {words}",
            sensitive=[value] if number == 1 else [],
        )
        for number, run in enumerate(runs, start=1)
    ]
    return summarize(answers, training_answers=200)


def with_retention(
    comparison: Comparison, *, lost: int = 12, runs: tuple[int, ...] = (80, 3), words: str = "Elena", said: bool = True
) -> Comparison:
    """The comparison of a run that asked general questions and for training answers as well."""
    asked = {"forgetting": forgotten(lost=lost), "memorization": repeated(*runs, words=words, said=said)}
    return comparison.model_copy(update=asked)
