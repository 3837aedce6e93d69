"""Bootstrap of pooled average precision: what is drawn, against resampling by hand, paired, and where none is."""

import numpy as np
import pytest

from percuss.evaluate.heat_intervals import Counted, Units, area_interval, drop_interval, slide_mean
from percuss.evaluate.heat_scores import average_precision


def slides(count=12, tiles=2, *, lead=1.5, seed=0):
    """Maps of 16 x 16 cells; slides differ in how well they are told."""
    rng = np.random.default_rng(seed)
    maps, groups = [], []
    for slide in range(count):
        good = rng.normal(scale=0.7)
        for _ in range(tiles):
            truth = (rng.random((16, 16)) < 0.3).astype(np.uint8)
            maps.append(((rng.normal(size=(16, 16)) + (lead + good) * truth).astype(np.float16), truth))
            groups.append(f"s{slide}")
    return maps, groups


def pooled(maps):
    return average_precision(*(np.concatenate([pair[side].ravel() for pair in maps]) for side in (0, 1)))


def test_draws_are_those_of_resampling_slides_by_hand():
    maps, groups = slides()
    units = Units.of(groups, 3, draws=200)
    counted = Counted.of(maps, units)
    found = area_interval(pooled(maps), counted, units)
    by_hand = []
    for draw in units.clusters.draws.astype(int):
        taken = [pair for place, pair in enumerate(maps) for _ in range(draw[units.clusters.codes[place]])]
        by_hand.append(pooled(taken))
    low, high = np.quantile(by_hand, (0.025, 0.975))
    assert (found.low, found.high) == (pytest.approx(low, abs=2e-3), pytest.approx(high, abs=2e-3))
    assert found.low < found.value < found.high and found.n == 24
    assert found.method == "bootstrap over 12 slides, 200 draws"
    assert np.abs(counted.drawn(units) - by_hand).max() < 4e-3


def test_one_slide_is_drawn_by_its_tiles_and_says_so():
    maps, _ = slides(6, 1)
    one = Units.of(["s1"] * 6, 0)
    assert area_interval(pooled(maps), Counted.of(maps, one), one).method.startswith(
        "bootstrap over 6 tiles of one slide"
    )
    none = Units.of([""] * 6, 0)
    assert none.slides == 0 and none.method(5) == "bootstrap over 6 images, 5 draws"
    mixed = Units.of(["a", "a", "a", "b", "", "b"], 0)
    assert "3 slides (1 images of unknown slide each their own)" in mixed.method(5)
    apart = Units.of(["a", "b", "c", "d", "e", "f"], 0)
    assert apart.kind == "slides" and apart.clusters.count == 6


def test_one_tile_and_one_kind_of_cell_give_no_bounds():
    maps, groups = slides(1, 1)
    units = Units.of(groups, 0)
    found = area_interval(pooled(maps), Counted.of(maps, units), units)
    assert found.value is not None and found.low is None and found.method.startswith("undefined")
    none = area_interval(None, Counted.of(maps, units), units)
    assert none.value is None and "no tumour cell" in none.method


def test_draws_without_tumour_are_left_out_and_counted():
    maps, groups = slides(4, 1)
    maps = [maps[0], *[(scores, np.zeros_like(truth)) for scores, truth in maps[1:]]]
    units = Units.of(groups, 0)
    found = area_interval(pooled(maps), Counted.of(maps, units), units)
    kept = int(found.method.split(", ")[1].split()[0])
    assert kept == int((units.clusters.draws[:, 0] > 0).sum()) < 1000


def test_drops_are_paired():
    maps, groups = slides(20)
    worse = [((scores - np.float16(0.5) * truth).astype(np.float16), truth) for scores, truth in maps]
    units = Units.of(groups, 0)
    pair, values = (Counted.of(maps, units), Counted.of(worse, units)), (pooled(maps), pooled(worse))
    drop = drop_interval(values, pair, units)
    alone = [area_interval(value, part, units) for value, part in zip(values, pair, strict=True)]
    assert drop.value == pytest.approx(values[0] - values[1]) and 0 < drop.low < drop.value < drop.high
    # Slides that are hard stay hard: the difference is known better than either number.
    assert drop.high - drop.low < 0.5 * min(item.high - item.low for item in alone)
    same = drop_interval((values[0], values[0]), (pair[0], pair[0]), units)
    assert same.value == 0 and same.low is None


def test_coverage_is_near_95_percent_over_many_slides():
    """The true number is that of 3,000 slides made alike."""
    truth = pooled(slides(3000, 1, seed=99)[0])
    hits = 0
    for seed in range(60):
        maps, groups = slides(40, 1, seed=seed)
        units = Units.of(groups, seed, draws=200)
        found = area_interval(pooled(maps), Counted.of(maps, units), units)
        hits += found.low <= truth <= found.high
    assert hits >= 52


def test_mean_over_slides():
    _, groups = slides(4, 2)
    units = Units.of(groups, 0)
    found = slide_mean([0.5, 0.7, None, 0.9], [0, 1, 2, 3], units)
    assert found.value == pytest.approx(0.7) and found.n == 3 and 0.5 <= found.low < found.high <= 0.9
    assert slide_mean([None], [0], units).value is None and "named" in slide_mean([], [], units).method
    alone = slide_mean([0.4], [0], Units.of(["a", "a"], 0))
    assert alone.value == 0.4 and alone.low is None
