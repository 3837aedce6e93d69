"""What browsers get: JavaScript that old ones read, nothing inline, nothing from elsewhere, names escaped."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from percuss.study.app import pages

esprima = pytest.importorskip("esprima")

APP = Path(pages.__file__).parent
VENDORED = {"openseadragon.min.js": "7fdfdc04f10db24346c574104d74d442dadc80881912b3447d695397c629dc0c"}
OWN = sorted(path for path in (APP / "static").glob("*.js") if path.name not in VENDORED)
TEMPLATES = sorted((APP / "templates").glob("*.jinja"))
NAMED = {"ids": lambda path: path.name}
ODD = "<script>alert(1)</script>\"' & \u202e\u00df"


def after_2017(source: str) -> str:
    """What in a script is younger than ES2017, as text; empty where nothing is."""
    try:
        tree = esprima.parseScript(source)
    except esprima.Error as error:
        return str(error)
    return next((found for found in map(_young, _nodes(tree)) if found), "")


def _young(node: object) -> str:
    """Spread in objects is ES2018, which the parser takes all the same."""
    parts = (getattr(node, "properties", None) or []) if node.type in ("ObjectExpression", "ObjectPattern") else []
    return "object spread" if any(part.type in ("SpreadElement", "RestElement") for part in parts) else ""


def _nodes(node: object) -> list:
    if isinstance(node, list):
        return [found for part in node for found in _nodes(part)]
    if not hasattr(node, "type"):
        return []
    return [node] + [found for part in vars(node).values() for found in _nodes(part)]


def inline(markup: str) -> list[str]:
    """Scripts, styles and handlers within a page, which the content security policy refuses."""
    patterns = (r"<script(?![^>]*\ssrc=)[^>]*>", r"<style\b", r"\sstyle\s*=", r"\son[a-z]+\s*=", r"javascript:")
    return [found for pattern in patterns for found in re.findall(pattern, markup, re.IGNORECASE)]


def test_there_are_files():
    assert len(OWN) >= 10
    assert len(TEMPLATES) >= 5


@pytest.mark.parametrize("path", OWN, **NAMED)
def test_a_script_is_es2017_and_short(path):
    source = path.read_text(encoding="utf-8")
    assert after_2017(source) == ""
    assert len(source.splitlines()) <= 300
    assert max(map(len, source.splitlines())) <= 140


@pytest.mark.parametrize(
    "source",
    [
        "a?.b",
        "a ?? b",
        "x = {...a}",
        "const {b, ...c} = a",
        "try {} catch {}",
        "class A { x = 1 }",
        "x = 1n",
        "a ||= b",
    ],
)
def test_what_is_younger_is_refused(source):
    assert after_2017(source)


def test_es2017_itself_is_taken():
    assert after_2017("async function f(a, b,) { return a ** await b; }") == ""


@pytest.mark.parametrize("path", [*TEMPLATES, *OWN, APP / "static" / "page.css"], **NAMED)
def test_nothing_comes_from_elsewhere(path):
    assert not re.findall(r"(?:https?|wss?):|[\"'(]//", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TEMPLATES, **NAMED)
def test_nothing_is_inline(path):
    assert inline(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted", ["<script>x</script>", '<p style="x">', "<p onclick='x'>", "<style>", '<a href="javascript:x">']
)
def test_what_is_inline_is_found(planted):
    assert inline(planted)
    assert not inline('<script defer src="/static/a.js"></script><p class="style" data-on="1">')


@pytest.mark.parametrize("path", OWN, **NAMED)
def test_a_script_builds_no_markup_from_text(path):
    assert not re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", path.read_text()
    )


#: Methods and objects that came after ES2017, and that no older browser has; what is asked for before it is used is not
#: in the list.
YOUNG = (
    r"\.flat(?:Map)?\(|fromEntries|\.finally\(|allSettled|matchAll|replaceAll|trim(?:Start|End)|\.at\(|globalThis"
    r"|structuredClone|queueMicrotask|\.toSorted|\.findLast|Promise\.any|\.append\(|\.prepend\(|replaceChildren"
    r"|navigator\.locks|BroadcastChannel|showModal|hasOwn\b"
)


@pytest.mark.parametrize("path", OWN, **NAMED)
def test_a_script_asks_no_old_browser_for_what_it_lacks(path):
    source = path.read_text(encoding="utf-8")
    assert not re.findall(YOUNG, source)
    for name in ("ResizeObserver", "AbortController", "visualViewport", "crypto.randomUUID"):
        assert source.count(name) != 1, f"{name} is used without asking whether it is there"


def test_every_script_of_a_page_is_there():
    for name, values in CONTEXTS.items():
        for source in re.findall(r'(?:src|href)="/static/([^"]+)"', render(name, values)):
            assert (APP / "static" / source).is_file()


CONTEXTS = {
    "entry": {},
    "link": {"secret": ODD},
    "read": {},
    "admin": {},
    "error": {"status": 404, "thing": ODD, "next": ODD},
}


def render(name: str, values: dict) -> str:
    return bytes(pages.page(name, title=ODD, **values).body).decode()


@pytest.mark.parametrize("name", CONTEXTS)
def test_odd_names_are_escaped(name):
    page = render(name, CONTEXTS[name])
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert inline(page) == []


@pytest.mark.parametrize("name", CONTEXTS)
def test_every_field_has_a_label(name):
    page = render(name, CONTEXTS[name])
    fields = re.findall(r"<(?:input|select|textarea)\b[^>]*\bid=\"([^\"]+)\"", page)
    labels = set(re.findall(r"<label\b[^>]*\bfor=\"([^\"]+)\"", page))
    assert set(fields) <= labels


@pytest.mark.parametrize("name", CONTEXTS)
def test_no_page_hints_at_what_is_studied(name):
    """Readers of diagnoses must not learn from a page, or from a name to search for, that images may be changed."""
    words = re.sub(r"<[^>]+>", " ", render(name, CONTEXTS[name])).lower()
    assert not re.findall(r"percuss|adversarial|attack|manipulat|perturb|robust|changed", words)


@pytest.mark.parametrize("name", VENDORED)
def test_what_is_vendored_is_as_published(name):
    source = (APP / "static" / name).read_bytes()
    assert hashlib.sha256(source).hexdigest() == VENDORED[name]
    assert after_2017(source.decode()) == ""
    assert "Redistribution and use" in (APP / "static" / "openseadragon.licence.txt").read_text()
