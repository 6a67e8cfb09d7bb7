"""Every page with hostile names: they are text in it, and the page is built as with any other name."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path, PurePath
from pkgutil import iter_modules
from urllib.parse import quote, unquote

import pytest
from fastapi.testclient import TestClient

from brightrun.contract.states import JobStatus
from brightrun.database import jobs
from brightrun.plain_text import cut, file_stem, plain_file_name
from brightrun.web import pages
from brightrun.web.stored_files import attachment
from tests.unit.finished_job import a_finished_job, add_curve
from tests.unit.hostile_names import NAMES, fuzzed
from tests.unit.web_studio import START, a_client, a_job, a_studio, tell

ALL = (*NAMES, *fuzzed(36, 4))
HTML = {"accept": "text/html"}
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
WORDS = ("river", "stone", "cloud", "paper", "glass", "honey")


class Read(HTMLParser):
    """What a page consists of: its elements and attributes, counted, and its text.

    Of a chart only what kinds there are: how many lines a label takes depends on its length.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: Counter[str] = Counter()
        self.drawn: set[str] = set()
        self._text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = [f"<{tag}", *(f"{name}=" for name, _ in attrs)]
        if "svg" in self._open:
            self.drawn.update(found)
        else:
            self.parts.update(found)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    @property
    def text(self) -> str:
        return one_spaced("".join(self._text))


def one_spaced(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Seen:
    """A studio's client, and what is in it under one name."""

    client: TestClient
    file_name: str
    dataset: str
    running: str
    finished: str

    def pages(self) -> dict[str, tuple[str, str]]:
        """Each page's route, with an address of it and what of the name it has to show."""
        file, job = f"/datasets/{self.dataset}", f"/jobs/{self.running}"
        return {
            "/": ("/", "job"),
            "/home/now": ("/home/now", "job"),
            "/datasets": ("/datasets", "file"),
            "/datasets/{file_id}": (file, "file"),
            "/datasets/{file_id}/choose": (f"{file}/choose", "file"),
            "/datasets/{file_id}/conversations": (f"{file}/conversations", ""),
            "/datasets/{file_id}/conversations/{number}": (f"{file}/conversations/2", "id"),
            "/start": (f"/start?dataset={self.dataset}", "file"),
            "/jobs": ("/jobs", "job"),
            "/jobs/list": ("/jobs/list", "job"),
            "/jobs/{job_id}": (job, "job"),
            "/jobs/{job_id}/now": (f"{job}/now", ""),
            "/jobs/{job_id}/side": (f"{job}/side", ""),
            "/jobs/{job_id}/curve": (f"{job}/curve", ""),
            "/jobs/{job_id}/log": (f"{job}/log", "message"),
            "/jobs/{job_id}/comparison": (f"/jobs/{self.finished}/comparison", "persona"),
            "/compare": (f"/compare?job={self.finished}&job={self.running}", "job"),
            "/estimates": ("/estimates", ""),
            "/estimates/budget": ("/estimates/budget", ""),
            "/settings": ("/settings", "token"),
            "/settings/checks/{name}": ("/settings/checks/database", ""),
            "/login": ("/login", ""),
        }


@contextmanager
def a_studio_with(name: str, folder: Path) -> Iterator[Seen]:
    """A studio in which a dataset, its conversations, jobs, their words and a token are called so."""
    folder.mkdir()
    with a_studio(folder) as (studio, _), a_client(studio, headers=HTML) as client:
        uploaded = upload(client, f"{name}.jsonl", name)
        client.post("/api/tokens", json={"name": name[:100]}).raise_for_status()
        running = a_job(
            studio, file_id=uploaded["id"], current_step=3, total_steps=9, started_at=START, message=f"Said {name}"
        )
        add_curve(studio, running, 3)
        tell(studio, running, f"Said {name}")
        finished = a_finished_job(studio, words=name, file_id=uploaded["id"])
        with studio.database.session() as session:
            jobs.change_if(session, running.id, expected=[JobStatus.TRAINING], name=name)
            jobs.change_if(session, finished.id, expected=[JobStatus.COMPLETED], name=name)
        yield Seen(client, uploaded["file_name"], uploaded["id"], running.id, finished.id)


def upload(client: TestClient, file_name: str, name: str) -> dict[str, str]:
    """Sent under its name as RFC 8187 writes it; the ids, labels and texts in it have the name too."""
    records = [
        {
            "id": f"{name}{number}", "persona": name, "arc": f"arc {name}",
            "messages": [
                {"role": "user", "content": f"{word} {name}"},
                {"role": "assistant", "content": f"What is {word} {name}? It is {word * 9}, and that is all."},
            ],
        }
        for number, word in enumerate(WORDS)
    ]  # fmt: skip
    lines = "".join(f"{json.dumps(record)}\n" for record in records)
    head = f"Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''{quote(file_name, safe='')}"
    answer = client.post(
        "/api/training/files",
        content=f"--limit\r\n{head}\r\n\r\n{lines}\r\n--limit--\r\n".encode(),
        headers={"content-type": "multipart/form-data; boundary=limit"},
    )
    assert answer.status_code == 201, answer.text
    body: dict[str, str] = answer.json()
    return body


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Read]:
    """Every page with a name that nobody minds."""
    with a_studio_with("Elena", tmp_path_factory.mktemp("usual") / "studio") as seen:
        return {route: read(seen.client, address) for route, (address, _) in seen.pages().items()}


def read(client: TestClient, address: str) -> Read:
    answer = client.get(address)
    taken_on = address == "/login" or address.endswith("/conversations")
    assert answer.status_code == (303 if taken_on else 200), (address, answer.text)
    return Read(answer.text)


@pytest.mark.parametrize("name", ALL)
def test_every_page(name: str, tmp_path: Path, usual: dict[str, Read]) -> None:
    with a_studio_with(name, tmp_path / "studio") as seen:
        assert seen.file_name == plain_file_name(f"{name}.jsonl")
        shown = {
            "file": seen.file_name, "job": name, "id": f"{name}1", "persona": name, "token": name[:100],
            "message": f"Said {name}", "": "",
        }  # fmt: skip
        for route, (address, what) in seen.pages().items():
            page = read(seen.client, address)
            assert one_spaced(shown[what]) in page.text, (route, what)
            if route.startswith("/datasets/{file_id}"):  # names in texts are found as HTML and the like
                assert not set(page.parts) - set(usual[route].parts), route
            else:
                assert page.parts == usual[route].parts, route
            assert page.drawn == usual[route].drawn, route


def test_no_page_is_forgotten(tmp_path: Path) -> None:
    with a_studio_with("Elena", tmp_path / "studio") as seen:
        modules = [import_module(f"{pages.__name__}.{found.name}") for found in iter_modules(pages.__path__)]
        routes = [route for module in modules if hasattr(module, "router") for route in module.router.routes]
        assert {route.path for route in routes if "GET" in route.methods} == set(seen.pages())


@pytest.mark.parametrize("name", ALL)
def test_every_download_is_called_as_it_should_be(name: str, tmp_path: Path) -> None:
    with a_studio_with(name, tmp_path / "studio") as seen:
        api = "/api/training"
        wanted = {
            f"{api}/files/{seen.dataset}/problems": f"{cut(PurePath(seen.file_name).stem, 200)}-problems.jsonl",
            f"{api}/jobs/{seen.finished}/metrics.csv": f"{file_stem(name, otherwise='job')}-metrics.csv",
            f"{api}/jobs/{seen.finished}/adapter.zip": f"{file_stem(name, otherwise='adapter')}.zip",
        }
        for address, called in wanted.items():
            answer = seen.client.get(address)
            assert answer.status_code == 200, (address, answer.text)
            assert called_by(answer.headers["content-disposition"]) == called
            assert plain_file_name(called) == called, "it can be saved as it is"
    assert called_by(attachment(name)) == name


def called_by(header: str) -> str:
    """What a browser calls a file that is sent with this Content-Disposition."""
    assert header.isascii()
    assert header.isprintable()
    kind, plain, exact = header.split("; ")
    assert kind == "attachment"
    assert re.fullmatch(r'filename="[^"\\%]*"', plain), "for what knows no other"
    assert re.fullmatch(r"filename\*=UTF-8''(%[0-9A-F]{2}|[A-Za-z0-9._~-])+", exact)
    return unquote(exact.partition("''")[2])


@pytest.mark.parametrize("name", ALL)
def test_an_error_page_quotes_names_as_text(name: str, tmp_path: Path, client: TestClient) -> None:
    usual = Read(client.get("/nowhere", headers=HTML).text)
    asked = quote(name, safe="")
    for address in (f"/{asked}", f"/jobs/{asked}", f"/compare?job={asked}"):
        answer = client.get(address, headers=HTML)
        assert answer.status_code in {200, 400, 404, 422}
        assert Read(answer.text).parts["<script"] == usual.parts["<script"]
    found = Read(client.get(f"/jobs?find={quote(name[:100], safe='')}", headers=HTML).text)
    assert found.parts == Read(client.get("/jobs?find=Elena", headers=HTML).text).parts
