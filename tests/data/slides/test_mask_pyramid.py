"""Masks as truth: any convention, any pyramid, chosen by downsample; exact areas of cells."""

from types import SimpleNamespace

import numpy as np
import pytest

from percuss.core.errors import DataError

tifffile = pytest.importorskip("tifffile")

from percuss.data.slides.mask_pyramid import MaskPyramid, read_values  # noqa: E402

TRUE = np.zeros((300, 260), np.uint8)
TRUE[40:171, 33:150] = 1
TRUE[200:290, 10:20] = 2


def write(path, levels, **options):
    how = {"photometric": "minisblack", "tile": (64, 64), "compression": "deflate", "metadata": None} | options
    with tifffile.TiffWriter(path) as writer:
        for number, level in enumerate(levels):
            writer.write(level, subfiletype=int(number > 0), **how)
    return path


def brute(values, wanted, unit, corner, side, cell):
    """Shares of cells by painting each pixel in 20 x 20 points and counting those in each cell."""
    edges = [np.round((start + np.arange(side // cell + 1) * cell) * unit * 20).astype(int) for start in corner]
    found = np.zeros((side // cell, side // cell))
    for i, j in np.ndindex(found.shape):
        y, x = (np.arange(edge[k], edge[k + 1]) // 20 for edge, k in ((edges[0], i), (edges[1], j)))
        y, x = y[y < values.shape[0]], x[x < values.shape[1]]
        found[i, j] = (values[np.ix_(y, x)] == wanted).sum()
    return found / (cell * unit * 20) ** 2


@pytest.mark.parametrize("scale", [1.0, 1.25, 2.0, 4.1])
@pytest.mark.parametrize("options", [{}, {"tile": None, "rowsperstrip": 32}], ids=["tiles", "strips"])
def test_shares_are_exact(tmp_path, scale, options):
    path = write(tmp_path / "m.tif", [TRUE], **options)
    with MaskPyramid(path, values=read_values("0=normal,1=tumour,2=ignore"), size=(300, 260)) as mask:
        for corner in ((4, 4), (44, 12), (60, 52)):
            tumour, judged = mask.shares(SimpleNamespace(scale=scale), corner, side=32, cell=4)
            assert tumour == pytest.approx(brute(TRUE, 1, scale, corner, 32, 4), abs=1e-9)
            inside = brute(np.ones_like(TRUE), 1, scale, corner, 32, 4) - brute(TRUE, 2, scale, corner, 32, 4)
            assert judged == pytest.approx(inside, abs=1e-9)


@pytest.mark.parametrize(("text", "factor"), [("0=normal,255=tumour", 255), ("1=normal,2=tumour", None)])
def test_conventions(tmp_path, text, factor):
    plain = (TRUE > 0).astype(np.uint8)
    path = write(tmp_path / "m.tif", [plain * factor if factor else plain + 1])
    with MaskPyramid(path, values=read_values(text)) as mask:
        tumour, _ = mask.shares(SimpleNamespace(scale=1.0), (40, 36), side=64)
        assert tumour.sum() == 16 * 16


def test_level_is_chosen_by_downsample(tmp_path):
    # The second level is a quarter, not a half, as the slide's would be; it holds other values on purpose.
    levels = [TRUE * 0, np.ones((75, 65), np.uint8), np.zeros((19, 16), np.uint8)]
    path = write(tmp_path / "m.tif", levels)
    with MaskPyramid(path, values={0: "normal", 1: "tumour"}) as mask:
        assert [round(level.downsample) for level in mask.levels] == [1, 4, 16]
        for scale, wanted in ((1.0, 0), (2.0, 0), (3.9, 1), (4.1, 1), (8.0, 1)):
            tumour, _ = mask.shares(SimpleNamespace(scale=scale), (0, 0), side=16)
            assert bool(tumour.all()) == bool(wanted) and bool(tumour.any()) == bool(wanted), scale


def test_errors(tmp_path):
    path = write(tmp_path / "m.tif", [TRUE])
    with pytest.raises(DataError, match="another size than the slide"):
        MaskPyramid(path, values={0: "normal", 1: "tumour"}, size=(300, 261))
    with MaskPyramid(path, values={0: "normal", 1: "tumour"}) as mask, pytest.raises(DataError) as error:
        mask.shares(SimpleNamespace(scale=4.0), (0, 0), side=64)
    assert "not declared" in str(error.value) and ": 2" in str(error.value.value)
    write(tmp_path / "rgb.tif", [np.zeros((64, 64, 3), np.uint8)], photometric="rgb")
    with pytest.raises(DataError, match="no mask"):
        MaskPyramid(tmp_path / "rgb.tif", values={1: "tumour"})
    (tmp_path / "no.tif").write_bytes(b"II*\0")
    for name in ("no.tif", "absent.tif"):
        with pytest.raises(DataError, match="cannot be read"):
            MaskPyramid(tmp_path / name, values={1: "tumour"})
    for text in ("", "1", "1=lesion", "0=normal", "0=normal,0=tumour", "300=tumour"):
        with pytest.raises(DataError):
            read_values(text)
