"""Quick PNG files hold the very pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from percuss.store import quick_png as module
from percuss.store.quick_png import quick_png


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (7, 5, 3), (64, 64, 3)])
@pytest.mark.parametrize("without", [False, True], ids=["libdeflate", "zlib"])
def test_the_very_pixels(shape, without, monkeypatch):
    if without:
        monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    module._packer.cache_clear()
    values = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    with Image.open(io.BytesIO(quick_png(values))) as image:
        assert image.mode == ("RGB" if len(shape) == 3 else "L")
        assert np.array_equal(np.asarray(image), values)
    module._packer.cache_clear()


def test_part_of_a_larger_array():
    values = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)[3:9, 4:15]
    with Image.open(io.BytesIO(quick_png(values))) as image:
        assert np.array_equal(np.asarray(image), values)
