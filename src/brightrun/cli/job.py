"""`brightrun job`: start jobs on a running studio, list, watch, cancel and retry them, and take their adapters home."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from brightrun.catalogue.dollars import usd
from brightrun.catalogue.models import EMBEDDED_MODEL
from brightrun.cli.show import byte_progress, plain_table, print_json, problems, results
from brightrun.cli.train import parse_settings
from brightrun.contract.job_spec import file_sha256
from brightrun.contract.manifest import verify_bundle
from brightrun.contract.states import JobStatus
from brightrun.contract.verdicts import CHIPS, VERDICTS
from brightrun.errors import BrightRunError, DatasetError, InputError, RunFolderError
from brightrun.format import about_text
from brightrun.plain_text import command, shell_word
from brightrun.settings import read_settings

if TYPE_CHECKING:
    from brightrun.cli.studio_client import StudioClient

app = typer.Typer(help="Jobs of a running studio: start, list, watch, cancel, retry, download.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the recipe.")]
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class JobNotCompleted(BrightRunError):
    """A job that was watched ended otherwise than completed."""

    code = "job_ended"


@app.command()
def start(
    dataset: Annotated[str, typer.Argument(metavar="FILE_OR_ID", help="A file, or the id of an uploaded dataset.")],
    model: Annotated[str, typer.Option(help="Base model, one that the studio has.")] = EMBEDDED_MODEL,
    recipe: Annotated[str, typer.Option(help="conservative, balanced, aggressive or quickstart.")] = "balanced",
    set_: Set = None,
    validation_file: Annotated[
        str | None,
        typer.Option(metavar="FILE_OR_ID", help="Validate with all conversations of this file or dataset instead."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the job is called.")] = None,
    provider: Annotated[str | None, typer.Option(help="Where it runs; by default the studio's own choice.")] = None,
    gpu_type: Annotated[str | None, typer.Option(help="A GPU of the catalogue.")] = None,
    max_hours: Annotated[float | None, typer.Option(help="The job stops after so many hours.")] = None,
    max_cost_usd: Annotated[float | None, typer.Option(help="The job stops at so many dollars.")] = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key again is the same job, never a second one.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and watch it.")] = False,
    json: Json = False,
) -> None:
    """Upload the file if it is one, and start a job on it."""
    compute = {
        "provider": provider, "gpu_type": gpu_type, "max_duration_hours": max_hours, "max_cost_usd": max_cost_usd,
    }  # fmt: skip
    body: dict[str, Any] = {
        "base_model": model,
        "recipe": recipe,
        "hyperparameters": parse_settings(set_ or []),
        "compute": {field: value for field, value in compute.items() if value is not None},
        "name": name,
    }
    with _client() as client:
        body["training_file_id"] = _dataset_id(client, dataset)
        if validation_file is not None:
            body["validation_file_id"] = _dataset_id(client, validation_file, for_validation=True)
        started = client.start(body, key=key or str(uuid.uuid4()))
        if watch:
            _watch(client, started["training_job_id"], json=json)
            return
    if json:
        print_json(started)
        return
    minutes = started["estimated_duration_minutes"]
    cost = started["estimated_cost_usd"]
    expected = [] if minutes is None else [f"about {about_text(minutes * 60)}"]
    expected += [] if cost is None else [f"about {usd(cost)}"]
    results.show_line(f"Started  {started['training_job_id']}  {', '.join(expected)}")
    results.show_line(f"Watch it: {command('brightrun job watch', started['training_job_id'])}")


@app.command("list")
def list_jobs(
    status: Annotated[list[JobStatus] | None, typer.Option(help="Only jobs in this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 20,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Show jobs after this one.")] = None,
    json: Json = False,
) -> None:
    """Show jobs, newest first."""
    from brightrun.cli.studio_client import JOBS

    query: dict[str, Any] = {"limit": limit}
    if after is not None:
        query["after"] = after
    if status:
        query["status"] = [each.value for each in status]
    with _client() as client:
        page = client.get(JOBS, **query)
    if json:
        print_json(page)
        return
    table = plain_table("", "id", "state", "verdict", ">step", "name", "made")
    table.columns[0].min_width = 36  # an id that is cut is no use
    for job in page["data"]:
        step = "" if job["current_step"] is None else f"{job['current_step']}/{job['total_steps'] or '?'}"
        verdict = CHIPS[job["verdict"]] if job["verdict"] else ""
        table.add_row(job["id"], job["status"], verdict, step, job["name"], _minute(job["created_at"]))
    if page["data"]:
        results.print(table, soft_wrap=True)
    else:
        results.show_line(
            "There is no such job." if status or after else "There is no job yet: brightrun job start FILE"
        )
    if page["has_more"]:
        results.show_line((f"More: brightrun job list --after={shell_word(page['data'][-1]['id'])}", "dim"))


@app.command()
def show(job: Id, json: Json = False) -> None:
    """Show one job."""
    with _client() as client:
        found = client.job(_checked(job))
    print_json(found) if json else _show(found)


@app.command()
def watch(job: Id, json: Json = False) -> None:
    """Watch a job until it ends; exit status 1 where it ends otherwise than completed. Ctrl-C leaves it running."""
    with _client() as client:
        _watch(client, _checked(job), json=json)


@app.command()
def cancel(
    job: Id,
    export_on_stop: Annotated[
        bool, typer.Option("--export-on-stop", help="First bring a partial adapter of its last step home.")
    ] = False,
    json: Json = False,
) -> None:
    """Cancel a job; its machine ends right after."""
    with _client() as client:
        cancelled = client.cancel(_checked(job), export_on_stop=export_on_stop)
        if export_on_stop:
            cancelled = _until_settled(client, cancelled)
    if json:
        print_json(cancelled)
        return
    results.show_line(f"{cancelled['id']} is {cancelled['status']}.")
    if export_on_stop:
        _print_adapter(cancelled)


@app.command()
def retry(job: Id, set_: Set = None, json: Json = False) -> None:
    """Try a failed or cancelled job again, as a new job that goes on where the old one ended."""
    changes = parse_settings(set_ or [])
    with _client() as client:
        new = client.retry(_checked(job), changes)
    if json:
        print_json(new)
        return
    results.show_line(f"Started  {new['id']}  in place of {new['retry_of']}")
    results.show_line(f"Watch it: {command('brightrun job watch', new['id'])}")


@app.command()
def download(
    job: Id,
    out: Annotated[
        Path | None, typer.Option(help="A folder, or a file that ends in .zip; by default adapter-ID in this folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Download the adapter and verify it."""
    target = out or Path(f"adapter-{_checked(job)[:8]}")
    if target.exists():
        raise RunFolderError(f"{target} is there already.", hint="Choose another place with --out.")
    if not target.absolute().parent.is_dir():
        raise InputError(f"There is no folder {target.absolute().parent}.", hint="Make it first, or choose another.")
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".downloading-") as scratch:
        archive = Path(scratch) / "adapter.zip"
        with _client() as client, byte_progress("Downloading the adapter") as progress:
            client.download(_checked(job), archive, progress)
        folder = _unpacked(archive, Path(scratch) / "unpacked")
        manifest = verify_bundle(folder)
        shutil.move(archive if target.suffix == ".zip" else folder, target)
    if json:
        sha256 = file_sha256(target) if target.is_file() else None
        print_json({"job_id": manifest.job_id, "path": str(target), "files": len(manifest.files), "zip_sha256": sha256})
        return
    results.show_line(f"{target}: {len(manifest.files)} files, each the one that was delivered.")
    if manifest.adapter_check.get("verified") is False:
        sentence = manifest.adapter_check.get("sentence", "nothing shows what it is worth.")
        results.show_line(("Not verified:", "yellow"), f" {sentence}")


def _client() -> StudioClient:
    from brightrun.cli.studio_client import studio_client

    return studio_client(read_settings())


def _dataset_id(client: StudioClient, given: str, *, for_validation: bool = False) -> str:
    """The dataset's id; a file is uploaded first.

    `for_validation`: what is too little to be divided may still validate, which the studio judges at the start.
    """
    path = Path(given).expanduser()
    if not path.is_file():
        if path.suffix or "/" in given or path.exists() or not _ID.fullmatch(given):
            raise DatasetError(f"There is no file {given}.", hint="Check the path; it is read from this folder.")
        return given
    with byte_progress(f"Uploading {path.name}") as progress:
        uploaded = client.upload(path, progress)
    if uploaded["refused"] and not for_validation:
        raise DatasetError(f"{path.name} was refused by its audit.")
    return str(uploaded["id"])


def _watch(client: StudioClient, job_id: str, *, json: bool) -> None:
    from brightrun.cli.follow_job import follow_job
    from brightrun.cli.watch_job import watch as watch_live

    job = client.job(job_id)
    try:
        job = watch_live(job, follow_job(client, job_id), problems)
    except KeyboardInterrupt:
        problems.show_line(f"The job goes on. Watch it again: {command('brightrun job watch', job_id)}")
        raise
    if json:
        print_json(job)
        raise typer.Exit(0 if job["status"] == JobStatus.COMPLETED else 1)
    if job["status"] != JobStatus.COMPLETED:
        job = _until_settled(client, job)
        if job["adapter"] is not None:
            _print_adapter(job)
        hint = job["hint"] or f"See what happened: {command('brightrun job show', job_id)}"
        raise JobNotCompleted(
            f"The job is {job['status']}: {job['message'] or job['reason'] or 'no reason is known'}", hint=hint
        )
    results.show_line(("Completed", "bold green"), f"  {job['message'] or ''}")
    if job["verdict"]:
        results.show_line((VERDICTS[job["verdict"]], "bold"), f": {job['verdict_reason']}")
    results.show_line(f"Take it home: {command('brightrun job download', job_id)}")


def _until_settled(client: StudioClient, job: dict[str, Any]) -> dict[str, Any]:
    """The job once its adapter is home, or is known not to come."""
    if job["export_until"] is None:
        return job
    with problems.status("Waiting for the adapter of its last step"):
        while job["export_until"] is not None:
            time.sleep(1)
            job = client.job(job["id"])
    return job


def _print_adapter(job: dict[str, Any]) -> None:
    if job["adapter"] is None:
        watch_it = command("brightrun job watch", job["id"])
        results.show_line(f"No adapter could be kept; why is among its events: {watch_it}")
    else:
        take_it = command("brightrun job download", job["id"])
        results.show_line(f"An adapter of its last step is here; nothing is proven by it: {take_it}")


def _show(job: dict[str, Any]) -> None:
    table = plain_table(job["name"], "", "")
    table.show_header = False
    step = None if job["current_step"] is None else f"{job['current_step']} of {job['total_steps'] or '?'}"
    cost = job["actual_cost_usd"]
    rows = {
        "id": job["id"],
        "state": job["status"],
        "verdict": f"{VERDICTS[job['verdict']]}: {job['verdict_reason']}" if job["verdict"] else None,
        "why": job["message"] if job["reason"] else None,
        "fix": job["hint"],
        "step": step,
        "attempt": str(job["attempt"]) if job["attempt"] else None,
        "base model": job["base_model"],
        "recipe": job["recipe"],
        "runs on": job["compute"].get("provider"),
        "dataset": job["training_file_id"],
        "validated by": job["validation_file_id"],
        "in place of": job["retry_of"],
        "made": _minute(job["created_at"]),
        "ended": None if job["completed_at"] is None else _minute(job["completed_at"]),
        "expected": None if job["estimated_seconds"] is None else about_text(job["estimated_seconds"]),
        "cap": None if job["job_cap_usd"] is None else f"${job['job_cap_usd']:.2f}",
        "cost": None if cost is None else usd(cost),
        "adapter": job["adapter"],
    }
    for label, value in rows.items():
        if value is not None:
            table.add_row(label, value)
    results.print(table, soft_wrap=True)


def _unpacked(archive: Path, folder: Path) -> Path:
    """The one folder that the zip holds."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    (top,) = folder.iterdir()
    return top


def _checked(job_id: str) -> str:
    """An id as it may stand in an address."""
    if not _ID.fullmatch(job_id):
        raise InputError(f"{job_id[:80]!a} is not the id of a job.", hint="Ids are in: brightrun job list")
    return job_id


def _minute(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"
