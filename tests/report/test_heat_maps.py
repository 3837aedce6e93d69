"""Heat maps in the report: the number that leads, the null model beside it, tables, charts, pictures and code."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fake_heat import CELL, write_code
from fake_run import Fake, build
from PIL import Image

from percuss.core.errors import RunError
from percuss.core.results import Heat, Interval, Meaning, Results
from percuss.report.code_part import code_part
from percuss.report.heat_part import heat_part, reading
from percuss.report.heat_pictures import enlarged, heat_pictures, scaled, told
from percuss.report.heat_rows import KINDS, choose_heat, with_loss
from percuss.report.heat_verdict import heat_headline, heat_opening, worst_points
from percuss.report.kernel_pictures import columns_for, place_map, plain_image, signed_image
from percuss.report.mask_rows import load_masks, with_dice
from percuss.report.numbers import decimal, visible_text
from percuss.report.page import write_report
from percuss.report.rows import load
from percuss.report.schema import read_results, write_results
from percuss.report.verdict import headline, verdict

SEEN = Fake(
    n=16,
    task="heatmap",
    side=64,
    patients=4,
    attacks=("bim", "sparse_code", "noise"),
    budgets=("linf=1/255", "l2=2", "l2=4", "l2=8"),
)


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).replace("\u00a0", " ")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    folder = build(tmp_path_factory.mktemp("heat") / "run", SEEN)
    write_code(folder)
    html = write_report(folder).read_text(encoding="utf-8")
    return folder, html, plain(html)


def results_of(page: tuple[Path, str, str]) -> tuple[Results, Heat]:
    results = read_results(page[0] / "results.json")
    assert results.heat is not None
    return results, results.heat


def test_the_opening_leads_with_auc_pr_and_the_null_model(page: tuple[Path, str, str]) -> None:
    results, heat = results_of(page)
    point = heat_headline(heat)
    assert point is not None and point.stored and point.auc_pr.value is not None and heat.clean.auc_pr.value is not None
    assert f'<p class="big two">{heat.clean.auc_pr.value:.2f} → {point.auc_pr.value:.2f}</p>' in page[1]
    text = page[2]
    assert "was tested on 16 tiles of 4 slides from folder:pcam_patches" in text
    assert f"AUC-PR (average precision over all {heat.clean.cells} judged cells of 4 × 4 pixels)" in text
    assert f"the null model, a map without knowledge, reaches {heat.null:.3f}, the share of tumour cells" in text
    for other in [*worst_points(heat, "linf", stored=True), *worst_points(heat, "l2", stored=True)]:
        assert f"{decimal(other.auc_pr)} within {other.budget} (".replace("\u00a0", " ") in text
    assert "Random noise of the size 8 leaves" in text or "Random noise of the size 4 leaves" in text
    chosen = headline(results)
    assert chosen is not None and (chosen.norm, chosen.budget) == (point.norm, point.budget)


def test_the_leading_size_is_the_smallest_that_takes_half_of_what_is_above_the_null_model(
    page: tuple[Path, str, str],
) -> None:
    _, heat = results_of(page)
    clean, null = heat.clean.auc_pr.value, heat.null
    point = heat_headline(heat)
    assert clean is not None and null is not None and point is not None
    half = (clean + null) / 2
    lost = [p for p in worst_points(heat, point.norm, stored=True) if (p.auc_pr.value or 0) <= half]
    assert point == lost[0]
    high = [p.model_copy(update={"auc_pr": heat.clean.auc_pr}) for p in heat.points]
    firm = heat_headline(heat.model_copy(update={"points": high}))
    assert firm is not None and firm.budget == "linf=1/255"
    assert heat_headline(heat.model_copy(update={"points": []})) is None


def test_maps_that_fall_to_the_null_model_are_said_to(page: tuple[Path, str, str]) -> None:
    results, heat = results_of(page)
    null = heat.null
    assert null is not None

    def said(value: float, low: float) -> str:
        area = Interval(value=value, low=low, high=value + 0.01, n=16, method="")
        points = [p.model_copy(update={"auc_pr": area}) if p.budget == "l2=8" else p for p in heat.points]
        return " ".join(heat_opening(results, heat.model_copy(update={"points": points})).sentences)

    assert "takes the maps down to the null model or below it" in said(null, null - 0.02)
    assert "the interval of the worst attack reaches down to the null model" in said(null + 0.02, null - 0.01)
    assert "null model or below" not in said(null + 0.1, null + 0.05)


def test_maps_that_know_nothing_before_any_attack_are_said_to(page: tuple[Path, str, str]) -> None:
    results, heat = results_of(page)
    null = heat.null
    assert null is not None

    def said(value: float, low: float) -> tuple[str, str]:
        area = Interval(value=value, low=low, high=value + 0.01, n=16, method="")
        poor = heat.model_copy(update={"clean": heat.clean.model_copy(update={"auc_pr": area})})
        point = heat_headline(poor)
        assert point is not None
        return " ".join(heat_opening(results, poor).sentences), point.budget

    text, budget = said(null - 0.01, null - 0.1)
    assert "Already without attack the maps are no better than the null model" in text and budget == "linf=1/255"
    assert "takes the maps down" not in text
    assert "Already without attack the interval reaches down" in said(null + 0.3, null - 0.1)[0]


def test_slides_that_are_not_exhaustive_and_a_single_slide_are_named(page: tuple[Path, str, str]) -> None:
    results, heat = results_of(page)
    assert "The outlines of slide_1 are not exhaustive" in page[2]
    words = " ".join(
        heat_opening(results, heat.model_copy(update={"not_exhaustive": ["a", "b", "c"], "slides": 1})).sentences
    )
    assert "a, b and c are not exhaustive" in words and "intervals say nothing of other slides" in words
    fine = heat_opening(results, heat.model_copy(update={"not_exhaustive": []})).sentences
    assert not any("exhaustive" in text for text in fine)


def test_tiles_of_one_kind_have_no_auc_pr(page: tuple[Path, str, str]) -> None:
    results, heat = results_of(page)
    none = Interval(value=None, low=None, high=None, n=16, method="undefined")
    bare = heat.model_copy(
        update={
            "null": None,
            "clean": heat.clean.model_copy(update={"auc_pr": none}),
            "points": [p.model_copy(update={"auc_pr": none}) for p in heat.points],
        }
    )
    found = verdict(results.model_copy(update={"heat": bare}), "")
    assert found.big == "–" and "no tumour cell, or no normal one" in found.small
    assert "all of one kind, so that AUC-PR is not defined" in " ".join(found.sentences)
    part = heat_part(results.model_copy(update={"heat": bare}))
    assert part is not None and part.null == "not defined"


def test_l2_in_grey_levels_as_the_paper_has_it(page: tuple[Path, str, str]) -> None:
    data = read_results(page[0] / "results.json").data.model_copy(update={"shape": [3, 512, 512]})
    assert visible_text("l2", 25.0, data) == "7.19\u00a0grey levels rms"
    assert visible_text("linf", 1 / 255, data) == "one grey level"
    assert visible_text("l2", None, data) == "–"


def test_tables_hold_every_attack_size_and_state(page: tuple[Path, str, str]) -> None:
    results, heat = results_of(page)
    part = heat_part(results)
    assert part is not None and [norm.norm for norm in part.norms] == ["linf", "l2"]
    euclid = part.norms[1]
    assert len(euclid.rows) == 2 + 4 * 3 and len(euclid.fine) == 1 + 2 * 4 * 3
    for point in heat.points:
        if point.norm == "l2" and point.stored:
            (row,) = [r for r in euclid.rows if r[0].startswith(point.attack) and r[1] == point.budget[3:]]
            assert row[4] == decimal(point.auc_pr) and row[2].endswith("rms")
    assert euclid.rows[0][0] == "no attack" and euclid.rows[-1][3] == f"{heat.null:.3f}"
    assert any(row[0] == "noise (control)" for row in euclid.rows)
    assert "bootstrap over 4 slides, 1000 draws" in page[2]


def test_the_chart_has_the_null_model_as_a_dashed_line_and_noise_dashed(page: tuple[Path, str, str]) -> None:
    section = page[1][page[1].index('<section id="heat">') : page[1].index('<section id="images">')]
    results, heat = results_of(page)
    assert section.count("<svg") == 2 and section.count('class="level floor"') == 2
    assert section.count(f"null model: {heat.null:.3f}</text>") == 2
    assert section.count('<g class="line noise">') == 2
    part = heat_part(results)
    assert part is not None and "grey levels rms" in str(part.norms[1].chart)


def test_a_reading_is_told_only_where_the_interval_leaves_zero_out() -> None:
    def item(low: float | None, high: float | None, measure: str = "slope") -> Meaning:
        one = Interval(value=0.0, low=low, high=high, n=3, method="")
        return Meaning(attack="a", norm="l2", budget="l2=1", measure=measure, change=one, noise=one, difference=one)

    assert reading(item(-0.4, -0.1)) == "smoother than noise"
    assert reading(item(0.1, 0.2)) == "rougher than noise"
    assert reading(item(-0.1, 0.2)) == "not told from noise"
    assert reading(item(None, None)) == "no interval: nothing is told"
    assert reading(item(0.1, 0.2, "new")) == "more than noise"
    assert reading(item(-0.3, -0.2, "tumour")) == "keeps away from tumour"


def test_pictures_are_the_files_of_the_run_on_one_scale(page: tuple[Path, str, str]) -> None:
    folder, html, text = page
    rows, _ = load(folder)
    name = str(rows.loc[rows["image"] != "", "id"].iloc[0])
    clean = np.asarray(Image.open(folder / "images" / "original" / f"{name.replace('/', '__')}.png"))
    truth, before, after, moved = heat_pictures(folder, name, "l2", clean=clean, levels=255)
    assert before.file.startswith("heat/clean/") and after.file.startswith("heat/l2/")
    with Image.open(io.BytesIO(before.png)) as shown, Image.open(folder / before.file) as kept:
        assert shown.size == kept.size == (64 // CELL, 64 // CELL)
        light = np.asarray(shown.convert("L"), dtype=float).ravel()
        assert np.corrcoef(light, np.asarray(kept, dtype=float).ravel())[0, 1] > 0.97
    with Image.open(io.BytesIO(truth.png)) as shown:
        assert shown.size == (64, 64)
    assert "in tumour cells" in before.note and moved.note.startswith("grey: no change; mean")
    assert scaled(np.zeros((2, 2))) != scaled(np.ones((2, 2)))
    assert len(re.findall(r'alt="heat map before of ', html)) >= 8
    assert "Probability of tumour" in text and "linear-gradient(90deg, rgb(0 0 8)" in html


def test_cells_are_enlarged_by_nearest_or_refused() -> None:
    cells = np.array([[0, 1], [2, 3]], np.uint8)
    found = enlarged(cells, (6, 6))
    assert found[:3, :3].max() == 0 and found[3:, 3:].min() == 3 and found[0, 3] == 1
    with pytest.raises(ValueError, match="do not tile"):
        enlarged(cells, (6, 7))
    assert told(np.full((1, 2), 0.25), np.array([[255, 255]])) == "no cell judged"


def test_maps_of_another_size_are_left_out_with_a_note(page: tuple[Path, str, str], tmp_path: Path) -> None:
    folder = build(
        tmp_path / "run", Fake(n=4, task="heatmap", side=64, patients=2, attacks=("bim",), budgets=("l2=4",))
    )
    victim = next((folder / "heat" / "l2").iterdir())
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(victim)
    html = write_report(folder).read_text(encoding="utf-8")
    assert html.count("cannot be shown: truth and heat maps differ in size") == 1


def test_tiles_are_shown_by_how_far_the_loss_rose(page: tuple[Path, str, str]) -> None:
    folder = page[0]
    rows, _ = load(folder)
    maps = load_masks(folder, 2)
    assert "scores" not in maps and "truth" not in maps
    found = choose_heat(with_loss(with_dice(rows, maps), maps), "l2", "run", each=3)
    names = [item.row["id"] for item in found]
    assert len(set(names)) == len(names)
    rise = {why: [i.row["rise"] for i in found if i.why == why] for why in KINDS}
    assert rise["most"] == sorted(rise["most"], reverse=True) and min(rise["most"]) >= max(rise["middle"])
    assert min(rise["middle"]) >= max(rise["least"])
    assert [i.row["id"] for i in found if i.why == "normal"] == ["slide/patch-0003"]


def test_the_code_has_its_section_and_other_runs_none(page: tuple[Path, str, str], tmp_path: Path) -> None:
    folder, html, text = page
    assert '<section id="code">' in html and "24 kernels of 8 × 8" in text and "48 × 48 × 24" in text
    assert code_part(tmp_path) is None
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "told.json").write_text("{")
    with pytest.raises(RunError, match=r"told\.json cannot be read"):
        code_part(tmp_path)
    record = json.loads((folder / "code" / "told.json").read_text())
    (tmp_path / "code" / "told.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"told\.json cannot be used"):
        code_part(tmp_path)


def test_codes_are_drawn_on_scales_that_are_told() -> None:
    values = np.zeros((2, 2))
    values[0, 0], values[0, 1] = 1.0, 0.5
    found = place_map(values).sum(2)
    assert found[0, 0] > found[0, 1] > found[1, 1] and place_map(np.zeros((1, 1))).sum() < 20
    assert plain_image(np.full((1, 2, 2), 2.0)).max() == 255
    change = np.zeros((3, 1, 2))
    change[:, 0, 0], change[:, 0, 1] = 0.2, -0.2
    assert signed_image(change, peak=0.2)[0].tolist() == [[255] * 3, [0] * 3]
    assert columns_for(512, 24) == 32 and columns_for(36, 48) == 9 and columns_for(3, 5000) == 1


def test_without_attack_the_page_says_so(page: tuple[Path, str, str], tmp_path: Path) -> None:
    folder = build(tmp_path / "run", SEEN)
    results = read_results(folder / "results.json")
    assert results.heat is not None
    noise = [p for p in results.heat.points if p.attack == "noise"]
    heat = results.heat.model_copy(update={"points": noise, "meaning": []})
    curves = [p for p in results.curves if p.attack == "noise"]
    write_results(results.model_copy(update={"heat": heat, "curves": curves}), folder / "results.json")
    html = write_report(folder).read_text(encoding="utf-8")
    assert "No attack was run, so it is not known how small a change takes these maps apart" in html
    assert 'id="heat-meaning"' not in html
