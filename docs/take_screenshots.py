"""Takes pictures of every page in both widths and both themes: of a real run here, or of a studio that runs.

    python docs/take_screenshots.py FOLDER                    a studio of its own: a run to its end, one cancelled
    python docs/take_screenshots.py FOLDER --images           the chosen few into docs/images, too
    python docs/take_screenshots.py FOLDER --studio URL       the pages of a studio that runs; nothing is started there

It needs Chromium, the development install, and for a studio of its own the base model: brightrun model pull
smollm2-135m-instruct. Figures in the pictures are those of that run. A page that is wider than its window, or has
something to complain about, is told at the end, with exit status 1.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.browser.chromium import DESKTOP, PHONE, THEMES, Visit, a_visit, overflow, start_chromium  # noqa: E402

from brightrun.settings import read_settings  # noqa: E402

IMAGES = REPOSITORY / "docs" / "images"
CHOSEN = {  # of which picture, and how many of its pixels from the top are shown
    "home": ("home-1440-light", 900),
    "dataset": ("dataset-1440-light", 1000),
    "start": ("start-3-review-1440-light", 1000),
    "job": ("job-completed-1440-light", 1540),
    "before-after": ("comparison-1440-light", 1100),
}
_COLOURS, _HEIGHT = 128, 900
_GOODBYE_SECONDS = 10.0  # for the machine of a job that was cancelled
_MOST_BYTES = 1_500_000
_PATIENCE_SECONDS = 3600.0
Prepare = Callable[[Page], None]


class Camera:
    """Four windows on one studio; a picture is taken in each."""

    def __init__(self, windows: dict[str, Visit], folder: Path) -> None:
        self._tabs = {name: (visit, visit.page(None)) for name, visit in windows.items()}
        self._folder = folder
        self.complaints: list[str] = []

    def take(self, name: str, path: str, prepare: Prepare | None = None, *, whole: bool = True) -> None:
        """`prepare` brings the page to where the picture is wanted. `whole`: as far as the page scrolls."""
        for window, (visit, page) in self._tabs.items():
            page.set_viewport_size({"width": int(window.split("-")[0]), "height": _HEIGHT})
            page.goto(visit.base + path)
            if prepare is not None:
                prepare(page)
            page.wait_for_timeout(300)  # times in the reader's zone, charts that settle
            if whole:
                _stretch(page)
            page.screenshot(path=self._folder / f"{name}-{window}.png", animations="disabled")
            if overflow(page) > 0:
                self.complaints.append(f"{name}-{window}: {overflow(page)} px wider than the window")
        sys.stdout.write(f"{name}\n")

    def close(self) -> None:
        for window, (visit, _) in self._tabs.items():
            self.complaints += [f"{window}: {said}" for said in [*visit.unexpected(), *visit.elsewhere()]]


def _stretch(page: Page) -> None:
    """A window as high as its page, so that what stays at an edge of the window stands at the edge of the picture."""
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": page.viewport_size["width"] if page.viewport_size else DESKTOP, "height": height})


def main() -> int:
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        base = options.studio or stack.enter_context(own_studio())
        browser = start_chromium(stack.enter_context(sync_playwright()))
        windows = {
            f"{width}-{theme}": stack.enter_context(a_visit(browser, base, theme=theme, width=width, checked=False))
            for theme in THEMES
            for width in (DESKTOP, PHONE)
        }
        for visit in windows.values():
            visit.expected.append("status of 404")
        camera = Camera(windows, options.folder)
        if options.studio is None:
            append_events(camera, base, options.model)
        everything(camera, base)
        camera.close()
    if options.images:
        choose(options.folder)
    sys.stderr.write("".join(f"{said}\n" for said in camera.complaints))
    return 1 if camera.complaints else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--studio", help="address of a studio that runs; by default one is started")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="base model of a studio of its own")
    parser.add_argument("--images", action="store_true", help="put the chosen ones into docs/images")
    return parser.parse_args()


@contextmanager
def own_studio() -> Iterator[str]:
    """A studio in a new home, with the models that are pulled here."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "BRIGHTRUN_MODELS": str(read_settings().models), "BRIGHTRUN_HOME": home}
        process = subprocess.Popen(
            [sys.executable, "-m", "brightrun.cli", "serve", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.search(r"The studio is at (http://[\w.:]+)", line):
                    yield from _until_it_is_left(found[1])
                    return
            raise SystemExit("The studio did not start.")
        finally:
            process.terminate()
            process.wait(timeout=60)


def _until_it_is_left(base: str) -> Iterator[str]:
    """What still trains then would go on without the studio."""
    try:
        yield base
    finally:
        with httpx.Client(base_url=base, timeout=60) as http:
            for job in http.get("/api/training/jobs").json()["data"]:
                if job["completed_at"] is None:
                    http.delete(f"/api/training/jobs/{job['id']}")
            time.sleep(_GOODBYE_SECONDS)


def append_events(camera: Camera, base: str, model: str) -> None:
    """Empty, sample, start, one job to its end, another one cancelled; pictures of what passes by."""
    camera.take("empty-home", "/")
    camera.take("empty-datasets", "/datasets")
    with httpx.Client(base_url=base, timeout=120) as http:
        dataset = http.post("/api/training/files/sample").raise_for_status().json()["id"]
        camera.take("start-dialog", f"/datasets/{dataset}", _open_dialog, whole=False)
        first = _start(http, dataset, base_model=model, name="Lantern Care, quickstart")
        _until(http, first, lambda job: (job["current_step"] or 0) * 2 >= (job["total_steps"] or 1))
        camera.take("home-running", "/")
        camera.take("jobs-running", "/jobs")
        camera.take("job-running", f"/jobs/{first}")
        _until(http, first, lambda job: job["status"] in {"completed", "failed", "cancelled"})
        faster = {"learning_rate": 3e-3}
        second = _start(http, dataset, base_model=model, name="Lantern Care, faster", hyperparameters=faster)
        _until(http, second, lambda job: (job["current_step"] or 0) >= 5)
        http.delete(f"/api/training/jobs/{second}").raise_for_status()


def _to_step(page: Page, step: int) -> None:
    page.locator(f"[data-steps] [data-to='{step}']").click()
    if step == 3:
        page.locator("[data-plan]").wait_for(timeout=120_000)


def _open_dialog(page: Page) -> None:
    page.locator("main a[href^='/start']").first.click()
    page.locator("dialog[open] form.start").wait_for()


def _start(http: httpx.Client, dataset: str, **request: Any) -> str:
    body = {"training_file_id": dataset, "recipe": "quickstart", **request}
    answer = http.post("/api/training/start-job", json=body)
    if answer.is_error:
        raise SystemExit(f"The job cannot start: {answer.text}")
    return str(answer.json()["training_job_id"])


def _until(http: httpx.Client, job_id: str, reached: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        job = http.get(f"/api/training/jobs/{job_id}").raise_for_status().json()
        if reached(job):
            return
        if job["status"] in {"failed", "cancelled"}:
            raise SystemExit(f"The job ended: {job['message']} {job['hint']}")
        time.sleep(1)
    raise SystemExit("The job took longer than an hour.")


def everything(camera: Camera, base: str) -> None:
    """Each page as the studio has it now; of jobs the newest of every state."""
    with httpx.Client(base_url=base, timeout=60) as http:
        files = http.get("/api/training/files").raise_for_status().json()["data"]
        jobs = http.get("/api/training/jobs?limit=100").raise_for_status().json()["data"]
    for name, path in {"home": "/", "datasets": "/datasets", "jobs": "/jobs", "estimates": "/estimates"}.items():
        camera.take(name, path)
    camera.take("settings", "/settings", lambda page: page.wait_for_timeout(3000))
    camera.take("compare-choose", "/compare")
    camera.take("nowhere", "/nowhere")
    if files:
        camera.take("dataset", f"/datasets/{files[0]['id']}")
        for step, name in enumerate(("dataset", "recipe", "review"), start=1):
            camera.take(f"start-{step}-{name}", f"/start?dataset={files[0]['id']}", partial(_to_step, step=step))
        camera.take("conversation", f"/datasets/{files[0]['id']}/conversations/1")
    newest = {job["status"]: job["id"] for job in reversed(jobs)}
    for status, job_id in newest.items():
        camera.take(f"job-{status}", f"/jobs/{job_id}")
    if "completed" in newest:
        camera.take("comparison", f"/jobs/{newest['completed']}/comparison")
    if len(jobs) > 1:
        camera.take("compare", "/compare?" + "&".join(f"job={job['id']}" for job in jobs[:2]))


def choose(folder: Path) -> None:
    """The chosen ones into docs/images, cropped, in few colors."""
    for name, (taken, height) in CHOSEN.items():
        with Image.open(folder / f"{taken}.png") as picture:
            shown = picture.convert("RGB").crop((0, 0, picture.width, min(height, picture.height)))
            small = shown.quantize(_COLOURS, dither=Image.Dither.NONE)
            small.save(IMAGES / f"{name}.png", optimize=True)
    total = sum((IMAGES / f"{name}.png").stat().st_size for name in CHOSEN)
    sys.stdout.write(f"docs/images: {len(CHOSEN)} pictures, {total / 1000:,.0f} kB\n")
    if total > _MOST_BYTES:
        raise SystemExit("That is too much: choose fewer, or crop them.")


if __name__ == "__main__":
    sys.exit(main())
