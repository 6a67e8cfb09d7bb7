"""Only some conversations of an account's export: listed, chosen, read; and what becomes of the whole."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from brightrun.jobs.add_dataset import add_dataset
from brightrun.jobs.studio import Studio
from tests.unit.test_datasets_builders import said
from tests.unit.web_studio import ME, SOMEBODY_ELSE, a_job

FILES = "/api/training/files"
TOPICS = ("rent", "sleep", "wills", "garden", "school")
IDS = [str(uuid.UUID(int=number + 1)) for number in range(5)]


def an_export(path: Path, topics: tuple[str, ...] = TOPICS) -> Path:
    """What Claude gives of an account, one talk a topic."""
    talks = []
    for number, topic in enumerate(topics):
        asked, answer = said(topic)
        messages = [{"sender": "human", "text": asked}, {"sender": "assistant", "text": answer}]
        created_at = f"2024-05-{number % 28 + 1:02}T10:00:00Z"
        name = str(uuid.UUID(int=number + 1))
        talks.append({"uuid": name, "name": f"On {topic}", "created_at": created_at, "chat_messages": messages})
    path.write_text(json.dumps(talks), encoding="utf-8")
    return path


@pytest.fixture
def whole(studio: Studio, tmp_path: Path) -> str:
    path = an_export(tmp_path / "account.json")
    return add_dataset(studio, owner_id=ME, file_name=path.name, source=path).id


def listed(client: TestClient, file_id: str) -> list[tuple[int, str, bool]]:
    answer = client.get(f"{FILES}/{file_id}/conversations")
    assert answer.status_code == 200, answer.text
    return [(each["number"], each["title"], each["chosen"]) for each in answer.json()["data"]]


def test_every_conversation_is_listed(client: TestClient, whole: str) -> None:
    told = client.get(f"{FILES}/{whole}/conversations").json()
    assert told["data"][1] == {
        "object": "training.conversation", "id": IDS[1], "number": 2, "title": "On sleep", "turns": 2,
        "created_at": "2024-05-02T10:00:00Z", "chosen": True,
    }  # fmt: skip
    assert (len(told["data"]), told["has_more"]) == (5, False)
    part = client.get(f"{FILES}/{whole}/conversations", params={"limit": 2, "after": 1}).json()
    assert ([each["number"] for each in part["data"]], part["has_more"]) == ([2, 3], True)


def test_what_is_chosen_is_a_dataset_and_the_whole_may_go(studio: Studio, client: TestClient, whole: str) -> None:
    answer = client.post(f"{FILES}/{whole}/choose", json={"choose": [IDS[0], "4-5"]})
    assert answer.status_code == 201, answer.text
    chosen = answer.json()
    assert (chosen["conversations"], chosen["file_name"], chosen["id"] != whole) == (3, "account.json", True)
    audit = client.get(f"{FILES}/{chosen['id']}/audit").json()
    assert audit["options"]["choose"] == [IDS[0], "4-5"]
    assert "account_export" not in [each["check"] for each in audit["findings"]]
    assert client.get(f"{FILES}/{whole}").status_code == 200
    again = client.post(f"{FILES}/{whole}/choose", json={"choose": [IDS[0], "4-5"], "replace": True}).json()
    assert again["id"] == chosen["id"]
    assert client.get(f"{FILES}/{whole}").status_code == 404
    # The bytes are all still there, so one may choose anew.
    taken = [True, False, False, True, True]
    assert listed(client, chosen["id"]) == [(n, f"On {topic}", taken[n - 1]) for n, topic in enumerate(TOPICS, 1)]
    shown = client.get(f"/datasets/{chosen['id']}", headers={"accept": "text/html"}).text
    assert "Only 3 conversations of the file are read: those that were chosen." in shown
    assert f'href="/datasets/{chosen["id"]}/choose"' in shown
    assert list((studio.home / "examined").iterdir()), "what was examined of the same bytes is kept"
    assert client.delete(f"{FILES}/{chosen['id']}").status_code == 200
    assert not list((studio.home / "examined").iterdir())


def test_a_whole_that_a_job_was_made_of_stays(studio: Studio, client: TestClient, whole: str) -> None:
    a_job(studio, file_id=whole)
    assert client.post(f"{FILES}/{whole}/choose", json={"choose": ["2"], "replace": True}).status_code == 201
    assert client.get(f"{FILES}/{whole}").status_code == 200


def test_what_was_decided_before_still_holds(studio: Studio, client: TestClient, tmp_path: Path) -> None:
    path = an_export(tmp_path / "account.json")
    talks = json.loads(path.read_text(encoding="utf-8"))
    talks[0]["chat_messages"][0]["files"] = [{"file_name": "a picture"}]
    path.write_text(json.dumps(talks), encoding="utf-8")
    with path.open("rb") as stream:
        sent = client.post(FILES, files={"file": (path.name, stream)}, params={"unreadable": "leave_out"})
    file_id = sent.json()["id"]
    assert [title for _, title, _ in listed(client, file_id)] == ["On sleep", "On wills", "On garden", "On school"]
    chosen = client.post(f"{FILES}/{file_id}/choose", json={"choose": [IDS[1], IDS[2]]}).json()
    options = client.get(f"{FILES}/{chosen['id']}/audit").json()["options"]
    assert (options["unreadable"], options["choose"], chosen["conversations"]) == ("leave_out", [IDS[1], IDS[2]], 2)


@pytest.mark.parametrize(
    ("body", "status"), [({"choose": []}, 422), ({"choose": ["9"]}, 400), ({"choose": [""]}, 422), ({}, 422)]
)
def test_a_choice_of_nothing_is_refused(
    client: TestClient, whole: str, body: dict[str, list[str]], status: int
) -> None:
    answer = client.post(f"{FILES}/{whole}/choose", json=body | {"replace": True})
    assert answer.status_code == status, answer.text
    assert client.get(f"{FILES}/{whole}").status_code == 200


def test_other_owners_conversations_are_nobodys(studio: Studio, client: TestClient, tmp_path: Path) -> None:
    path = an_export(tmp_path / "account.json")
    theirs = add_dataset(studio, owner_id=SOMEBODY_ELSE, file_name=path.name, source=path).id
    assert client.get(f"{FILES}/{theirs}/conversations").status_code == 404
    assert client.post(f"{FILES}/{theirs}/choose", json={"choose": ["1"]}).status_code == 404
    assert client.get(f"/datasets/{theirs}/choose", headers={"accept": "text/html"}).status_code == 404


def test_the_pages_lead_to_the_choice_and_name_no_option(client: TestClient, whole: str) -> None:
    html = {"accept": "text/html"}
    assert 'data-account-formats="chatgpt-export claude-export"' in client.get("/datasets", headers=html).text
    report = client.get(f"/datasets/{whole}", headers=html).text
    assert f'href="/datasets/{whole}/choose"' in report
    assert "command line" not in report
    page = client.get(f"/datasets/{whole}/choose", headers=html).text
    assert f'data-choose="/api/training/files/{whole}" data-whole="yes"' in page
    assert "--" not in page.split("<main", 1)[1].split("</main>", 1)[0]
