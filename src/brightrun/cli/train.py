"""`brightrun train`: one command from a file of conversations to a proven adapter."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from brightrun.catalogue.models import EMBEDDED_MODEL
from brightrun.cli.dataset import File, ProfileChoice, ValidationPath
from brightrun.cli.reading import with_reading_choices
from brightrun.cli.show import print_json, problems, results
from brightrun.cli.show_audit import show_audit
from brightrun.cli.show_plan import show_plan
from brightrun.cli.start_run import ReadyRun, ready_run
from brightrun.cli.watch_run import run_and_watch
from brightrun.contract.actuals import measure
from brightrun.contract.events import read_event_log
from brightrun.contract.job_event import JobEvent
from brightrun.contract.states import JobStatus
from brightrun.contract.verdicts import VERDICTS
from brightrun.datasets.options import ReadingChoices
from brightrun.errors import RecipeError, RunFolderError
from brightrun.evaluation.comparison import Comparison
from brightrun.evaluation.forgetting import Forgetting
from brightrun.evaluation.memorization import Memorization
from brightrun.format import duration_text
from brightrun.jobs.plan_run import RunRequest
from brightrun.plain_text import command, file_stem, shell_word
from brightrun.planning.estimate_error import JobEstimateError, compare_job, kind_of
from brightrun.platforms import Ability, require


@with_reading_choices
def train(
    file: File,
    model: Annotated[str, typer.Option(help="Base model, one that was pulled.")] = EMBEDDED_MODEL,
    recipe: Annotated[str, typer.Option(help="conservative, balanced, aggressive or quickstart.")] = "balanced",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the recipe.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder; by default one under runs/.")] = None,
    validation_file: ValidationPath = None,
    resume: Annotated[bool, typer.Option("--resume", help="Only go on with a run that was begun in --out.")] = False,
    client_profile: Annotated[ProfileChoice, typer.Option(help="Put the client's profile into the system prompt.")] = (
        ProfileChoice.keep
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Audit and plan, write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    *,
    choices: ReadingChoices,
) -> None:
    """Audit, plan, train, compare. Killed half-way? The same command goes on and ends with the same adapter."""
    require(Ability.TRAINING)
    request = RunRequest(file, recipe, parse_settings(set_ or []), client_profile.value, choices, validation_file)
    folder = out or _default_folder(file, model)
    if resume and not (folder / "job.json").exists():
        raise RunFolderError(f"There is no run in {folder} to go on with.", hint="Give its folder with --out.")
    result = train_once(request, model, folder, quiet=json, dry_run=dry_run)
    if json:
        print_json(result)


def parse_settings(pairs: list[str]) -> dict[str, str]:
    """`key=value` strings as a mapping. Raises RecipeError where there is no `=`."""
    settings = {}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark:
            raise RecipeError(f"--set {pair} has no value.", hint="Write it as --set key=value.")
        settings[key.strip()] = value.strip()
    return settings


def train_once(request: RunRequest, model: str, out: Path, *, quiet: bool, dry_run: bool = False) -> dict[str, object]:
    """Prepare, plan, run and tell; returns what `--json` prints."""
    if dry_run:
        with TemporaryDirectory() as scratch:
            ready = ready_run(request, model, Path(scratch) / "run")
    else:
        ready = ready_run(request, model, out)
    if not quiet:
        if not ready.resumed:
            show_audit(ready.audit)
        show_plan(ready.plan, ready.outlook)
    if dry_run:
        return {"plan": ready.plan.model_dump(mode="json")}
    began = datetime.now(UTC)
    last = run_and_watch(ready.folder) if not _is_finished(ready) else None
    if last is None:
        problems.show_line(f"The run in {out} is finished already.")
    comparison = Comparison.model_validate_json(ready.folder.comparison.read_bytes())
    accuracy = None if ready.resumed else _estimate_error(ready, began)
    if not quiet:
        _print_result(ready, comparison, accuracy)
    return {
        "run": str(out),
        "job_id": ready.spec.job_id,
        "status": JobStatus.COMPLETED.value,
        "adapter": str(ready.folder.adapter),
        "report": str(ready.folder.report),
        "verdict": comparison.verdict,
        "verdict_reason": comparison.reason,
        "validation": comparison.overall.model_dump(mode="json"),
        "forgetting": _summary(comparison.forgetting),
        "memorization": _summary(comparison.memorization),
        "estimate_error": None if accuracy is None else accuracy.model_dump(mode="json"),
    }


def _summary(found: Forgetting | Memorization | None) -> dict[str, Any] | None:
    """Without its single questions and answers, which `brightrun compare --json` has."""
    return None if found is None else found.model_dump(mode="json", exclude={"scores", "answers"})


def _is_finished(ready: ReadyRun) -> bool:
    return ready.resumed and ready.folder.report.exists() and ready.folder.adapter.exists()


def _estimate_error(ready: ReadyRun, began: datetime) -> JobEstimateError | None:
    """The plan beside what the run took; None where it was not one run from its start to its end."""
    actuals = measure((JobEvent.of(event) for event in read_event_log(ready.folder.event_log)), launched_at=began)
    if actuals is None:
        return None
    return compare_job(
        ready.plan,
        actuals,
        job_id=ready.spec.job_id,
        name=ready.folder.root.name,
        kind=kind_of(ready.plan, ready.spec.hyperparameters),
    )


def _print_estimate_accuracy(accuracy: JobEstimateError) -> None:
    parts = []
    if (time := accuracy.duration) is not None:
        parts.append(f"{duration_text(time.actual)} ({duration_text(time.estimate)} planned)")
    if (memory := accuracy.memory) is not None:
        parts.append(f"{memory.actual / 1e9:.1f} GB ({memory.estimate / 1e9:.1f} GB planned)")
    results.show_line(("Took", "bold"), f"  {', '.join(parts)}")


def _print_result(ready: ReadyRun, comparison: Comparison, accuracy: JobEstimateError | None) -> None:
    folder = ready.folder
    results.print()
    results.show_line(("Made", "bold green"), f"  {folder.adapter}  (adapter, model card, self-test, manifest)")
    results.show_line((VERDICTS[comparison.verdict], "bold"), f": {comparison.reason}")
    results.show_line(("Shown", "bold"), f" {comparison.overall.sentence}")
    if comparison.prompting is not None:
        results.show_line(("Beside prompting", "bold"), f": {comparison.prompting.sentence}")
    for title, found in (("Lost", comparison.forgetting), ("Leaks", comparison.memorization)):
        if found is not None:
            results.show_line((f"{title:<5}", "bold"), f" {found.sentence}")
    if accuracy is not None:
        _print_estimate_accuracy(accuracy)
    talk = command("brightrun chat", folder.root)
    results.show_line(("Next", "bold"), f"  open {shell_word(folder.report)}, or talk to both: {talk}")


def _default_folder(file: Path, model: str) -> Path:
    """`runs/<dataset>-<model>-<day>`: the same command on the same day goes on with the same run."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    name = f"{file_stem(file.stem, otherwise='run')}-{file_stem(model.rpartition('/')[2], otherwise='model')}-{day}"
    return Path("runs") / name
