"""Markup in names, titles, labels and comments stays text: escaped in pages, and JSON is never taken for a page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.app import pages

MARK = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}${7*7}</textarea>&amp;"


class Parsed(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A study whose title is markup."""
    study, _ = make(tmp_path_factory.mktemp("marked") / "study", title=MARK)
    with serving(study) as served:
        yield served


def test_pages_hold_the_title_as_text_and_no_script_or_style_of_their_own(marked):
    ada, boss = marked.enrolled(MARK), marked.enrolled("Boss", role="administrator")
    html = {"Accept": "text/html"}
    responses = [ada.get("/"), ada.get("/read"), ada.get(f"/r/{ada.credentials.link_token}"), boss.get("/admin")]
    responses += [ada.get("/nothing", headers=html), ada.get("/admin", headers=html), ada.get("/r/x", headers=html)]
    assert [each.status_code for each in responses] == [200, 200, 200, 200, 404, 403, 404]
    for response in responses:
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        parsed = Parsed(response.text)
        assert MARK in parsed.text, response.url
        for tag, attributes in parsed.tags:
            assert tag not in ("img", "style", "iframe", "object", "embed", "base"), tag
            assert not [name for name in attributes if name.startswith("on") or name == "style"], attributes
            if tag == "script":
                assert attributes["src"].startswith("/static/"), "no script within the page"
        assert "49" not in parsed.text, "no template within a title"


def test_json_with_markup_is_served_as_json(marked):
    ada = marked.enrolled("<b>Ada</b>")
    trial = ada.get("/api/v1/trials/next").json()
    assert ada.answer(trial, comment=MARK).status_code == 200
    last = ada.get("/api/v1/trials/last")
    assert last.json()["answer"]["comment"] == MARK
    standing = ada.get("/api/v1/standing")
    assert (standing.json()["name"], standing.json()["title"]) == ("<b>Ada</b>", MARK)
    for response in (last, standing):
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_every_template_escapes(marked):
    environment = pages._templates()
    assert environment.autoescape is True
    for name in environment.list_templates():
        source = environment.loader.get_source(environment, name)[0]
        assert not re.search(r"\|\s*safe|autoescape|Markup", source), name
        assert not re.search(r"<script(?![^>]*src=)|<style|javascript:|\son\w+=", source), name


def test_static_files_are_a_fixed_list_of_known_kinds(shared):
    found = pages.static_files()
    assert {"read.js", "page.css"} <= set(found)
    for name, (content, kind) in found.items():
        response = shared.browser().get(f"/static/{name}")
        assert (response.status_code, response.content, response.headers["content-type"]) == (200, content, kind)
    for name in ("", "none.js", "__init__.py", "READ.JS", "read.js/", "read.js%00", "./read.js"):
        request = f"GET /static/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert shared.raw(request.encode())[9:12] == b"404"


def test_every_file_that_a_page_loads_is_there(shared):
    ada, boss = shared.enrolled("Loads"), shared.enrolled("Loads too", role="administrator")
    loaded = set()
    for response in (ada.get("/"), ada.get("/read"), boss.get("/admin")):
        for _, attributes in Parsed(response.text).tags:
            loaded |= {attributes.get(name) for name in ("src", "href")} - {None, "data:,"}
    for path in loaded:
        assert path.startswith("/") and ada.get(path).status_code in (200, 303), path
