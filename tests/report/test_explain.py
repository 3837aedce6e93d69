"""Pictures of explanations: what they hold, and values that have no picture."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from percuss.core.explained import Dots, Landscape
from percuss.report.contours import landscape_chart
from percuss.report.heat import SCALE, coloured, heat, overlay, plain
from percuss.report.plane import plane_chart


def pixels(source):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))


def test_the_scale_grows_lighter_all_the_way():
    light = coloured(np.linspace(0, 1, 50)) @ (0.299, 0.587, 0.114)
    assert (np.diff(light) > 0).all() and (coloured(np.array([2.0])) == SCALE[-1]).all()


def test_pictures_have_the_pixels_of_the_map():
    values, image = np.array([[0.0, 1.0], [2.0, 4.0]]), np.full((1, 2, 2), 0.5)
    found = pixels(heat(values, peak=4.0))
    assert found.shape == (2, 2, 3) and (found[1, 1] == SCALE[-1]).all() and (found[0, 0] == SCALE[0]).all()
    over = pixels(overlay(image, values, peak=4.0))
    assert (over[0, 0] == 128).all() and (over[1, 1] != 128).any()
    assert (pixels(plain(image)) == 128).all() and (pixels(heat(0 * values, peak=0.0)) == SCALE[0]).all()


def test_the_plane_names_its_groups_and_escapes():
    groups = [
        Dots("a<b", "a0", np.array([[0.0, 0.0], [1.0, 2.0]]), ("one & two", "x")),
        Dots("attacked", "a1", np.array([[0.5, 0.5]]), ("y",), "ring"),
        Dots("wrong", "a1", np.array([[0.5, 0.7]]), ("z",), "cross"),
    ]
    svg = str(plane_chart(groups, way=np.array([[0.0, 0.0], [0.4, 0.1], [0.5, 0.5]]), label="plane"))
    assert "a&lt;b (2)" in svg and "one &amp; two" in svg and "<polyline" in svg and "nan" not in svg
    assert "polyline" not in str(plane_chart(groups[:1], label="plane"))


@pytest.mark.parametrize("kind", ["trajectory", "random"])
def test_the_landscape_leaves_out_what_is_not_finite(kind):
    loss = np.array([[0.1, 1.0, 10.0], [0.2, np.nan, 5.0], [0.3, 0.5, 2.0]])
    path = np.array([[-1.0, -1.0], [0.0, 0.5]]) if kind == "trajectory" else np.zeros((0, 2))
    shares = (0.9, 0.08) if kind == "trajectory" else ()
    side = np.linspace(-1, 1, 3)
    svg = str(
        landscape_chart(Landscape(kind, side, side, loss, path, np.array([2.0, 1.0])[: len(path)], shares), label="x")
    )
    assert svg.count("<rect") == 8 + 40 and "nan" not in svg and "the model" in svg
    assert ("component 1: 90% of the way" in svg) == (kind == "trajectory")
