"""A prompt of one's own, asked of both models from the page; whatever they say stays text."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from brightrun.compute.chat_process import ChatProcess
from tests.browser.chromium import a_visit
from tests.browser.served import served
from tests.unit.finished_job import a_finished_job
from tests.unit.run_reports import HOSTILE
from tests.unit.test_jobs_playground import pulled
from tests.unit.web_studio import a_studio

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROGRAM = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    said = {side: asked[side][-1]["content"] + " said " + side for side in ("base", "tuned")}
    answers = {side: {"text": text, "tokens": 7, "stopped": side == "tuned"} for side, text in said.items()}
    print(json.dumps(answers), flush=True)
"""


def test_both_answers_stand_beside_each_other_as_text(chromium: Browser, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    with a_studio(tmp_path) as (plain, _):
        plain.home.mkdir()
        pulled(plain)
        job = a_finished_job(plain)
        studio = replace(plain, open_chat=lambda run: ChatProcess(run, command=(sys.executable, str(script))))
        with served(studio) as base, a_visit(chromium, base) as visit:
            page = visit.page(f"/jobs/{job.id}/comparison")
            ask = page.get_by_role("button", name="Ask both")
            page.get_by_label("Your message").fill(HOSTILE)
            ask.click()
            answers = page.locator("[data-chat-answers] .answer")
            expect(answers).to_have_count(2)
            assert answers.nth(0).locator(".words").text_content() == f"{HOSTILE} said base"
            expect(answers.nth(0)).to_contain_text("7 tokens, cut off")
            expect(answers.nth(1)).to_contain_text("7 tokens, finished")
            expect(page.locator("[data-chat-answers] img, [data-chat-answers] script")).to_have_count(0)
            expect(page.locator("[data-chat-state]")).to_contain_text("Answered in")
            page.get_by_label("Your message").fill("A second one")
            page.keyboard.press("Control+Enter")
            expect(answers).to_have_count(4)
            expect(answers.nth(0)).to_contain_text("A second one said base")
            expect(ask).to_be_enabled()
