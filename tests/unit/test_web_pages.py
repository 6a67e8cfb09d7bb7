"""The frame of the pages: who gets a page and who JSON, what a page may load, how people sign in."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from fastapi.testclient import TestClient

from brightrun.jobs.studio import Studio
from brightrun.web.pages.rendering import asset, local_path
from brightrun.web.sign_in import SESSION_COOKIE
from tests.unit.test_web_access import a_token, guarded
from tests.unit.web_studio import BASE, ME, a_client, a_job

HTML = {"accept": "text/html,*/*"}


def test_a_page_loads_only_from_the_studio_and_nothing_inline(studio: Studio, client: TestClient) -> None:
    a_job(studio)
    answer = client.get("/", headers=HTML)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    loaded = re.findall(r"""(?:src|href)="([^"#]+)\"""", answer.text)
    assert any(address.startswith("/static/app.css?v=") for address in loaded)
    assert all(address.startswith("/") and not address.startswith("//") for address in loaded)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", answer.text)


def test_what_a_page_shows_is_text(studio: Studio, client: TestClient) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    with studio.database.session() as session:
        job = a_job(studio)
        session.merge(job).name = hostile
    shown = client.get("/", headers=HTML).text
    assert "<script>alert(1)" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;alert(1)" in shown


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/nowhere", "text/html", "text/html"),
        ("/nowhere", "*/*", "application/json"),
        ("/api/training/jobs/none", "text/html", "application/json"),
    ],
)
def test_an_error_is_a_page_for_people_and_json_for_programs(
    client: TestClient, path: str, accept: str, kind: str
) -> None:
    answer = client.get(path, headers={"accept": accept})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith(kind)
    if kind == "text/html":
        assert "This page doesn&#39;t exist." in answer.text
        assert answer.headers["x-request-id"] in answer.text


def test_a_page_may_be_broken_and_still_says_so_calmly(studio: Studio) -> None:
    with a_client(studio, loud=False) as client:
        studio.database.close()
        object.__setattr__(studio, "database", None)
        answer = client.get("/", headers=HTML)
    assert answer.status_code == 500
    assert "Something went wrong inside the studio." in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")


def test_static_files_are_kept_while_their_address_names_their_bytes(client: TestClient) -> None:
    kept = client.get(asset("app.css"))
    assert kept.status_code == 200
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.headers["content-type"].startswith("text/css")
    assert client.get("/static/app.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/../rendering.py").status_code == 404
    assert client.get("/static/none.js").status_code == 404


def test_every_module_of_a_page_is_there(client: TestClient) -> None:
    folder = files("brightrun.web").joinpath("static")
    modules = [file for file in folder.iterdir() if file.name.endswith(".js")]
    assert modules
    for module in modules:
        for named in re.findall(r'from "\./([^"]+)"', module.read_text(encoding="utf-8")):
            assert folder.joinpath(named).is_file(), f"{module.name} imports {named}"


def test_who_is_not_signed_in_is_asked_to_and_comes_back(studio: Studio) -> None:
    _, secret = a_token(studio, ME)
    with a_client(studio, guarded(studio)) as client:
        turned = client.get("/?a=b", headers=HTML)
        assert turned.status_code == 303
        assert turned.headers["location"] == "/login?next=%2F%3Fa%3Db"
        form = client.get(turned.headers["location"], headers=HTML)
        assert 'name="next" value="/?a=b"' in form.text
        wrong = client.post("/login", data={"token": "br_wrong", "next": "/?a=b"}, headers={**HTML, "origin": BASE})
        assert wrong.status_code == 401
        assert 'role="alert"' in wrong.text
        assert "br_wrong" not in wrong.text
        right = client.post("/login", data={"token": secret, "next": "/?a=b"}, headers={**HTML, "origin": BASE})
        assert (right.status_code, right.headers["location"]) == (303, "/?a=b")
        assert SESSION_COOKIE in right.headers["set-cookie"]
        assert client.get("/", headers=HTML).status_code == 200
        assert client.post("/logout", headers={**HTML, "origin": BASE}).headers["location"] == "/login"
        assert client.get("/", headers=HTML).status_code == 303


def test_who_tried_too_many_wrong_tokens_is_told_how_long_to_wait(studio: Studio) -> None:
    _, secret = a_token(studio, ME)
    own = {**HTML, "origin": BASE}
    with a_client(studio, guarded(studio)) as client:
        for _ in range(10):
            assert client.post("/login", data={"token": "br_wrong"}, headers=own).status_code == 401
        answer = client.post("/login", data={"token": secret, "next": "/jobs"}, headers=own)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 60
    assert re.search(r"Too many wrong attempts came from this address. Try again in \d+ min \d\d s\.", answer.text)
    assert 'name="next" value="/jobs"' in answer.text
    assert "set-cookie" not in answer.headers


def test_a_form_of_another_site_signs_nobody_in(studio: Studio) -> None:
    _, secret = a_token(studio, ME)
    with a_client(studio, guarded(studio)) as client:
        for origin in ("https://evil.example", "null"):
            answer = client.post("/login", data={"token": secret}, headers={**HTML, "origin": origin})
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/jobs?status=failed", "/jobs?status=failed"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_after_signing_in_one_stays_in_the_studio(wanted: str | None, path: str) -> None:
    assert local_path(wanted) == path


def test_the_theme_a_person_chose_is_drawn_at_once(client: TestClient) -> None:
    assert "data-theme" not in client.get("/", headers=HTML).text.split("<body")[0]
    client.cookies.set("brightrun_theme", "dark")
    assert '<html lang="en" data-theme="dark">' in client.get("/", headers=HTML).text
    client.cookies.set("brightrun_theme", '"><script>')
    assert "data-theme" not in client.get("/", headers=HTML).text.split("<body")[0]


@pytest.mark.parametrize(
    "path", ["/", "/jobs", "/datasets", "/nowhere", "/static/app.css", "/api/training/jobs", "/health"]
)
def test_head_says_what_get_says_without_its_body(client: TestClient, path: str) -> None:
    asked = {name: getattr(client, name)(path, headers=HTML) for name in ("head", "get")}
    assert asked["head"].status_code == asked["get"].status_code
    assert asked["head"].content == b""
    for name in ("content-type", "content-length", "content-security-policy"):
        assert asked["head"].headers.get(name) == asked["get"].headers.get(name), name


def test_head_of_an_endless_stream_ends(studio: Studio, client: TestClient) -> None:
    job = a_job(studio)
    answer = client.head(f"/api/training/jobs/{job.id}/events/stream")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
