"""The report of a run: complete in itself, readable, honest; in ordinary and in awkward cases."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fake_run import Fake, build

from percuss.attacks.alarms.run import IDS
from percuss.core.errors import RunError
from percuss.core.results import Check
from percuss.report.page import write_report
from percuss.report.remedies import REMEDIES
from percuss.report.schema import read_results, write_results

VOID = {"meta", "img", "br", "input", "link", "hr"}


class Reader(HTMLParser):
    """Collects ids, links, sources and text, and refuses elements that are not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag in ("p",) and "p" in self.open:
            raise AssertionError("a paragraph inside a paragraph")
        if "p" in self.open and tag in ("div", "details", "table", "ul", "dl", "figure"):
            raise AssertionError(f"{tag} inside a paragraph")
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if found.get("href"):
            self.links.append(str(found["href"]))
        if found.get("src"):
            self.sources.append(str(found["src"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


def read(folder: Path, fake: Fake) -> tuple[str, Reader, str]:
    html = write_report(build(folder, fake)).read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(html)
    assert not reader.open
    return html, reader, re.sub(r"\s+", " ", "".join(reader.text).replace("\u00a0", " "))


CASES = {
    "usual": Fake(),
    "all norms": Fake(n=30, budgets=("linf=1/255", "linf=8/255", "l2=0.1", "l2=rms:0.01", "l1=10", "l0=1%", "none")),
    "none only": Fake(n=20, budgets=("none",)),
    "below storage": Fake(n=20, budgets=("linf=0.25/255", "linf=0.5/255"), hardness=0.2),
    "no flip": Fake(n=20, hardness=1e9),
    "one image": Fake(n=1, patients=1),
    "no auc": Fake(n=20, auc=False, patients=None, images=False),
    "multilabel": Fake(n=20, task="multilabel", classes=("effusion", "nodule", "mass")),
    "many classes": Fake(n=40, classes=tuple(f"class {i}" for i in range(7))),
    "16 bit": Fake(n=20, sixteen=True, side=40),
    "severe": Fake(n=20, findings=(("no-gradient", "severe", "The attacks were blind."), ("a", "info", "Fine."))),
    "noise only": Fake(n=20, attacks=("noise",), images=False, findings=()),
    "masks": Fake(n=10, task="segment", classes=("background", "tumour", "stroma", "mitosis"), side=40),
    "masks, all norms": Fake(
        n=8,
        task="segment",
        classes=("background", "nucleus", "ring"),
        budgets=("linf=1/255", "l2=0.1", "none"),
        side=40,
    ),
    "no noise": Fake(n=20, attacks=("pgd",), findings=()),
    "heat maps": Fake(n=6, task="heatmap", side=64, patients=3, attacks=("bim", "noise"), budgets=("l2=4", "none")),
}


@pytest.mark.parametrize("name", CASES)
def test_every_page_is_whole_offline_and_light(tmp_path: Path, name: str) -> None:
    html, reader, _ = read(tmp_path / "run", CASES[name])
    assert len(reader.ids) == len(set(reader.ids))
    for link in reader.links:
        assert link == "per_image.csv" or (link.startswith("#") and link[1:] in reader.ids), link
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    assert "link" not in reader.tags and "iframe" not in reader.tags
    assert not re.search(r"https?:", html), "an address that a browser could fetch"
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", html)
    assert len(html.encode()) < 20_000_000
    assert "nan" not in re.sub(r"data:image[^\"]*|<script.*?</script>", "", html, flags=re.S).lower().split()


def test_verdict_says_what_a_head_of_department_needs(tmp_path: Path) -> None:
    _, _, text = read(tmp_path / "run", Fake())
    assert "The model timm:resnet18 was tested on 96 images of 24 patients from folder:pcam_patches, split test" in text
    found = re.search(
        r"A change of one grey level out of 255, which a saved 8-bit image can hold, flips (\d+) of (\d+) images", text
    )
    assert found
    assert f"{found[1]} of {found[2]}" in text
    assert "Not tested: attacks without access to the model (black box)" in text
    assert "No requirement was set" in text


def test_verdict_in_awkward_cases(tmp_path: Path) -> None:
    _, _, below = read(tmp_path / "below", CASES["below storage"])
    assert "which a saved 8-bit image cannot hold, flips" in below
    assert "Rounded to what can be stored, it flips 0 of" in below
    _, _, none = read(tmp_path / "none", CASES["none only"])
    assert "A change of any size flips" in none
    _, _, safe = read(tmp_path / "safe", CASES["no flip"])
    assert "flips none of the" in safe
    assert "a better one may still flip" in safe
    _, _, one = read(tmp_path / "one", CASES["one image"])
    assert "was tested on one image of one patient" in one
    _, _, unknown = read(tmp_path / "unknown", CASES["no auc"])
    assert "20 images (patients unknown)" in unknown
    assert "AUCnot defined" in unknown
    assert "No attacked images were kept" in unknown


def test_noise_alone_is_not_called_an_attack(tmp_path: Path) -> None:
    html, _, text = read(tmp_path / "run", CASES["noise only"])
    assert "No attack was run, so it is not known how small a change flips its decisions." in text
    assert "Random noise only: no attack was run in this norm." in text
    assert "<td>not attacked</td>" in html and "<td>never flipped</td>" not in html
    assert "Share of images flipped within" not in html and "still right, as float" in html


def test_one_image_is_spoken_of_as_one(tmp_path: Path) -> None:
    _, _, text = read(tmp_path / "run", CASES["one image"])
    assert re.search(r"Without any attack it is (right|wrong) on it\.", text)
    assert not re.search(
        r"of the one image|none of 1\b|on [01] of 1 images|Half of the images", text.split("Findings")[0]
    )


def test_network_from_python_is_repeated_in_python(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", CASES["no noise"])
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    results["model"]["spec"] = "module"
    results["environment"].pop("command", None)
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    html = write_report(folder).read_text(encoding="utf-8")
    assert "The model given in Python was tested" in html and "percuss.audit(data=" in html


def test_long_names_may_wrap(tmp_path: Path) -> None:
    html, _, _ = read(tmp_path / "run", Fake(n=20, id_prefix="a-long-folder/" * 4, images=False))
    assert '<td class="long">a-long-folder/' in html


def test_severe_finding_stands_above_the_number(tmp_path: Path) -> None:
    html, _, text = read(tmp_path / "run", CASES["severe"])
    assert "The numbers of this report cannot be trusted." in text
    assert html.index("cannot be trusted") < html.index('class="big"')
    assert 'class="opening doubtful"' in html
    assert "cannot be trusted" not in read(tmp_path / "fine", CASES["usual"])[2]


def test_pictures_are_the_files_that_were_judged(tmp_path: Path) -> None:
    html, reader, _ = read(tmp_path / "run", Fake(n=40, side=32))
    embedded = {hashlib.sha256(base64.b64decode(source.split(",")[1])).hexdigest() for source in reader.sources}
    shown = re.findall(r"(images/[^<]+png)<br>sha256 ([0-9a-f]{64})", html)
    assert shown
    for file, digest in shown:
        assert hashlib.sha256((tmp_path / "run" / file).read_bytes()).hexdigest() == digest
        assert digest in embedded


def test_deep_images_are_labelled_as_renditions(tmp_path: Path) -> None:
    _, _, text = read(tmp_path / "run", CASES["16 bit"])
    assert "8-bit rendition for the browser; the hash is of the stored file" in text
    assert "a saved 16-bit image" in text


def test_size_is_limited_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("percuss.report.gallery.BYTE_LIMIT", 40_000)
    _, reader, text = read(tmp_path / "run", Fake(n=40, side=32))
    assert 0 < sum(len(source) for source in reader.sources) <= 40_000
    assert "more cases were left out to keep this file small" in text


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>&\"'"
    fake = replace(
        CASES["severe"],
        id_prefix=evil.replace("/", ""),
        classes=(evil, "<b>tumour</b>"),
        findings=(("x", "severe", evil),),
        images=False,
    )
    html, reader, text = read(tmp_path / "run", fake)
    assert "alert(1)</script>" not in html
    assert "<b>" not in html
    assert evil in text
    assert reader.tags.count("script") == 2


def test_missing_picture_is_a_note_not_a_failure(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", Fake(n=12, side=24))
    for path in (folder / "images" / "original").iterdir():
        path.write_bytes(b"broken")
    assert "cannot be shown" in write_report(folder).read_text()


def test_ten_thousand_rows_stay_usable(tmp_path: Path) -> None:
    fake = Fake(n=10_000, attacks=("pgd",), budgets=("linf=1/255",), images=False)
    html, reader, _ = read(tmp_path / "run", fake)
    assert len(html) < 3_000_000
    assert 200 < reader.tags.count("tr") < 300
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)
    assert found and len(json.loads(found[1])) == 10_000
    assert "first 200 of 10\u00a0000 lines" in html


def test_requirements_alone_pass_or_fail(tmp_path: Path) -> None:
    fake = replace(
        CASES["no noise"],
        requirements=(
            {"text": "robust accuracy at linf=2/255 at least 0.6", "passed": False, "value": 0.26},
            {"text": "clean accuracy at least 0.9", "passed": True},
        ),
    )
    _, _, text = read(tmp_path / "run", fake)
    assert "not met robust accuracy at linf=2/255 at least 0.6 (value 0.26)" in text
    assert "met clean accuracy" in text
    assert "No requirement was set" not in text


def test_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no results yet.*percuss audit"):
        write_report(tmp_path)
    folder = build(tmp_path / "run", CASES["one image"])
    (folder / "rows.parquet").write_bytes(b"half")
    with pytest.raises(RunError, match=r"rows\.parquet cannot be read"):
        write_report(folder)


def test_severe_finding_makes_the_verdict_invalid_and_says_what_to_do(tmp_path: Path) -> None:
    _, _, text = read(tmp_path / "run", Fake(n=20, findings=(("zero-gradients", "severe", "12 of 20 are blind."),)))
    assert "INVALID" in text and "name a stand-in for it" in text
    assert "INVALID" not in read(tmp_path / "fine", CASES["usual"])[2]


def test_checks_are_listed_flagged_or_not(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", Fake(n=6, images=False))
    results = read_results(folder / "results.json")
    record = {"id": "noisy-loss", "check": "the loss is smooth", "severity": "info", "message": "roughness 0.1"}
    checks = [Check(**record, flagged=False), Check(**record | {"severity": "severe"}, flagged=True)]
    write_results(results.model_copy(update={"checks": checks}), folder / "results.json")
    html = write_report(folder).read_text(encoding="utf-8")
    assert "2 made, 1 flagged" in html and "the loss is smooth" in html
    assert "Checks that gradients" not in (build(tmp_path / "b", Fake(n=6)) / "results.json").read_text()


def test_every_alarm_has_its_remedy() -> None:
    assert set(IDS) <= set(REMEDIES)


def test_cases_left_out_by_the_reader_are_counted(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", CASES["no noise"])
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert "left out of the whole set" not in write_report(folder).read_text(encoding="utf-8")
    results["data"]["dropped"] = {"one to four neoplastic nuclei": 12, "empty": 3}
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    html = write_report(folder).read_text(encoding="utf-8")
    assert "left out of the whole set: 15" in html and "one to four neoplastic nuclei" in html
