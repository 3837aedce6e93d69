"""Class maps in the report: pictures that show what the maps hold, and the words and tables around them."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_run import Fake, build
from PIL import Image

from percuss.core.dense import IGNORE
from percuss.core.errors import RunError
from percuss.report.mask_rows import load_masks, worst_images
from percuss.report.masks import COLOURS, FATES, edges, fate, fates, grey, legend, overlay, shares
from percuss.report.numbers import class_text, share
from percuss.report.page import write_report
from percuss.report.schema import read_results
from percuss.report.verdict import headline

NAMES = ("background", "tumour", "stroma", "mitosis")
SEEN = Fake(n=16, task="segment", classes=NAMES, patients=16, side=40, attacks=("pgd", "noise"))


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def colour(text: str) -> tuple[int, ...]:
    return tuple(int(text[place : place + 2], 16) for place in (1, 3, 5))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = build(tmp_path_factory.mktemp("masks") / "run", SEEN)
    html = write_report(folder).read_text(encoding="utf-8")
    return folder, html, re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).replace("\u00a0", " ")


def test_outlines_have_the_colour_of_their_class_and_background_stays_grey() -> None:
    classes = np.zeros((9, 9), np.uint8)
    classes[2:7, 2:7] = 2
    classes[0, 0] = IGNORE
    found = pixels(overlay(np.full((9, 9), 0.5), classes))
    assert tuple(found[2, 4]) == colour(COLOURS[1])
    assert len(set(found[8, 8].tolist())) == 1
    inside = found[4, 4].astype(float)
    assert 0 < np.abs(inside - found[8, 8]).max() < np.abs(found[2, 4].astype(float) - found[8, 8]).max()
    assert found[0, 0].max() < found[8, 8].max() / 2


def test_the_same_edges_as_by_looking_at_each_neighbour() -> None:
    classes = np.random.default_rng(0).integers(0, 3, (6, 7)).astype(np.uint8)
    for row in range(6):
        for column in range(7):
            around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            inside = [place for place in around if 0 <= place[0] < 6 and 0 <= place[1] < 7]
            wanted = len(inside) < 4 or any(classes[place] != classes[row, column] for place in inside)
            assert edges(classes)[row, column] == wanted


def test_the_difference_tells_removed_hallucinated_and_swapped() -> None:
    before, after = np.array([[1, 0, 1, 2, 0]], np.uint8), np.array([[0, 1, 2, 2, 0]], np.uint8)
    assert fates(before, after).tolist() == [[1, 2, 3, 0, 0]]
    found = pixels(fate(np.zeros((1, 5)), before, after)).astype(float)
    for place, (_, name) in enumerate(FATES):
        assert np.argmax(found[0, place]) == np.argmax(colour(name))
    assert len(set(found[0, 4].tolist())) == 1


def test_colours_differ_for_colour_blind_readers_too() -> None:
    """Every pair of colours is apart in brightness or along the axis of blue and yellow, which most can see."""
    values = np.array([colour(name) for name in COLOURS]) / 255
    light = values @ (0.2126, 0.7152, 0.0722)
    blue = values[:, 2] - values[:, :2].mean(1)
    for one in range(len(COLOURS)):
        for two in range(one):
            assert abs(light[one] - light[two]) > 0.06 or abs(blue[one] - blue[two]) > 0.3


def test_many_classes_and_deep_grey_images_make_pictures_too() -> None:
    classes = np.random.default_rng(1).integers(0, 40, (30, 30)).astype(np.uint8)
    deep = np.random.default_rng(2).integers(0, 4096, (30, 30)).astype(np.uint16)
    assert pixels(overlay(grey(deep, 4095), classes)).shape == (30, 30, 3)
    assert grey(deep, 4095).max() <= 1
    assert [name for name, _ in legend(["b", *"cdefghij"])] == list("cdefghij")


def test_shares_in_words() -> None:
    assert shares(np.array([[0, 1, 1, IGNORE]]), NAMES) == "tumour 66.7 %"
    assert shares(np.zeros((2, 2), np.uint8), NAMES) == "background only"


def test_the_verdict_names_dice_before_and_after_and_the_floor(page: tuple[Path, str, str]) -> None:
    folder, html, text = page
    results = read_results(folder / "results.json")
    point = headline(results)
    assert results.dense is not None and point is not None
    (worst,) = [
        item
        for item in results.dense.points
        if (item.attack, item.norm, item.budget, item.stored) == ("worst", point.norm, point.budget, True)
    ]
    before, after = results.dense.clean.dice.value, worst.dice.value
    assert before is not None and after is not None and after < before
    assert f"{before:.2f} → {after:.2f}" in html
    assert f"Without any attack the mean Dice of an image is {before:.3f} [" in text
    assert "where background everywhere would reach" in text
    assert "“Flipped” means that the mean Dice of an image, over the classes that it holds, was at least 0.5" in text
    assert "AUC and confusion of whole images are not defined" in text


def test_each_class_has_its_line_and_an_absent_one_says_so(page: tuple[Path, str, str]) -> None:
    folder, html, _ = page
    section = html[html.index('<section id="masks">') : html.index('<section id="curves">')]
    assert section.count("<svg") == 4
    row = re.search(r"<tr><td>mitosis</td>(.*?)</tr>", section)
    assert row and row[1].count("not defined") == 4 and '<td class="n">16</td>' in row[1]
    assert "panoptic quality" in section and "AJI+" in section
    dense = read_results(folder / "results.json").dense
    assert dense is not None and dense.clean.classes[1].dice.value is not None
    assert f'<td>tumour</td><td class="n">{dense.clean.classes[1].dice.value:.3f} [' in section


def test_pictures_of_maps_have_words_for_those_who_cannot_see_them(page: tuple[Path, str, str]) -> None:
    folder, html, _ = page
    maps = re.findall(
        r'alt="(truth|decided before|decided after, as stored|before against after) of [^":]*: ([^"]+)"', html
    )
    assert len(maps) >= 16 and all(said for _, said in maps)
    assert len({kind for kind, _ in maps}) == 4
    for name in NAMES[1:]:
        assert f"</i>{name}</span>" in html
    assert f"maps/truth/{SEEN.id_prefix.replace('/', '__')}" in html
    assert 'style="background:#d55e00"' in html
    missing = next((folder / "maps" / "linf").iterdir())
    content = missing.read_bytes()
    missing.unlink()
    assert "cannot be shown" in write_report(folder).read_text(encoding="utf-8")
    missing.write_bytes(content)


def test_attacks_that_aim_at_a_class_have_their_rates(tmp_path: Path, page: tuple[Path, str, str]) -> None:
    seen = Fake(n=8, task="segment", classes=NAMES, patients=8, side=40, attacks=("remove", "noise"))
    folder = build(tmp_path / "run", seen)
    html = write_report(folder).read_text(encoding="utf-8")
    dense = read_results(folder / "results.json").dense
    assert dense is not None
    last = [point for point in dense.points if point.attack == "remove" and point.stored][-1]
    assert last.classes[1].removed.value
    rows = [line for line in re.findall(r"<tr>.*?</tr>", html) if line.startswith("<tr><td>remove</td><td>tumour")]
    assert share(last.classes[1].removed) in rows[-1]
    assert "What remove and hallucinate reached" in html and "What remove and hallucinate reached" not in page[1]


def test_worst_images_stand_lowest_first(page: tuple[Path, str, str]) -> None:
    folder, html, _ = page
    point = headline(read_results(folder / "results.json"))
    assert point is not None
    masks = load_masks(folder, len(NAMES))
    rows = worst_images(masks, point, most=5)
    values = [float(row[3]) for row in rows]
    assert len(rows) == 5 and values == sorted(values)
    part = masks[(masks["state"] == "stored") & (masks["attack"] == "pgd") & (masks["eps"] <= point.eps)]
    assert values[0] == pytest.approx(part["quality"].min(), abs=5e-4)
    assert "Lowest Dice under" in html


def test_damaged_or_missing_table_of_masks_is_named(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", SEEN)
    with pytest.raises(RunError, match=r"dense\.parquet cannot be read"):
        load_masks(folder, 3)
    (folder / "dense.parquet").unlink()
    with pytest.raises(RunError, match=r"dense\.parquet cannot be read"):
        write_report(folder)


def test_labels_of_maps_in_class_names(page: tuple[Path, str, str]) -> None:
    data = read_results(page[0] / "results.json").data
    assert class_text("0|2", data) == "background, stroma"
    assert class_text("", data) == "nothing judged"
    assert class_text("0|9", data) == "0|9"


def test_the_size_that_was_really_used_is_said(page: tuple[Path, str, str], tmp_path: Path) -> None:
    _, html, _ = page
    assert "change really made, mean" in html
    fake = Fake(n=6, task="segment", classes=NAMES, side=32, budgets=("none",), images=False)
    text = write_report(build(tmp_path / "run", fake)).read_text(encoding="utf-8").replace("\u00a0", " ")
    assert re.search(r"Under none, as stored \(changes reach [\d.]+ % of the range of values, mean over images\)", text)


def test_images_below_the_bar_before_have_their_own_place(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", SEEN)
    rows = pd.read_parquet(folder / "rows.parquet")
    kept = sorted(set(rows.loc[rows["image"] != "", "id"]))[:2]
    rows.loc[rows["id"].isin(kept), ["correct", "success", "success_stored"]] = False
    rows.to_parquet(folder / "rows.parquet")
    html = write_report(folder).read_text(encoding="utf-8")
    section = html[html.index("<h3>Below the bar before any attack") :]
    assert all(f"<strong>{name}</strong>" in section for name in kept)
    assert section.count("wrong before; attacked at") == 2
