"""The pages of datasets: dropped, reported, read, downloaded, deleted; true, safe, and only the owner's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import unescape
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from fastapi.testclient import TestClient

from brightrun.contract.states import JobStatus
from brightrun.datasets.checks.header_counts import HeaderCounts
from brightrun.datasets.findings import Finding
from brightrun.datasets.inspect import inspect_conversation
from brightrun.datasets.options import ReadingChoices, ReadOptions
from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.studio import Studio
from brightrun.web.pages.conversation import shown_turns
from brightrun.web.pages.dataset import Balance
from brightrun.web.pages.dataset_texts import choices_texts, finding_done, finding_fix, finding_title, header_text
from brightrun.web.upload_progress import UploadProgress
from tests.conftest import REPOSITORY
from tests.unit.test_datasets_builders import answer_about, audit, chat_record, llama3, said, write_lines
from tests.unit.test_datasets_inspect import troubled
from tests.unit.web_studio import ME, SOMEBODY_ELSE, a_file, a_job

FILES = "/api/training/files"
HTML = {"accept": "text/html,*/*"}
HOSTILE = '"></title></script><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7*7 }}'


@pytest.fixture
def file_id(studio: Studio, tmp_path: Path) -> str:
    """A dataset with every kind of trouble that is not an error."""
    return added(studio, troubled(tmp_path))


def added(studio: Studio, path: Path, *, name: str = "conversations.jsonl", owner_id: str = ME) -> str:
    return add_dataset(studio, owner_id=owner_id, file_name=name, source=path).id


def words(html: str) -> str:
    """What a person reads, on one line."""
    return " ".join(unescape(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", html, flags=re.DOTALL)).split())


def page(client: TestClient, path: str) -> str:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_an_empty_studio_leads_to_the_sample(client: TestClient) -> None:
    shown = page(client, "/datasets")
    assert 'data-action="POST /api/training/files/sample" data-then="go:/datasets/{id}"' in shown
    assert 'data-upload="/api/training/files"' in shown
    told = client.post(f"{FILES}/sample")
    assert told.status_code == 201
    assert (told.json()["file_name"], told.json()["refused"]) == ("lantern-care-sample.json", False)
    assert client.post(f"{FILES}/sample").json()["id"] == told.json()["id"]
    listed = page(client, "/datasets")
    assert f'href="/datasets/{told.json()["id"]}"' in listed
    assert "files/sample" not in listed


def test_the_list_tells_what_the_api_tells(studio: Studio, client: TestClient, file_id: str, tmp_path: Path) -> None:
    refused = added(studio, write_lines(tmp_path / "b", [chat_record(["Hi <|eot_id|>", *said("rent")[1:]])]), name="b")
    added(studio, troubled(tmp_path), owner_id=SOMEBODY_ELSE, name="not-mine.jsonl")
    shown = page(client, "/datasets")
    rows = {
        name: words(row)
        for name, row in re.findall(r'<tr>\s*<th[^>]*><a href="/datasets/([^"]+)"(.*?)</tr>', shown, re.DOTALL)
    }
    assert set(rows) == {file_id, refused}
    told = client.get(f"{FILES}/{file_id}").json()
    for figure in ("conversations", "answers", "tokens"):
        assert f" {told[figure]:,} " in rows[file_id]
    assert "OpenAI chat lines" in rows[file_id]
    assert rows[file_id].endswith("Ready")
    assert rows[refused].endswith("Refused")


def test_the_list_goes_on_page_by_page(studio: Studio, client: TestClient) -> None:
    for number in range(30):
        a_file(studio, name=f"file-{number:02}")
    first = page(client, "/datasets")
    (older,) = re.findall(r'href="(/datasets\?after=[^"]+)"', first)
    second = page(client, older)
    names = [set(re.findall(r"file-\d\d", text)) for text in (first, second)]
    assert [len(each) for each in names] == [25, 5]
    assert not names[0] & names[1]
    assert "?after=" not in second
    assert 'href="/datasets">' in second


def test_the_report_says_what_was_found_repaired_and_left_out(client: TestClient, file_id: str) -> None:
    shown = page(client, f"/datasets/{file_id}")
    text = words(shown)
    report = client.get(f"{FILES}/{file_id}/audit").json()
    assert "Ready to train." in text
    assert "Trained on 8" in text
    assert "Set aside as damaged read as context, not trained on 2" in text
    assert "In the file 10" in text
    assert report["answers"] == 10
    assert "1 answer and 0 client messages were repaired" in text
    assert f"Tokens {report['tokens']:,} {report['trained_tokens']:,} of them trained on" in text
    for title, done in (
        ("Broken line breaks in answers × 1", "Repaired"),
        ("Answers that were cut off × 1", "Not trained on"),
        ("Conversations that stand there twice × 1", "Kept as it is"),
        ("Last messages without an answer × 1", "Left out"),
    ):
        assert f"{title} {done}" in text
    assert text.index("Worth a look") < text.index("Answers that were cut off") < text.index("Good to know")
    assert f'href="/datasets/{file_id}/conversations?find=c-3#turn-4"' in shown
    assert f'href="/start?dataset={file_id}"' in shown
    assert f'href="/api/training/files/{file_id}/problems" download' in shown
    assert 'id="lengths-wide"' in shown
    assert "maximum length: " in shown


def test_coverage_is_drawn_where_the_file_tells_it(studio: Studio, client: TestClient, tmp_path: Path) -> None:
    records = [chat_record(said(topic)) | {"persona": "anxious_planner", "arc": topic} for topic in ("grief", "hope")]
    file_id = added(studio, write_lines(tmp_path / "labelled.jsonl", [*records, chat_record(said("sleep"))]))
    shown = page(client, f"/datasets/{file_id}")
    assert 'id="coverage-wide"' in shown
    assert "anxious planner, grief: 1 conversation" in shown
    assert "unlabelled, unlabelled: 1 conversation" in shown
    bare = added(studio, write_lines(tmp_path / "bare.jsonl", [chat_record(said("sleep"))]))
    assert "names neither personas nor emotional arcs" in page(client, f"/datasets/{bare}")


def test_a_refused_file_says_why_and_offers_no_training(studio: Studio, client: TestClient, tmp_path: Path) -> None:
    texts = said("rent", "sleep")
    texts[2] += " <|eot_id|>"
    file_id = added(studio, write_lines(tmp_path / "file", [chat_record(texts), chat_record(said("taxes"))]))
    shown = page(client, f"/datasets/{file_id}")
    text = words(shown)
    assert "Refused: nothing may be trained on this file as it is." in text
    assert "Control words of the model inside a text × 1 File refused" in text
    assert "/start?dataset=" not in shown
    assert "Answers that would be trained on 1 of 3 in the file" in text
    assert "Would be used some kept aside for validation 1 Left out 1" in text
    row = json.loads(client.get(f"{FILES}/{file_id}/problems").text)
    assert [one["check"] for one in row["problems"]] == ["control_tokens"]
    told = words(page(client, f"/datasets/{file_id}/conversations/1"))
    assert "Answers trained on 0 of 2" in told
    assert "The model reads nothing of this conversation" in told


def test_a_dataset_of_a_job_cannot_be_deleted_and_says_so(studio: Studio, client: TestClient, file_id: str) -> None:
    free = page(client, f"/datasets/{file_id}")
    assert f'data-action="DELETE {FILES}/{file_id}" data-then="go:/datasets"' in free
    job = a_job(studio, status=JobStatus.COMPLETED, file_id=file_id)
    shown = page(client, f"/datasets/{file_id}")
    assert 'data-action="DELETE' not in shown
    assert "It cannot be deleted: 1 job was made of it." in words(shown)
    assert f'href="/jobs/{job.id}"' in shown
    assert "Completed" in words(shown)
    assert client.delete(f"{FILES}/{file_id}").status_code == 409


def test_a_dataset_without_a_report_says_so(studio: Studio, client: TestClient) -> None:
    text = words(page(client, f"/datasets/{a_file(studio).id}"))
    assert "There is no report on this file." in text
    assert "Start training" not in text


def test_an_audit_of_before_is_still_shown(studio: Studio, client: TestClient, file_id: str) -> None:
    """Bins were 512 tokens wide once, whatever the file."""
    with studio.database.session() as session:
        row = session.get(type(a_file(studio)), file_id)
        assert row is not None
        assert row.audit is not None
        row.audit = {**row.audit, "lengths": [{"from_tokens": 0, "to_tokens": 512, "conversations": 5}]}
    assert "0 to 511: 5 conversations" in page(client, f"/datasets/{file_id}")


def test_a_conversation_is_read_with_what_is_trained_on_marked(client: TestClient, file_id: str) -> None:
    shown = page(client, f"/datasets/{file_id}/conversations/3")
    preview = client.get(f"{FILES}/{file_id}/preview?conversation=3").json()
    trained = [piece["text"] for piece in preview["pieces"] if piece["trained"]]
    sequence = re.search(r'<pre class="words sequence".*?>(.*?)</pre>', shown, re.DOTALL)
    assert sequence is not None
    assert [
        unescape(text) for text in re.findall(r'<mark class="trained">(.*?)</mark>', sequence[1], re.DOTALL)
    ] == trained
    assert unescape(re.sub(r"</?mark[^>]*>", "", sequence[1])) == "".join(piece["text"] for piece in preview["pieces"])
    text = words(shown)
    assert f"Tokens {preview['tokens']:,}" in text
    assert f"Tokens trained on {preview['trained_tokens']:,}" in text
    assert "Answers trained on 1 of 3" in text
    assert "4 Answer set aside, not trained on It ends in a backslash." in text
    assert (
        "6 Answer set aside, not trained on It is not trained on: its history contains the cut answer of turn 4."
        in text
    )
    assert 'id="turn-4"' in shown
    for way, number in (("prev", 2), ("next", 4)):
        assert f'rel="{way}" href="/datasets/{file_id}/conversations/{number}"' in shown


def test_a_repaired_answer_shows_what_it_was(client: TestClient, file_id: str) -> None:
    text = page(client, f"/datasets/{file_id}/conversations/2")
    assert "As it stands in the file" in text
    assert "\\n\\nRest now." in text
    assert "\n\nRest now.</mark>" in text
    assert "As it stands in the file" not in page(client, f"/datasets/{file_id}/conversations/1")


def test_the_first_and_the_last_lead_no_further(client: TestClient, file_id: str) -> None:
    assert 'rel="prev"' not in page(client, f"/datasets/{file_id}/conversations/1")
    last = page(client, f"/datasets/{file_id}/conversations/5")
    assert 'rel="next"' not in last
    assert "3 Client left out" in words(last)
    beyond = client.get(f"/datasets/{file_id}/conversations/6", headers=HTML)
    assert beyond.status_code == 404
    assert "Give a number from 1 to 5" in beyond.text


def test_a_conversation_is_found_by_its_id(client: TestClient, file_id: str) -> None:
    found = client.get(f"/datasets/{file_id}/conversations", params={"find": " c-4 "}, headers=HTML)
    assert (found.status_code, found.headers["location"]) == (303, f"/datasets/{file_id}/conversations/4")
    nowhere = client.get(f"/datasets/{file_id}/conversations", params={"find": HOSTILE}, headers=HTML)
    assert nowhere.status_code == 404
    assert "<script>alert" not in nowhere.text


def test_what_a_dataset_holds_is_text(studio: Studio, client: TestClient, tmp_path: Path) -> None:
    texts = [HOSTILE, f"{HOSTILE} and\\n\\nthen", *said("rent"), HOSTILE, f"{HOSTILE}\\"]
    record: dict[str, Any] = chat_record(texts, system=HOSTILE) | dict.fromkeys(
        ("id", "persona", "arc", "topic"), HOSTILE
    )
    file_id = added(studio, write_lines(tmp_path / "hostile", [record]), name=f"{HOSTILE}.jsonl")
    for path in ("/datasets", f"/datasets/{file_id}", f"/datasets/{file_id}/conversations/1"):
        shown = page(client, path)
        assert "<script>alert" not in shown
        assert "<img" not in shown
        assert "49" not in words(shown).replace(file_id, "").split()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|<[^>]*\son\w+=", shown)
        assert "&lt;script&gt;alert(1)" in shown
    problems = client.get(f"{FILES}/{file_id}/problems")
    assert problems.headers["content-disposition"].startswith("attachment; ")
    assert problems.headers["content-type"] == "application/x-ndjson"
    assert problems.headers["x-content-type-options"] == "nosniff"


def test_problem_rows_are_lines_of_json_and_leave_nothing_behind(
    studio: Studio, client: TestClient, file_id: str
) -> None:
    answer = client.get(f"{FILES}/{file_id}/problems")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["number"] for row in rows] == [1, 2, 3, 4]
    assert 'filename="conversations-problems.jsonl"' in answer.headers["content-disposition"]
    assert {path.name for path in studio.home.iterdir()} == {"examined"}, "kept at the upload"


def test_whoever_uploads_is_told_how_far_the_checks_are(
    studio: Studio, client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit reads in steps of 256 KiB; between two of them both the sender and a stranger ask."""
    path = write_lines(tmp_path / "file", [chat_record(said(f"topic {n}", *["more"] * 9)) for n in range(120)])
    where, asked = f"{FILES}/uploads/an-upload", []
    tell = UploadProgress.follow

    @contextmanager
    def follow(self: UploadProgress, owner_id: str, upload_id: str | None) -> Iterator[Any]:
        with tell(self, owner_id, upload_id) as progress:

            def ask(done: int, total: int) -> None:
                progress(done, total)
                asked.append((self.of(owner_id, "an-upload"), self.of(SOMEBODY_ELSE, "an-upload"), client.get(where)))

            yield ask

    monkeypatch.setattr(UploadProgress, "follow", follow)
    assert client.get(where).status_code == 404
    with path.open("rb") as stream:
        told = client.post(FILES, files={"file": ("file", stream)}, headers={"x-upload-id": "an-upload"})
    assert told.status_code == 201
    assert len(asked) >= 2
    total = path.stat().st_size
    done = [answer.json()["done_bytes"] for _, _, answer in asked]
    assert done == sorted(set(done))
    assert (done[-1], {answer.json()["total_bytes"] for _, _, answer in asked}) == (total, {total})
    assert all(mine is not None and theirs is None for mine, theirs, _ in asked)
    assert client.get(where).status_code == 404


def test_an_upload_is_known_from_its_beginning_to_its_end_whatever_happens() -> None:
    uploads = UploadProgress()
    with suppress(OSError), uploads.follow(ME, "one") as tell, uploads.follow(ME, None) as silent:
        assert uploads.of(ME, "one") == (0, None)
        tell(2, 9)
        silent(5, 9)
        assert uploads.of(ME, "one") == (2, 9)
        assert uploads.of(ME, "") is None
        raise OSError("full")
    assert uploads.of(ME, "one") is None


@pytest.mark.parametrize(
    "path",
    [
        "/datasets/{id}",
        "/datasets/{id}/conversations/1",
        "/datasets/{id}/conversations?find=1",
        FILES + "/{id}/problems",
    ],
)
def test_what_is_somebody_elses_is_not_found(studio: Studio, client: TestClient, tmp_path: Path, path: str) -> None:
    theirs = added(studio, troubled(tmp_path), owner_id=SOMEBODY_ELSE, name="not-mine.jsonl")
    answer = client.get(path.format(id=theirs), headers=HTML)
    assert answer.status_code == 404
    assert "not-mine" not in answer.text


def test_every_answer_has_one_state_and_the_balance_adds_up(tmp_path: Path) -> None:
    record = chat_record(said("rent", "sleep", "school"))
    record["messages"][2]["weight"] = 0
    path = write_lines(tmp_path / "file", [record])
    balance = Balance.of(audit(path))
    assert (balance.trained, balance.excluded, balance.otherwise_untrained, balance.answers) == (2, 0, 1, 3)
    looked = inspect_conversation(path, 1, chat=llama3(), options=ReadOptions())
    states = [shown.state for shown in shown_turns(looked.written, looked.repaired, kept=True)]
    assert states == ["context", "not offered", "context", "trained", "context", "trained"]
    assert {shown.state for shown in shown_turns(looked.written, looked.repaired, kept=False)} == {
        "left out",
        "not offered",
    }


@pytest.mark.parametrize(
    ("pairs", "said_of_it"),
    [(None, None), (5, "it holds as many answers"), (11, "every message of both sides"), (7, "the ones used")],
)
def test_the_header_is_reconciled_in_words(tmp_path: Path, pairs: int | None, said_of_it: str | None) -> None:
    report = audit(write_lines(tmp_path / "file", [chat_record(said("rent"))]))
    header = HeaderCounts(header_conversations=1, header_pairs=pairs, conversations=1, turns=11, answers=5)
    told = header_text(report.model_copy(update={"header": header}))
    assert told is None if said_of_it is None else told is not None and said_of_it in told
    assert header_text(report) is None


def test_no_page_tells_people_to_give_options() -> None:
    """The audit's own words name those of the command line."""
    named = 0
    for found in iter_modules([str(REPOSITORY / "src" / "brightrun" / "datasets" / "checks")]):
        module = import_module(f"brightrun.datasets.checks.{found.name}")
        reading = getattr(module, "CHECK", None)
        fixes = [text for name, text in vars(module).items() if name.startswith("FIX") and isinstance(text, str)]
        check = module.NAME if reading is None and fixes else getattr(reading, "name", "")
        for fix in [*fixes, *([reading.fix] if reading is not None else [])]:
            told = finding_fix(Finding(check=check, severity="warning", count=1, explanation="", fix=fix))
            assert "--" not in told, (check, told)
            named += "--" in fix
    assert named >= 6


def test_the_page_says_how_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "talks.csv"
    path.write_text("Frage,Antwort\n" + "".join(f'"{a}","{b}"\n' for a, b in map(said, ("rent", "sleep", "wills"))))
    columns = {"Frage": "prompt", "Antwort": "answer"}
    report = audit(path, columns=columns, choose=("1-2",), unreadable="leave_out")
    assert choices_texts(report) == [
        "Records that cannot be read are left out.",
        "Only conversations that fit “1-2” are read.",
        "Columns are read so: “Frage” as prompt, “Antwort” as answer.",
    ]
    assert choices_texts(audit(write_lines(tmp_path / "f", [chat_record(said("rent"))]))) == []
    choices = set(ReadingChoices.model_fields) - {"part", "choose", "columns"}
    changed = {"repair_json": True, "merge_turns": True, "strip_markers": True, "unreadable": "leave_out",
               "preference": "train_on_preferred", "reasoning": "leave_out"}  # fmt: skip
    assert set(changed) == choices, "a new choice is told on the page, too"
    told = choices_texts(report.model_copy(update={"options": ReadOptions.model_validate(changed), "columns": {}}))
    assert len(told) == len(choices)


def test_every_check_has_a_title_of_its_own() -> None:
    names: set[str] = set()
    for module in (REPOSITORY / "src" / "brightrun" / "datasets").rglob("*.py"):
        if module.parent.name == "checks" or module.stem == "client_profile":
            text = module.read_text(encoding="utf-8")
            names.update(re.findall(r'^NAME\w* = "(\w+)"$', text, re.MULTILINE))
            names.update(re.findall(r'^CHECK = ReadingCheck\(\s*"(\w+)"', text, re.MULTILINE))
    assert len(names) > 20
    for name in names:
        finding = Finding(check=name, severity="warning", count=1, explanation="", fix="")
        assert finding_title(finding) != name.replace("_", " ").capitalize()
    repaired = Finding(check="escaped_newlines", severity="warning", count=1, explanation="", fix="")
    assert [finding_done(repaired), finding_done(repaired, repairs=False)] == ["Repaired", "Not trained on"]


def test_a_dataset_is_read_again_with_other_choices(studio: Studio, client: TestClient, tmp_path: Path) -> None:
    records = [
        {"messages": [{"role": "user", "content": f"Jar {n}?"},
                      {"role": "assistant", "content": answer_about(f"jar {n}"), "reasoning_content": "They count."}]}
        for n in range(4)
    ]  # fmt: skip
    path = write_lines(tmp_path / "jars.jsonl", records)
    first = add_dataset(studio, owner_id=ME, file_name=path.name, source=path)
    told = client.get(f"/api/training/files/{first.id}").json()
    assert (told["refused"], told["depends_on_model"]) == (True, True)
    shown = client.get(f"/datasets/{first.id}", headers=HTML).text
    assert "It depends on the base model." in shown
    assert "Leave the reasoning out" in shown
    assert "Depends on the base model" in client.get("/datasets", headers=HTML).text
    assert f'value="{first.id}" checked' in client.get(f"/start?dataset={first.id}", headers=HTML).text
    again = client.post(f"/api/training/files/{first.id}/read-again", json={"reasoning": "leave_out"}).json()
    assert (again["refused"], again["sha256"]) == (False, first.sha256)
    assert again["id"] != first.id
    page = client.get(f"/datasets/{again['id']}", headers=HTML).text
    assert "Reasoning before answers is left out." in page
    assert "Leave the reasoning out</button>" not in page
    same = client.post(f"/api/training/files/{again['id']}/read-again", json={"merge_turns": False}).json()
    assert same["id"] == again["id"]  # what is not sent stays as it was chosen
    back = client.post(f"/api/training/files/{again['id']}/read-again", json={"reasoning": "learn"}).json()
    assert back["id"] == first.id
    assert client.post(f"/api/training/files/{first.id}/read-again", json={"reasons": "learn"}).status_code == 422


def test_rows_are_tried_with_columns_before_a_file_is_read_so(studio: Studio, client: TestClient) -> None:
    asked = {"rows": [{"Frage": "Wie?", "Antwort": "So."}, {"Frage": "Und?"}], "columns": {"Frage": "prompt"}}
    refused = client.post(f"{FILES}/rows", json=asked)
    assert refused.status_code == 400
    asked["columns"] = {"Frage": "prompt", "Antwort": "answer"}
    told = client.post(f"{FILES}/rows", json=asked).json()["data"]
    assert told[0] == {
        "number": 1,
        "messages": [{"role": "user", "content": "Wie?"}, {"role": "assistant", "content": "So."}],
        "problem": None,
    }
    assert (told[1]["messages"], bool(told[1]["problem"])) == ([], True)
    assert client.get(FILES).json()["data"] == []
    assert client.post(f"{FILES}/rows", json={**asked, "rows": []}).status_code == 422
