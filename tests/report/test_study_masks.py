"""Figures of recipes on class maps: learning curves of several trainings, and pictures of truth, before and after."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from fake_run import Fake, build
from PIL import Image

from percuss.core.errors import RunError
from percuss.core.recipe import DRAWN_FROM, FigureSpec
from percuss.report.line_chart import Series, line_chart, scale_of
from percuss.report.study_curves import Ground
from percuss.report.study_figures import draw, files_of

NAMES = ("background", "nucleus", "ring")


def training(folder: Path, columns: dict[str, list[float]], best: int) -> Path:
    folder.mkdir(parents=True)
    epochs = range(1, 1 + len(next(iter(columns.values()))))
    pd.DataFrame({"epoch": epochs} | columns).to_csv(folder / "history.csv", index=False)
    (folder / "training.json").write_text(json.dumps({"best_epoch": best}), encoding="utf-8")
    return folder


def ground(*steps: tuple[str, Path], alone: bool = True) -> Ground:
    return Ground(steps, "consep", alone, "corrected")


def test_learning_curves_have_a_line_for_each_training(tmp_path: Path) -> None:
    plain = {"train_loss": [1.0, 0.5, 0.25], "val_loss": [1.1, 0.7, 0.8], "val_dice": [0.2, 0.5, 0.45]}
    robust = plain | {"robust_dice": [0.1, 0.2, 0.3]}
    steps = (
        ("plain", training(tmp_path / "a", plain, 2)),
        ("hardened", training(tmp_path / "b", robust, 3)),
    )
    spec = FigureSpec(id="f6", title="Learning", kind="learning", of=("train",))
    panels = draw(spec, ground(*steps))
    assert [panel.title for panel in panels] == [
        "loss on training images",
        "loss on validation images",
        "mean Dice on validation images",
        "mean Dice on attacked validation images",
    ]
    assert DRAWN_FROM["learning"] == "train"
    for panel, lines in zip(panels, (2, 2, 2, 1), strict=True):
        ElementTree.fromstring(str(panel.chart))
        assert str(panel.chart).count('<g class="line') == lines
        assert str(panel.chart).count('r="6"') == lines  # each with the epoch that is kept
    assert "<title>plain, 2: 0.5</title>" in str(panels[2].chart)
    assert [end for end, _ in files_of(panels)] == ["-1.svg", "-2.svg", "-3.svg", "-4.svg"]
    assert draw(spec, ground(*steps, alone=False))[0].title == "consep, loss on training images"


def test_whole_images_have_accuracy_and_half_a_training_is_refused(tmp_path: Path) -> None:
    spec = FigureSpec(id="f6", title="Learning", kind="learning", of=("train",))
    made = training(tmp_path / "a", {"train_loss": [1.0], "val_loss": [float("nan")], "val_accuracy": [0.5]}, 1)
    assert [panel.title for panel in draw(spec, ground(("one", made)))] == [
        "loss on training images",
        "accuracy on validation images",
    ]
    (made / "history.csv").unlink()
    with pytest.raises(RunError, match="cannot be drawn"):
        draw(spec, ground(("one", made)))


def test_heights_follow_the_values() -> None:
    """A value twice as large stands twice as high; over twentyfold spans, equal ratios are equal distances."""
    plain = scale_of([0.0, 0.4, 0.8], share=False)
    assert plain.place(0.8) - plain.place(0.4) == pytest.approx(plain.place(0.4) - plain.place(0.0))
    wide = scale_of([0.01, 5.0], share=False)
    assert (wide.low, wide.high, wide.ratios) == (0.01, 10.0, True)
    assert wide.place(1) - wide.place(0.1) == pytest.approx(wide.place(0.1) - wide.place(0.01))
    assert scale_of([0.3], share=True).ticks == (0.0, 0.25, 0.5, 0.75, 1.0)
    low = scale_of([-3.0, 2.0], share=False)
    assert low.low <= -3 and low.high >= 2 and low.place(-3) > low.place(2)
    assert scale_of([0.0, 0.0], share=False).high > 0


def test_a_value_that_is_not_finite_is_left_out_and_names_do_not_overlap() -> None:
    lines = [Series(f"line {number}", ((1, 0.5), (2, float("inf")), (3, 0.5))) for number in range(6)]
    svg = str(line_chart(lines, across="epoch", up="loss", label="six equal lines"))
    places = sorted(float(y) for y in re.findall(r'<text class="name a\d" x="\d+" y="([\d.]+)"', svg))
    assert len(places) == 6 and min(np.diff(places)) >= 13.9
    assert "inf" not in svg


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fake = Fake(n=12, task="segment", classes=NAMES, side=40, attacks=("pgd", "noise"))
    return build(tmp_path_factory.mktemp("masks") / "run", fake)


def test_masks_are_drawn_beside_the_truth(audited: Path) -> None:
    spec = FigureSpec(id="f8", title="Predictions", kind="masks", of=("attack",), cases=3)
    panels = draw(spec, ground(("plain", audited)))
    assert len(panels) == 3 and DRAWN_FROM["masks"] == "audit"
    for panel in panels:
        captions = [caption for caption, _ in panel.pictures]
        assert captions[2] == "truth" and captions[-1] == "before against after" and len(captions) == 6
        assert re.search(r"Dice [01]\.\d{3} before, 0\.\d{3} after", panel.title)
        assert "nucleus in orange, ring in green" in panel.lines[0]
        case = re.search(r"patch-(\d+)", panel.title)
        assert case
        truth = np.asarray(Image.open(next((audited / "maps" / "truth").glob(f"*{case[1]}.png"))))
        shown = np.asarray(Image.open(io.BytesIO(panel.pictures[2][1])).convert("RGB")).astype(int)
        coloured = np.ptp(shown, axis=2) > 0
        assert np.array_equal(coloured, truth > 0)
    ((end, sheet),) = files_of(panels)
    assert end == ".png" and Image.open(io.BytesIO(sheet)).width > 6 * 224


def test_masks_of_an_audit_of_whole_images_are_refused(tmp_path: Path) -> None:
    spec = FigureSpec(id="f8", title="Predictions", kind="masks", of=("attack",))
    with pytest.raises(RunError, match="no class maps"):
        draw(spec, ground(("plain", build(tmp_path / "run", Fake(n=6)))))
