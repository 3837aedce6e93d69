"""Figures of a recipe: drawn from the steps, with published points, in files and in the one page."""

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from PIL import Image

from percuss.core.errors import UsageError
from percuss.pipeline.recipe import read_recipe
from percuss.pipeline.reproduce import reproduce
from percuss.report.numbers import percent, share
from percuss.report.schema import read_results
from percuss.report.sections import Panel
from percuss.report.study_figures import Figure, figure_sections, sheet

NETWORK = """
from torch import nn

def small(classes=2, **_):
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(16, classes))
"""
TINY = """
name = "drawn"
title = "A study with figures"
paper = "Nobody, nowhere"

[values]
synthetic = "synthetic:tissue?n=48&size=48&patients=8&mpp=1"

[[steps]]
id = "train"
kind = "train"
options = { model = "factory:drawn_network:small", epochs = 2, lr = 0.02, warmup = 0.0 }

[[steps]]
id = "attack"
kind = "audit"
on = ["train"]
options = { attacks = ["fgsm", "noise"], budgets = "linf=2/255,32/255", protocol = "$protocol", checks = "off" }

[[steps]]
id = "all"
kind = "audit"
on = ["train"]
only = "corrected"
options = { attacks = ["fgsm"], budgets = ["linf=32/255"], checks = "off", split = "val" }

[[steps]]
id = "change"
kind = "universal"
on = ["train"]
only = "corrected"
options = { budget = "linf=16/255", epochs = 1 }

[[steps]]
id = "triage"
kind = "triage"
on = ["attack"]
only = "corrected"
options = { sizes = "0.01:0.1:3" }

[[steps]]
id = "explain"
kind = "explain"
on = ["attack"]
only = "corrected"
options = { what = ["saliency", "landscape"], images = 2, points = 3, samples = 4 }

[[figures]]
id = "curve"
title = "Curves"
kind = "curve"
of = ["attack"]
attacks = ["fgsm", "noise"]
panels = "attack"
caption = "Ours."
paper = "Theirs."
published = [
  { name = "CT (paper)", attack = "fgsm", data = ["ct"], points = [[0.05, 0.25]] },
  { name = "MRI (paper)", attack = "fgsm", data = ["mri"], points = [[0.05, 0.75]] },
  { name = "other (paper)", attack = "pgd", points = [[0.05, 0.75]] },
]

[[figures]]
id = "shots"
title = "Pictures"
kind = "pictures"
of = ["attack"]
label = ["the attack"]
cases = 2

[[figures]]
id = "maps"
title = "Maps"
kind = "maps"
of = ["explain"]

[[figures]]
id = "plane"
title = "Plane"
kind = "plane"
of = ["explain"]

[[figures]]
id = "landscape"
title = "Landscape"
kind = "landscape"
of = ["explain"]

[[figures]]
id = "risk"
title = "Risk"
kind = "risk"
of = ["triage"]

[[figures]]
id = "one"
title = "One change"
kind = "change"
of = ["change"]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("figures")
    (home / "drawn_network.py").write_text(NETWORK)
    (home / "drawn.toml").write_text(TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield home


def run(home, out, **options):
    return reproduce(str(home / "drawn.toml"), out=out, allow_code=True, threads=1, **options)


@pytest.fixture(scope="module")
def done(home, tmp_path_factory):
    return run(home, tmp_path_factory.mktemp("drawn") / "run")


@pytest.fixture(scope="module")
def as_published(home, tmp_path_factory):
    return run(home, tmp_path_factory.mktemp("paper") / "run", protocol="paper")


def test_every_figure_has_its_files_and_its_place_in_the_page(done):
    found = {item["id"]: item for item in json.loads((done.path / "results.json").read_text())["figures"]}
    assert list(found) == ["curve", "shots", "maps", "plane", "landscape", "risk", "one"]
    assert {name: item["files"] for name, item in found.items()} == {
        "curve": ["figures/curve.svg"],
        "shots": ["figures/shots.png"],
        "maps": ["figures/maps.png"],
        "plane": [],
        "landscape": ["figures/landscape.svg"],
        "risk": ["figures/risk.svg"],
        "one": ["figures/one.png"],
    }
    manifest = json.loads((done.path / "manifest.json").read_text())["files"]
    for name in [file for item in found.values() for file in item["files"]]:
        content = (done.path / name).read_bytes()
        assert name in manifest
        if name.endswith(".svg"):
            assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
        else:
            assert Image.open(io.BytesIO(content)).width > 200
    page = done.report.read_text()
    for text in ("Ours.", "The paper&#39;s figure: Theirs.", "the attack: ", "saliency before", "saliency after"):
        assert text in page
    # One file: pictures within, links only to the run's own pages.
    assert not re.search(r'(?:src|href)="(?!data:)[^"]*:', page) and page.count("data:image/png") >= 2 * 3 + 2 * 4 + 1


def test_a_figure_that_cannot_be_drawn_says_why(done, as_published):
    missing = {item.id: item.missing for item in done.results.figures if item.missing}
    assert list(missing) == ["plane"] and "made no such part" in missing["plane"][""]
    lost = {item.id: item.missing[""] for item in as_published.results.figures if item.missing}
    assert "the step triage is not part of the paper protocol" in lost["risk"]
    assert "Not drawn: no step to draw from" in as_published.report.read_text()


def test_curves_are_those_of_the_audit_with_intervals_and_published_points(done):
    points = read_results(done.path / "attack" / "results.json").curves
    chart = (done.path / "figures" / "curve.svg").read_text()
    for point in points:
        if point.attack in ("fgsm", "noise"):
            assert f"{point.attack}, {point.budget}: {share(point.robust_accuracy)}" in chart
    assert chart.count("<rect x=") == 2 and "CT (paper), 0.05: 25.0%" in chart and "other (paper)" not in chart
    assert 'class="line bars a0"' in chart and "no attack" in chart


def test_under_the_papers_protocol_curves_are_scored_as_published(done, as_published):
    """With two classes a flip turns clean errors right, so the drawn line cannot fall to nothing; ours does."""
    (floor,) = [item for item in as_published.results.findings if item.id == "floor-at-clean-error"]
    scored = floor.evidence["accuracy_as_published"]["fgsm linf=32/255"]
    ours = read_results(done.path / "attack" / "results.json")
    (strict,) = [p.robust_accuracy.value for p in ours.curves if (p.attack, p.budget) == ("fgsm", "linf=32/255")]
    assert scored > strict
    chart = (as_published.path / "figures" / "curve.svg").read_text()
    assert f"fgsm, linf=32/255: {percent(scored, ours.data.n_images)}<" in chart
    assert "clean error" in chart and "no attack" not in chart


def test_named_data_sets_have_their_own_files_and_published_points(home, tmp_path):
    set_ = "synthetic:tissue?n=24&size=48&patients=8&mpp=1"
    path = run(home, tmp_path / "run", data=[f"ct={set_}", f"mri={set_}&seed=1"], protocol="paper").path
    charts = {name: (path / "figures" / f"curve-{name}.svg").read_text() for name in ("ct", "mri")}
    assert ["CT (paper)" in charts["ct"], "MRI (paper)" in charts["ct"]] == [True, False]
    assert ["CT (paper)" in charts["mri"], "MRI (paper)" in charts["mri"]] == [False, True]
    assert "ct, fgsm, largest change" in (path / "report.html").read_text()


def test_pictures_beyond_the_limit_stay_out_of_the_page_and_are_named(done):
    record = next(item for item in done.results.figures if item.id == "shots")
    panels = tuple(Panel(f"case {k}", pictures=(("original", bytes(100)),)) for k in range(3))
    (section,) = figure_sections([Figure(record, panels)], limit=250)
    assert len(section.panels) == 2
    assert "1 rows of pictures were left out to keep this file small: figures/shots.png." in section.paragraphs[-1]


def test_a_sheet_shows_small_pictures_enlarged_and_large_ones_whole():
    def png(width, height):
        file = io.BytesIO()
        Image.new("RGB", (width, height), "#123456").save(file, format="PNG")
        return file.getvalue()

    row = Panel("case", pictures=(("small", png(32, 32)), ("large", png(512, 256))))
    made = Image.open(io.BytesIO(sheet([row, replace(row, title="again")])))
    assert made.size == (2 * 234 + 10, 2 * (40 + 224 + 20))
    assert made.getpixel((12, 42)) == made.getpixel((300, 100)) == (0x12, 0x34, 0x56)
    assert made.getpixel((300, 40 + 200)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('of = ["triage"]', 'of = ["attack"]', "figures.5.of"),
        ('of = ["change"]', 'of = ["chnge"]', "figures.6.of"),
        ('label = ["the attack"]', 'label = ["one", "two"]', "figures.1.label"),
        ('kind = "risk"', 'kind = "risks"', "figures.5.kind"),
    ],
)
def test_a_wrong_figure_is_named_with_its_key(tmp_path, old, new, key):
    path = tmp_path / "mine.toml"
    assert TINY.count(old) == 1
    path.write_text(TINY.replace(old, new))
    with pytest.raises(UsageError, match=r"recipe mine\.toml") as caught:
        read_recipe(path)
    assert key in str(caught.value)
