"""Padded PNGs show the same picture in a file of the length asked for."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from percuss.core.errors import RunError
from percuss.core.pixel_range import PixelRange
from percuss.store.png import chunks, encode, padded, pixel_hash, uncompressed


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_stays_and_the_length_is_as_asked(channels):
    image = torch.rand(channels, 5, 7, generator=torch.Generator().manual_seed(1))
    png = uncompressed(encode(image, PixelRange()))
    for more in (12, 13, 1000):
        longer = padded(png, len(png) + more)
        assert len(longer) == len(png) + more and pixel_hash(longer) == pixel_hash(png)
        assert [kind for kind, _ in chunks(longer)] == [b"IHDR", b"IDAT", b"prVt", b"IEND"]
        with Image.open(io.BytesIO(longer)) as opened, Image.open(io.BytesIO(png)) as before:
            opened.load()
            assert np.array_equal(np.asarray(opened), np.asarray(before))


def test_a_file_that_is_too_long_or_no_png_is_refused():
    png = encode(torch.zeros(1, 2, 2), PixelRange())
    for wrong, length in ((png, len(png)), (png, len(png) + 11), (b"", 100), (b"rubbish" * 9, 1000)):
        with pytest.raises(RunError, match=r"cannot be padded|not a PNG"):
            padded(wrong, length)
