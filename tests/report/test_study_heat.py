"""Figures of recipes on heat maps: tiles with their maps, AUC-PR over sizes, kernels of a code, transfer as bars."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fake_heat import write_code
from fake_run import Fake, build
from PIL import Image

from percuss.core.errors import RunError
from percuss.core.recipe import DRAWN_FROM, FigureSpec, PublishedLine
from percuss.core.results import Interval
from percuss.report.bars import Bars, bar_chart
from percuss.report.schema import read_results
from percuss.report.sections import write_sections
from percuss.report.study_curves import Ground
from percuss.report.study_figures import Figure, FigureRecord, draw, figure_sections, files_of

SEEN = Fake(n=12, task="heatmap", side=64, patients=3, attacks=("bim", "noise"), budgets=("linf=1/255", "l2=2", "l2=8"))


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build(tmp_path_factory.mktemp("heat") / "run", SEEN)
    write_code(folder)
    return folder


def ground(*folders: Path) -> Ground:
    return Ground(tuple((f"deep{number}", path) for number, path in enumerate(folders)), "tiles", True, "corrected")


def test_tiles_stand_with_truth_maps_and_the_amplified_change(audit: Path) -> None:
    spec = FigureSpec(id="f6", title="Heat maps", kind="heat", of=("deep",), cases=4)
    panels = draw(spec, ground(audit))
    assert DRAWN_FROM["heat"] == "audit" and len(panels) == 4
    heads = [[caption for caption, _ in panel.pictures] for panel in panels]
    assert all(head[0] == "tile" and head[2].startswith("difference, times ") for head in heads)
    assert all(head[3:] == ["truth", "heat map before", "heat map after, as stored"] for head in heads)
    assert {"linf", "l2"} == {head[1].removeprefix("attacked, ").split("=")[0] for head in heads}
    assert "in tumour cells" in panels[0].lines[0] and "the probability of tumour" in panels[0].lines[0]
    ((end, content),) = files_of(panels)
    with Image.open(io.BytesIO(content)) as shown:
        assert end == ".png" and shown.width > 6 * 224


def test_auc_pr_over_sizes_has_the_null_model_and_published_points(audit: Path) -> None:
    said = PublishedLine(name="paper, own attack", points=((8.0, 0.69),), norm="l2")
    what = {"title": "AUC-PR", "kind": "curve", "of": ("deep",), "measure": "auc_pr", "attacks": ("worst", "noise")}
    spec = FigureSpec(id="f10", published=(said,), **what)
    panels = draw(spec, ground(audit))
    heat = read_results(audit / "results.json").heat
    assert heat is not None and len(panels) == 2
    euclid = str(panels[1].chart)
    ElementTree.fromstring(euclid)
    assert f"null model: {heat.null:.3f}" in euclid and 'class="level floor"' in euclid
    assert "grey levels rms" in euclid and "paper, own attack" in euclid and 'class="line noise"' in euclid
    point = next(p for p in heat.points if (p.attack, p.budget, p.stored) == ("worst", "l2=8", True))
    assert f"worst, l2=8: {100 * (point.auc_pr.value or 0):.0f}" in euclid


def test_kernels_keep_their_width_and_features_follow(audit: Path, tmp_path: Path) -> None:
    spec = FigureSpec(id="f5", title="Dictionary", kind="dictionary", of=("sparse",))
    panels = draw(spec, ground(audit))
    assert [panel.wide for panel in panels] == [True, False]
    assert panels[0].pictures[0][0] == "24 kernels of 8 × 8" and "Active coefficients: 1.1 %" in panels[0].lines[0]
    ((_, content),) = files_of(panels)
    with Image.open(io.BytesIO(content)) as shown, Image.open(audit / "code" / "dictionary.png") as kernels:
        # pasted pixel by pixel below the caption
        assert shown.crop((10, 40, 10 + kernels.width, 40 + kernels.height)).tobytes() == kernels.tobytes()
    record = FigureRecord(id="f5", title="Dictionary", kind="dictionary", caption="", paper="", files=())
    made = figure_sections([Figure(record, tuple(panels))])
    html = write_sections(tmp_path / "page.html", made, title="t", meta="m", version="1").read_text(encoding="utf-8")
    assert html.count('<div class="wide">') == 1 and html.count('<div class="shots">') == 1


def test_other_runs_have_neither(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", Fake(n=4, images=False))
    with pytest.raises(RunError, match="nothing to show"):
        draw(FigureSpec(id="a", title="a", kind="dictionary", of=("x",)), ground(folder))
    with pytest.raises(RunError, match="judged no heat maps"):
        draw(FigureSpec(id="a", title="a", kind="heat", of=("x",)), ground(folder))
    with pytest.raises(RunError, match="no AUC-PR"):
        draw(FigureSpec(id="a", title="a", kind="curve", of=("x",), measure="auc_pr"), ground(folder))


def interval(value: float | None) -> dict[str, object]:
    low, high = (None, None) if value is None else (value - 0.02, value + 0.02)
    return {"value": value, "low": low, "high": high, "n": 9, "method": "bootstrap"}


def cell(source: str, target: str, attack: str, value: float | None) -> dict[str, object]:
    what = {"source": source, "target": target, "attack": attack, "norm": "l2", "budget": "l2=25", "eps": 25.0}
    return what | {"robust": interval(0.5), "auc_pr_stored": None if value is None else interval(value)}


def test_transfer_as_bars_holds_every_source_and_target(tmp_path: Path) -> None:
    cells = [
        cell("deep", "deep", "rescaled_fgsm", 0.69),
        cell("deep", "sparse", "rescaled_fgsm", 0.90),
        cell("sparse", "deep", "sparse_code", 0.91),
        cell("sparse", "sparse", "sparse_code", 0.65),
        cell("noise", "deep", "noise", 0.96),
        cell("noise", "sparse", "noise", None),
    ]
    heat = {"null": 0.27, "slides": 1, "clean": {"deep": interval(0.97), "sparse": interval(0.94)}}
    (tmp_path / "results.json").write_text(json.dumps({"cells": cells, "heat": heat}), encoding="utf-8")
    spec = FigureSpec(id="f10", title="Transfer", kind="matrix", of=("both",))
    (panel,) = draw(spec, ground(tmp_path))
    chart = str(panel.chart)
    ElementTree.fromstring(chart)
    assert DRAWN_FROM["matrix"] == "transfer" and "null model: 0.270" in chart
    told = ["deep, no attack: 97.0", "sparse, no attack: 94.0", "deep, made on deep by rescaled_fgsm: 69.0"]
    told += ["sparse, made on deep by rescaled_fgsm: 90.0", "deep, made on sparse by sparse_code: 91.0"]
    told += ["sparse, made on sparse by sparse_code: 65.0", "deep, noise: 96.0 [94.0, 98.0]"]
    assert all(f"<title>{text}" in chart for text in told) and chart.count("<title>") == len(told)
    plain = {"cells": [item | {"auc_pr_stored": None} for item in cells]}
    (tmp_path / "results.json").write_text(json.dumps(plain), encoding="utf-8")
    (panel,) = draw(spec, ground(tmp_path))
    assert "images still right" in str(panel.chart) and "no attack" not in str(panel.chart)


def test_bars_stand_as_high_as_their_values() -> None:
    full, none = Interval(value=1.0, low=None, high=None, n=2, method=""), None
    chart = ElementTree.fromstring(
        str(bar_chart(["a", "b"], [Bars("one", "a0", (full, none))], side="share", label="x"))
    )
    drawn = [rect for rect in chart.iter("rect") if rect.get("width") == "26"]
    assert len(drawn) == 1 and float(drawn[0].get("height", 0)) == 238
