"""What a change goes with: exact cases, noise beside it, and means with paired differences."""

import numpy as np
import pandas as pd
import pytest

from percuss.core.errors import DataError
from percuss.evaluate.change_meaning import (
    MEASURES,
    Changes,
    correlation,
    meanings,
    spectrum_slope,
    tumour_share,
)
from percuss.evaluate.change_summary import meaning_summary
from percuss.evaluate.stains import VECTORS, haematoxylin, nuclei


def tissue(count=6, side=32, seed=0):
    """Images of blobs of haematoxylin on eosin, mixed by the published vectors."""
    rng = np.random.default_rng(seed)
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    amounts = np.zeros((count, 3, side, side))
    amounts[:, 1] = 0.2 + 0.05 * rng.random((count, side, side))
    for image in amounts:
        for row, column in rng.integers(0, side - 5, size=(8, 2)):
            image[0, row : row + 4, column : column + 4] = rng.uniform(0.5, 0.9)
    return 10 ** -np.einsum("sc,nshw->nchw", unit, amounts)


def truths(count=6, side=8):
    found = np.zeros((count, side, side), np.uint8)
    found[:, :, : side // 4] = 1
    found[:, 0] = 255
    return found


def changes(clean, change, truth, **more):
    names = [f"i{k}" for k in range(len(clean))]
    groups = [f"s{k // 2}" for k in range(len(clean))]
    return Changes(names, groups, clean, clean + change, truth, "pgd", "l2", "l2=1", **more)


def column(table, measure, side="change"):
    return table[table["measure"] == measure][side].to_numpy()


def test_an_impulse_is_white_and_a_made_spectrum_has_its_slope():
    impulse = np.zeros((3, 48, 32))
    impulse[1, 7, 9] = 0.3
    assert spectrum_slope(impulse) == pytest.approx(0, abs=1e-9)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64), indexing="ij"))
    radius[0, 0] = np.inf
    for slope in (-3.0, -2.0, -1.0, 1.0):
        phase = np.exp(2j * np.pi * np.random.default_rng(0).random((64, 64)))
        made = np.fft.ifft2(
            radius ** (slope / 2) * phase if slope < 0 else np.where(np.isinf(radius), 0, radius**0.5) * phase
        )
        both = np.stack([made.real, made.imag])  # the two parts share the power of the whole
        assert spectrum_slope(both) == pytest.approx(slope, abs=0.12)


def test_white_noise_has_slope_0_and_smooth_noise_falls():
    rng = np.random.default_rng(2)
    white = rng.normal(size=(3, 128, 128))
    smooth = white + np.roll(white, 1, 1) + np.roll(white, 1, 2) + np.roll(white, (1, 1), (1, 2))
    assert abs(spectrum_slope(white)) < 0.1 and spectrum_slope(smooth) < -1
    assert np.isnan(spectrum_slope(np.zeros((3, 16, 16))))


def test_a_change_as_large_as_the_haematoxylin_correlates_wholly():
    clean = tissue(2)
    amount = np.stack([haematoxylin(image) for image in clean])
    change = 0.01 * np.clip(amount, 0, None)[:, None] * np.ones((1, 3, 1, 1))
    table = meanings(changes(clean, change, truths(2)))
    assert (column(table, "haematoxylin") > 0.9999).all()
    inside = np.stack([nuclei(image) for image in clean])
    table = meanings(changes(clean, -0.02 * inside[:, None] * np.ones((1, 3, 1, 1)), truths(2)))
    assert column(table, "nuclei") == pytest.approx([1, 1])
    given = meanings(changes(clean, 0.02 * ~inside[:, None] * np.ones((1, 3, 1, 1)), truths(2), nuclei=~inside))
    assert column(given, "nuclei") == pytest.approx([1, 1])


def test_energy_in_tumour_over_its_area():
    clean, truth = tissue(2), truths(2)
    wide = np.kron(truth, np.ones((4, 4), np.uint8))
    inside = 0.01 * (wide == 1)[:, None] * np.ones((1, 3, 1, 1))
    assert column(meanings(changes(clean, inside, truth)), "tumour") == pytest.approx([4, 4])  # a quarter of the area
    even = np.full_like(clean, 0.01)
    assert column(meanings(changes(clean, even, truth)), "tumour") == pytest.approx([1, 1])
    outside = 0.01 * (wide == 0)[:, None] * np.ones((1, 3, 1, 1))
    assert column(meanings(changes(clean, outside, truth)), "tumour") == pytest.approx([0, 0])
    assert np.isnan(tumour_share(np.ones((4, 4)), np.zeros((4, 4)))) and np.isnan(
        correlation(np.ones(4), np.arange(4.0))
    )


def test_the_noise_is_the_change_at_other_places():
    clean = tissue(1)
    inside = nuclei(clean[0])[None, None] * np.array([0.01, 0.02, 0.03]).reshape(1, 3, 1, 1)
    one, two = (meanings(changes(clean, inside, truths(1)), seed=seed) for seed in (0, 1))
    assert column(one, "nuclei")[0] == pytest.approx(1) and abs(column(one, "nuclei", "noise")[0]) < 0.15
    assert abs(column(one, "slope", "noise")[0]) < 0.3 and column(one, "slope")[0] < -0.5
    assert column(one, "tumour", "noise")[0] == pytest.approx(1, abs=0.3)
    assert column(one, "slope", "noise")[0] != column(two, "slope", "noise")[0]
    pd.testing.assert_frame_equal(one, meanings(changes(clean, inside, truths(1)), seed=0))


def test_no_change_and_grey_images_are_undefined():
    clean = tissue(1)
    assert meanings(changes(clean, np.zeros_like(clean), truths(1)))["change"].isna().all()
    grey = meanings(changes(clean[:, :1], 0.01 * np.random.default_rng(0).random((1, 1, 32, 32)), truths(1)))
    assert list(grey[grey["change"].notna()]["measure"]) == ["slope", "tumour"]


def test_what_does_not_fit_is_refused():
    clean = tissue(2)
    with pytest.raises(DataError, match="do not fit each other"):
        meanings(changes(clean, 0 * clean, truths(3)))
    with pytest.raises(DataError, match="do not tile"):
        meanings(changes(clean, 0 * clean, truths(2, side=7)))


def test_summary_is_the_mean_with_its_paired_difference():
    clean = tissue(8)
    rng = np.random.default_rng(3)
    inside = np.stack([nuclei(image) for image in clean])[:, None]
    change = 0.01 * inside * rng.normal(size=clean.shape) + 0.002 * rng.normal(size=clean.shape)
    truth = truths(8)
    truth[0] = 0
    table = meanings(changes(clean, change, truth))
    found = {item.measure: item for item in meaning_summary(table, seed=0)}
    assert tuple(found) == MEASURES
    seen = found["nuclei"]
    assert seen.change.value == pytest.approx(column(table, "nuclei").mean())
    assert seen.difference.value == pytest.approx((column(table, "nuclei") - column(table, "nuclei", "noise")).mean())
    assert 0 < seen.difference.low < seen.difference.value < seen.difference.high
    assert seen.difference.method.startswith("bootstrap over 4 slides")
    assert found["tumour"].change.n == 7 and found["slope"].change.n == 8
    gone = meaning_summary(table.assign(change=np.nan), seed=0)
    assert all(item.change.value is None and item.change.n == 0 for item in gone)
