"""percuss tile from the command line, on real slides too."""

import json

import numpy as np
import pytest

from percuss.data.spec import load_data

pytest.importorskip("tiffslide")


def test_drawn_slide(percuss, tmp_path):
    out = tmp_path / "tiles"
    slide = "synthetic:slide?seed=1&side=512&tumours=1"
    done = percuss("tile", slide, "--mpp", "1", "--size", "128", "--out", out, "--tissue", "all")
    assert done.exit_code == 0, done.stderr
    assert "4 of 4 tiles kept" in done.stdout and f"tiled:{out}" in done.stdout
    again = percuss("tile", slide, "--mpp", "1", "--size", "128", "--out", out, "--tissue", "all", "--json", "--quiet")
    assert json.loads(again.stdout)["tiles"] == 4
    other = percuss("tile", slide, "--mpp", "1", "--size", "64", "--out", out)
    assert other.exit_code == 2 and "cut otherwise" in other.stderr


@pytest.mark.real
def test_real_mosaic_agrees_with_its_table(percuss, real_data, tmp_path):
    home, out = real_data / "wsi", tmp_path / "tiles"
    slide = home / "mosaic_pcam_synthetic_layout.tif"
    done = percuss("tile", slide, "--mpp", "1", "--size", "192", "--annotations", home, "--out", out, "--tissue", "all")
    assert done.exit_code == 0, done.stderr
    table = np.genfromtxt(home / "mosaic_pcam_cells.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    truth = np.zeros((28, 28), int)
    truth[table["row"], table["col"]] = table["label"]
    images = load_data(f"tiled:{out}")
    assert len(images) == 14 * 14 and images.read(images.ids[0]).spacing_mm == pytest.approx((0.000972, 0.000972))
    for name in images.ids:
        row, column = (int(text) // 96 for text in name.rpartition("/")[2].split("_"))
        wanted = np.kron(truth[row : row + 2, column : column + 2], np.ones((24, 24), int))
        assert np.array_equal(images.read(name).target, wanted), name


@pytest.mark.real
def test_real_slides_one_without_resolution(percuss, real_data, tmp_path):
    home = real_data / "wsi"
    slides = [home / name for name in ("CMU-1-Small-Region.svs", "TCGA-CR-7395-01A-01-TS1.svs")]
    done = percuss("tile", *slides, "--mpp", "1", "--size", "256", "--out", tmp_path / "one")
    assert done.exit_code == 0 and "not used: TCGA-CR-7395-01A-01-TS1" in done.stdout and "--slide-mpp" in done.stdout
    alone = percuss("tile", slides[1], "--mpp", "4", "--size", "128", "--out", tmp_path / "two")
    assert alone.exit_code == 2 and "--slide-mpp" in alone.stderr
    said = percuss("tile", slides[1], "--mpp", "4", "--size", "128", "--slide-mpp", "2", "--out", tmp_path / "two")
    assert said.exit_code == 0, said.stderr
    images = load_data(f"tiled:{tmp_path / 'one'}")
    means = np.array([images.read(name).pixels.mean((1, 2)) for name in images.ids])
    assert len(images) > 3 and (means[:, 1] < means[:, 0]).all()  # tissue is pink to purple, never green


@pytest.mark.real
def test_real_nuclei_as_outlines(percuss, real_data, tmp_path):
    home = real_data / "wsi"
    slide = home / "monuseg_TCGA-B0-5698-01Z-00-DX1.tif"
    common = ("tile", slide, "--mpp", "0.5", "--size", "128", "--annotations", slide.with_suffix(".xml"))
    refused = percuss(*common, "--out", tmp_path / "no")
    assert refused.exit_code == 2 and "1=tumour" in refused.stderr
    done = percuss(*common, "--group", "1=tumour", "--mend", "--out", tmp_path / "yes")
    assert done.exit_code == 0, done.stderr
    images = load_data(f"tiled:{tmp_path / 'yes'}")
    inside, outside = [], []
    for name in images.ids:
        case = images.read(name)
        mask = np.kron(case.target, np.ones((4, 4), bool)).astype(bool)
        inside.append(case.pixels[0][mask])
        outside.append(case.pixels[0][~mask])
    assert np.concatenate(inside).mean() < np.concatenate(outside).mean() - 20  # nuclei are darker
