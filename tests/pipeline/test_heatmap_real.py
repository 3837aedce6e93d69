"""Heat maps of real slides: an SVS, a DICOM without resolution, and a mosaic with outlines."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from heat_models import local_model

from percuss.data.slides.open import open_slide
from percuss.data.slides.view import View
from percuss.pipeline.heatmap import heatmap

tifffile = pytest.importorskip("tifffile", reason="the extra wsi is not installed")
pytest.importorskip("tiffslide", reason="the extra wsi is not installed")

REAL = Path(os.environ.get("PERCUSS_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
SLIDES = REAL / "wsi"
absent = not (SLIDES / "CMU-1-Small-Region.svs").is_file()
pytestmark = [pytest.mark.real, pytest.mark.skipif(absent, reason="no real slides: set PERCUSS_REAL_DATA")]


def test_real_slides_one_of_them_without_resolution(tmp_path):
    model = local_model()
    paths = [SLIDES / "CMU-1-Small-Region.svs", SLIDES / "TCGA-CR-7395-01A-01-TS1.svs"]
    done = heatmap(paths, model=model, out=tmp_path, mpp=1.0, size=256, depth=32)
    assert [item["slide"] for item in done.record["bad_slides"]] == ["TCGA-CR-7395-01A-01-TS1"]
    assert "--slide-mpp" in done.record["bad_slides"][0]["reason"]
    found = tifffile.imread(tmp_path / "CMU-1-Small-Region" / "clean.tif", key=0)
    with open_slide(paths[0]) as slide:
        view = View(slide, 1.0)
        assert found.shape == (-(-view.height // 4), -(-view.width // 4))
        part = torch.from_numpy(view.read(600, 400, 256, 256).transpose(2, 0, 1)[None] / 255).float()
    with torch.no_grad():
        said = model(part)[0].softmax(0)[1].numpy()
    # A view resampled in another rectangle may differ by a grey value.
    assert np.nanmax(np.abs(found[150:214, 100:164] - said)) < 0.03


def test_a_mosaic_of_real_patches_has_its_truth(tmp_path):
    name = "mosaic_pcam_synthetic_layout"
    given = {"annotations": SLIDES / f"{name}.xml", "model": local_model(), "mpp": 0.972, "size": 192, "tissue": "all"}
    done = heatmap([SLIDES / f"{name}.tif"], out=tmp_path, **given)
    (item,) = done.record["slides"][0]["maps"]
    assert 0.05 < item["prevalence"] < 0.3 and item["tumour_cells_left_out"] == 0 and item["auc_pr"] is not None
