"""Reader studies in the report of their audit: joined, kept, renewed, left out; refused where they do not belong."""

import hashlib
import json
import re
import shutil
from types import SimpleNamespace

import pytest

pytest.importorskip("sqlalchemy", reason="the extra study is not installed")

from tests.pipeline.answered import ASKED, READERS, answered, audited

from percuss.core.errors import RunError, UsageError
from percuss.pipeline.audit import rebuild
from percuss.pipeline.interface import audit
from percuss.pipeline.study_in_run import _hashes
from percuss.report.schema import read_results
from percuss.store.folder import RunFolder


@pytest.fixture(scope="module")
def made(tissue, judged, tmp_path_factory):
    """An audit, a study of it with answers, one without readers, and one that is open; not to be changed."""
    home = tmp_path_factory.mktemp("joined")
    run = audited(home / "run", tissue, judged).path
    source = (tissue, judged)
    answered(run, home / "study", source, title="Do <b>they</b> see it?")
    answered(run, home / "empty", source, readers=(), title="A second one", tasks=("diagnosis",), seed=2)
    answered(run, home / "open", source, readers=READERS[:1], closed=False, title="Nobody shall see this")
    return home


@pytest.fixture(scope="module")
def joined(made, tmp_path_factory):
    """The run with the study in its report, and the study; not to be changed."""
    home = tmp_path_factory.mktemp("with")
    for name in ("run", "study"):
        shutil.copytree(made / name, home / name)
    return SimpleNamespace(run=home / "run", study=home / "study", done=rebuild(home / "run", studies=[home / "study"]))


@pytest.fixture
def here(made, tmp_path):
    """A copy of it all, to be changed."""
    for name in ("run", "study", "empty", "open"):
        shutil.copytree(made / name, tmp_path / name)
    return SimpleNamespace(**{name: tmp_path / name for name in ("run", "study", "empty", "open")})


def page_of(run):
    return (run / "report.html").read_text(encoding="utf-8")


def numbers_of(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def words(html):
    text = re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", text.replace("\u00a0", " "))


def refused(here, study, kind=RunError):
    """The error of a study that must not join, after which the run is as it was."""
    before = {path: path.read_bytes() for path in sorted(here.run.rglob("*")) if path.is_file()}
    with pytest.raises(kind) as error:
        rebuild(here.run, studies=[study])
    assert {path: path.read_bytes() for path in sorted(here.run.rglob("*")) if path.is_file()} == before
    return str(error.value)


def test_a_study_joins_the_report_and_the_numbers(joined):
    block, own = numbers_of(joined.run)["reader_study"][0], numbers_of(joined.study)
    assert (block["id"], block["protocol_hash"]) == (own["study"]["id"], own["study"]["protocol_hash"])
    assert (block["cases"], block["readers"], block["finished"]) == (4, 2, 2)
    assert block["answers"] == block["asked"] == sum(reader["total"] for reader in own["readers"])
    for name in ("endpoints", "deviations", "findings"):
        assert block[name] == own[name]
    whole = [item for item in own["thresholds"] if item["scope"] == "all"]
    assert block["thresholds"] == [{name: item[name] for name in block["thresholds"][0]} for item in whole]
    assert any(item["model"]["sizes"] for item in block["thresholds"] if item["model"])
    file = (joined.study / "results.json").read_bytes()
    assert block["results_sha256"] == hashlib.sha256(file).hexdigest() and block["same_run_file"] is True
    assert (joined.run / block["kept"]).read_bytes() == file == (joined.run / block["results"]).read_bytes()
    assert (
        joined.done.results == read_results(joined.run / "results.json")
        and joined.done.results.reader_study[0].id == block["id"]
    )
    assert not RunFolder.existing(joined.run).damaged()


def test_the_section_is_that_of_the_studys_own_page(joined):
    page, own = page_of(joined.run), (joined.study / "report.html").read_text(encoding="utf-8")
    assert '<li><a href="#reader-study">Reader study</a></li>' in page
    part = page[page.index('<section id="reader-study">') : page.index('<section id="clean">')]
    assert "Do &lt;b&gt;they&lt;/b&gt; see it?" in part and "<b>they" not in page
    for table in re.findall(r"<tbody>.*?</tbody>", own, flags=re.S):
        assert table in part
    assert re.findall(r"<svg.*?</svg>", own, flags=re.S) == re.findall(r"<svg.*?</svg>", part, flags=re.S) != []
    names = re.findall(r'\sid="([^"]+)"', page)
    assert len(names) == len(set(names))
    links = set(re.findall(r'href="([^"]+)"', page))
    assert {link for link in links if not link.startswith("#")} == {
        "per_image.csv",
        numbers_of(joined.run)["reader_study"][0]["kept"],
    }
    assert {link[1:] for link in links if link.startswith("#")} <= set(names)
    assert not re.search(r"https?:|url\(|@import", page)
    opened = re.findall(r"<(h[1-6]|section|div|details|table|ul|dl|figure)\b", part)
    assert sorted(opened) == sorted(re.findall(r"</(h[1-6]|section|div|details|table|ul|dl|figure)>", part))


def test_nobody_is_named(joined):
    held = [path.read_bytes() for path in joined.run.rglob("*") if path.is_file()]
    assert all(name.encode() not in content for name in READERS for content in held)
    assert "R1" in words(page_of(joined.run)) and "R2" in words(page_of(joined.run))


def test_it_stays_until_it_is_taken_out(here, tissue, judged):
    before = {name: (here.run / name).read_bytes() for name in ("results.json", "report.html")}
    rebuild(here.run, studies=[here.study])
    joined = {name: (here.run / name).read_bytes() for name in before}
    shutil.rmtree(here.study)
    rebuild(here.run)
    assert {name: (here.run / name).read_bytes() for name in before} == joined != before
    # The audit, asked again, is finished; with another limit its pages are written anew.
    given = {"data": tissue, "model": judged, **ASKED}
    again = audit(out=here.run, require=["linf=16/255:0.01"], **given)
    assert len(again.results.reader_study) == 1 and 'id="reader-study"' in page_of(here.run)
    audit(out=here.run, **given)
    rebuild(here.run, forget_studies=True)
    assert {name: (here.run / name).read_bytes() for name in before} == before
    assert not (here.run / "reader_study.json").exists() and not list((here.run / "reader_study").glob("*"))


def test_several_studies_stand_in_the_order_in_which_they_came(here):
    rebuild(here.run, studies=[here.study])
    rebuild(here.run, studies=[here.empty])
    rebuild(here.run, studies=[here.study])
    titles = [item["title"] for item in numbers_of(here.run)["reader_study"]]
    assert titles == ["Do <b>they</b> see it?", "A second one"]
    page = page_of(here.run)
    names = re.findall(r'\sid="([^"]+)"', page)
    assert len(names) == len(set(names)) and {"reader-study", "reader-study-2"} <= set(names)
    assert "Reader study 1" in page and 'href="#reader-study-2">Reader study 2</a>' in page
    rebuild(here.run, studies=[here.empty], forget_studies=True)
    assert [item["title"] for item in numbers_of(here.run)["reader_study"]] == ["A second one"]
    assert len(list((here.run / "reader_study").glob("*.json"))) == 1
    with pytest.raises(UsageError, match="named twice"):
        rebuild(here.run, studies=[here.study, here.study])


def test_of_an_open_study_nothing_is_told(here):
    assert "percuss study close" in refused(here, here.open)
    # Not even where results lie about.
    for name in ("results.json", "report.html"):
        shutil.copy(here.study / name, here.open / name)
    assert "the study is open" in refused(here, here.open)
    assert "Nobody shall see this" not in page_of(here.run)


def test_a_study_without_results_names_the_next_step(here):
    (here.study / "results.json").unlink()
    assert f"percuss study results {here.study}" in refused(here, here.study)
    assert "cannot be read" in refused(here, here.run)


@pytest.mark.parametrize("what", ["run_id", "model (--model, --weights)"])
def test_a_study_of_another_run_is_refused(here, what):
    manifest = json.loads((here.run / "manifest.json").read_text())
    (manifest if what == "run_id" else manifest["identity"])[what] = "0123456789abcdef"
    (here.run / "manifest.json").write_text(json.dumps(manifest))
    said = refused(here, here.study)
    assert "made of another run" in said and "0123456789abcdef" in said


def test_results_that_are_not_the_studys_any_more_are_refused(here):
    file = here.study / "results.json"
    whole = file.read_text()
    file.write_text(whole.replace('"verdict": "not shown"', '"verdict": "non-inferior"', 1))
    assert "not what report.html beside it was drawn from" in refused(here, here.study)
    for name in ("results.json", "report.html"):
        shutil.copy(here.empty / name, here.study / name)
    said = refused(here, here.study)
    assert "of another study, of another protocol" in said and "of another audit trail" in said
    file.write_text("{")
    assert "no results file of a study" in refused(here, here.study)
    file.write_text(whole)
    (here.study / "report.html").unlink()
    assert "percuss study results" in refused(here, here.study)


def test_another_end_of_the_trail_or_another_protocol_is_seen(here):
    closed, public = here.study / "closed.json", here.study / "protocol.json"
    noted = json.loads(closed.read_text())
    closed.write_text(json.dumps(noted | {"number": noted["number"] + 1}))
    assert "of another audit trail" in refused(here, here.study)
    closed.write_text(json.dumps(noted))
    public.write_text(json.dumps(json.loads(public.read_text()) | {"hash": "0" * 64}))
    assert "of other amendments" in refused(here, here.study)


def test_a_run_written_anew_since_is_said_to_be(here, tissue, judged):
    given = {"data": tissue, "model": judged, **ASKED}
    audit(out=here.run, require=["linf=16/255:0.01"], **given)
    rebuild(here.run, studies=[here.study])
    assert numbers_of(here.run)["reader_study"][0]["same_run_file"] is False
    assert "results.json was written anew since the study was made of it" in words(page_of(here.run))
    audit(out=here.run, **given)
    rebuild(here.run, studies=[here.study])
    assert numbers_of(here.run)["reader_study"][0]["same_run_file"] is True
    assert "written anew" not in words(page_of(here.run))


def test_a_study_may_be_made_of_a_run_that_others_have_joined(here):
    file, content = here.run / "results.json", (here.run / "results.json").read_bytes()
    plain = hashlib.sha256(content).hexdigest()
    rebuild(here.run, studies=[here.study])
    first = hashlib.sha256(file.read_bytes()).hexdigest()
    rebuild(here.run, studies=[here.empty])
    both = hashlib.sha256(file.read_bytes()).hexdigest()
    assert _hashes(file) == {plain, first, both}
    file.write_text("[]")
    assert _hashes(file) == set()


def test_what_a_run_keeps_of_a_study_is_looked_at(here):
    rebuild(here.run, studies=[here.study])
    kept = here.run / numbers_of(here.run)["reader_study"][0]["kept"]
    kept.write_bytes(kept.read_bytes().replace(b'"not shown"', b'"non-inferior"', 1))
    with pytest.raises(RunError, match="gone or changed.*--no-study"):
        rebuild(here.run)
    rebuild(here.run, studies=[here.study])
    (here.run / "reader_study.json").write_text("[1]")
    with pytest.raises(RunError, match="list of the run's reader studies.*--no-study --study STUDY"):
        rebuild(here.run, studies=[here.study])
    rebuild(here.run, studies=[here.study], forget_studies=True)
    assert len(numbers_of(here.run)["reader_study"]) == 1


def test_no_package_of_the_extra_is_needed(here, monkeypatch):
    monkeypatch.setattr("percuss.study.extra._PACKAGES", ("no_such_package",))
    rebuild(here.run, studies=[here.study])
    assert 'id="reader-study"' in page_of(here.run)
