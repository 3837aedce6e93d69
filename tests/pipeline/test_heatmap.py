"""Heat maps of whole slides: stitching, truth, attacks, files, resuming, doubts, and memory."""

import json
import shutil

import numpy as np
import pytest
import torch
from heat_models import Local, local_model
from PIL import Image
from torch import nn

from percuss.core.errors import DataError, ModelError, RunError, UsageError
from percuss.core.model import Model, ModelInfo
from percuss.data.slides.open import open_slide
from percuss.data.slides.view import View
from percuss.data.slides.write import Raster, in_bands, write_pyramid
from percuss.data.tissue.slide import write_slide
from percuss.evaluate.heat_scores import average_precision
from percuss.pipeline import heatmap_tiles
from percuss.pipeline.heatmap import heatmap
from percuss.pipeline.heatmap_grid import Grid, stitched, window

tifffile = pytest.importorskip("tifffile", reason="the extra wsi is not installed")
pytest.importorskip("tiffslide", reason="the extra wsi is not installed")


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return write_slide(tmp_path_factory.mktemp("slides") / "one.tif", 1, side=512, tumours=1, mpp=1.0)


def pixels(slide):
    with tifffile.TiffFile(slide.image) as file:
        return file.pages[0].asarray()


def whole_pass(slide, model):
    """Probabilities of one pass over the whole slide."""
    image = torch.from_numpy(pixels(slide).transpose(2, 0, 1)[None] / 255).float()
    with torch.no_grad():
        return model(image)[0].softmax(0)[1].numpy()


def read(path):
    with tifffile.TiffFile(path) as file:
        return [page.asarray() for page in file.pages]


@pytest.mark.parametrize(("size", "overlap"), [(128, 0), (128, 32), (96, 48), (200, 40), (1024, 0)])
def test_a_local_model_gives_the_map_of_one_whole_pass(slide, tmp_path, size, overlap):
    model = local_model()
    done = heatmap(
        [slide.image], model=model, out=tmp_path, mpp=1.0, size=size, overlap=overlap, tissue="all", depth=32
    )
    (found, *_) = read(tmp_path / "one" / "clean.tif")
    assert found.shape == (128, 128) and np.abs(found - whole_pass(slide, model)).max() < 1e-6
    (told,) = done.record["slides"]
    assert told["tiles"] == told["places"] and told["truth"] == "none" and told["maps"][0]["auc_pr"] is None
    assert told["maps"][0]["mean_probability"] == pytest.approx(whole_pass(slide, model).mean(), abs=1e-6)
    assert told["maps"][0]["share_above_half"] == pytest.approx((whole_pass(slide, model) > 0.5).mean())


def test_overlap_is_the_mean_weighted_by_the_window():
    weights = window(8, 4)
    ramp = np.sqrt(np.diag(weights))
    assert np.allclose(weights, np.outer(ramp, ramp)) and np.allclose(ramp[4:] + ramp[:4], 1) and ramp.min() == 0.2
    assert (window(8, 0) == 1).all()
    grid = Grid(8, 12, 8, 4, 1, np.ones((1, 2), bool))
    (band,) = stitched(grid, [[(0, np.zeros((8, 8), np.float32)), (1, np.ones((8, 8), np.float32))]])
    assert np.allclose(band[0], [0, 0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])
    grid = Grid(8, 12, 8, 4, 1, np.array([[True, False]]))
    (band,) = stitched(grid, [[(0, np.zeros((8, 8), np.float32))]])
    assert np.isnan(band[:, 8:]).all() and (band[:, :8] == 0).all()


def test_truth_tissue_and_files(slide, tmp_path):
    model = local_model()
    given = {"model": model, "mpp": 1.0, "size": 64, "annotations": slide.outlines_file}
    done = heatmap([slide.image], out=tmp_path / "deep", depth=32, **given)
    (deep,) = read(tmp_path / "deep" / "one" / "clean.tif")
    done = heatmap([slide.image], out=tmp_path / "run", **given)
    tmp_path = tmp_path / "run"
    (told,) = done.record["slides"]
    (item,) = told["maps"]
    levels = read(tmp_path / "one" / "clean.tif")
    assert [level.shape for level in levels] == [(128, 128)] and levels[0].dtype == np.uint8
    assert told["tiles"] < told["places"] and (told["truth"], told["annotation"]) == ("outlines", "exhaustive")
    with tifffile.TiffFile(tmp_path / "one" / "clean.tif") as file:
        top, bottom = file.pages[0].tags["XResolution"].value
        assert top / bottom == pytest.approx(1e4 / 4)  # a cell is 4 um
    want = whole_pass(slide, model)
    seen = np.isfinite(deep)
    assert (levels[0][~seen] == 0).all() and np.abs(deep - want)[seen].max() < 1e-6
    assert np.abs(levels[0] / 255 - want)[seen].max() <= 0.5 / 255 + 1e-6
    # The same from the arrays: cells of tiles with tissue, truth by area.
    from percuss.data.slides.cells import cells
    from percuss.data.slides.outlines import read_outlines

    with open_slide(slide.image) as opened:
        truth = cells(read_outlines(slide.outlines_file), View(opened, 1.0), 0, 0, 512)
    assert item["prevalence"] == pytest.approx(truth[seen].mean())
    exact = average_precision(np.log(want / (1 - want))[seen], truth[seen])
    assert item["auc_pr"] == pytest.approx(exact, abs=1e-3) and item["auc_pr"] > item["prevalence"]
    picture = np.asarray(Image.open(tmp_path / "one" / "clean.png"))
    assert picture.shape[2] == 3 and (picture == (0, 150, 255)).all(-1).any()
    page = (tmp_path / "heatmap.html").read_text()
    assert "Where does the model see tumour" in page and "data:image/png" in page
    assert not (tmp_path / "parts").exists()


def test_attacks_lower_the_map_and_are_judged_as_stored(slide, tmp_path):
    model = local_model()
    given = {"model": model, "mpp": 1.0, "size": 128, "attacks": ("pgd", "noise"), "budgets": ("l2=4,8",), "steps": 3}
    given["tissue"] = "all"
    done = heatmap([slide.image], out=tmp_path, annotations=slide.outlines_file, keep_tiles=True, **given)
    clean, *rest = done.record["slides"][0]["maps"]
    by_name = {(item["attack"], item["budget"]): item for item in rest}
    assert len(rest) == 4
    assert by_name["pgd", "l2=8"]["auc_pr"] < by_name["pgd", "l2=4"]["auc_pr"] < clean["auc_pr"]
    assert by_name["pgd", "l2=8"]["auc_pr"] < by_name["noise", "l2=8"]["auc_pr"]
    assert all(item["largest_change"] <= float(item["budget"][3:]) + 1e-4 for item in rest)
    tiles = sorted((tmp_path / "one" / "tiles" / "pgd-l2=8").iterdir())
    assert len(tiles) == done.record["slides"][0]["tiles"]
    # The map of an attack is what the model says of the stored tile.
    row, column = (int(part) for part in tiles[0].stem.split("_"))
    image = torch.from_numpy(np.asarray(Image.open(tiles[0])).transpose(2, 0, 1)[None] / 255).float()
    with torch.no_grad():
        said = np.round(255 * model(image)[0].softmax(0)[1].numpy())
    here = read(tmp_path / "one" / "pgd-l2=8.tif")[0][row * 32 : row * 32 + 32, column * 32 : column * 32 + 32]
    assert (here == said).all()
    assert {finding.id for finding in done.findings} == set()
    done = heatmap([slide.image], out=tmp_path / "other", overlap=32, **given)
    assert {finding.id for finding in done.findings} == {"own-map", "overlapping-attacks"}


def test_a_killed_run_goes_on(slide, tmp_path, monkeypatch):
    given = {"model": local_model(), "mpp": 1.0, "size": 64, "attacks": ("noise",), "budgets": ("l2=4",)}
    heatmap([slide.image], out=tmp_path / "whole", **given)
    computed = []
    compute = heatmap_tiles.SlideTiles._compute

    def killed(self, row, columns):
        if len(computed) == 4:
            raise KeyboardInterrupt
        computed.append((row, columns[0]))
        return compute(self, row, columns)

    monkeypatch.setattr(heatmap_tiles.SlideTiles, "_compute", killed)
    with pytest.raises(KeyboardInterrupt):
        heatmap([slide.image], out=tmp_path / "part", **given)
    assert len(list((tmp_path / "part" / "parts").iterdir())) == 4
    first = list(computed)

    def rest(self, row, columns):
        computed.append((row, columns[0]))
        return compute(self, row, columns)

    monkeypatch.setattr(heatmap_tiles.SlideTiles, "_compute", rest)
    heatmap([slide.image], out=tmp_path / "part", **given, batch_size=3)
    assert computed[:4] == first and len(set(computed)) == len(computed) == 8
    for name in ("one/clean.tif", "one/noise-l2=4.tif", "one/clean.png"):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    both = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("part", "whole")]
    assert both[0]["slides"] == both[1]["slides"]
    heatmap([slide.image], out=tmp_path / "part", **given)  # finished: nothing is computed
    assert len(computed) == 8
    with pytest.raises(RunError, match="another run"):
        heatmap([slide.image], out=tmp_path / "part", **given | {"size": 128})


def test_one_bad_slide_does_not_stop_the_rest(slide, tmp_path):
    other = write_slide(tmp_path / "in" / "two.tif", 2, side=256, tumours=0, mpp=1.0)
    shutil.copy(slide.image, tmp_path / "in" / "one.tif")
    shutil.copy(slide.outlines_file, tmp_path / "in" / "one.xml")
    (tmp_path / "in" / "bad.tif").write_bytes(slide.image.read_bytes()[:3000])
    paths = [tmp_path / "in" / name for name in ("bad.tif", "one.tif", "two.tif")]
    given = {"model": local_model(), "mpp": 1.0, "size": 64, "annotations": tmp_path / "in", "normal": ("two",)}
    done = heatmap(paths, out=tmp_path / "run", **given)
    assert [item["slide"] for item in done.record["slides"]] == ["one", "two"] and other.outlines_file is None
    assert [item["slide"] for item in done.record["bad_slides"]] == ["bad"]
    assert [finding.id for finding in done.findings] == ["bad-slides"]
    (whole,) = done.record["all"]
    assert whole["slides"] == 2 and whole["froc"]["slides"] == 2 and whole["froc"]["slide_auc"]["value"] in (0, 1)
    assert done.record["slides"][1]["truth"] == "normal" and "FROC" in done.tables[1].text()
    given |= {"normal": (), "annotations": ()}
    with pytest.raises(DataError):
        heatmap(paths[:1], out=tmp_path / "alone", **given)
    with pytest.raises(DataError, match="none of the slides can be used"):
        heatmap([paths[0], tmp_path / "in" / "no.tif"], out=tmp_path / "none", **given)


def test_masks_without_declared_values_are_asked_for_before_any_slide(slide, tmp_path):
    for name in ("one", "two"):
        shutil.copy(slide.image, tmp_path / f"{name}.tif")
    mask = tmp_path / "two_mask.tif"
    tifffile.imwrite(mask, np.zeros((512, 512), np.uint8), tile=(256, 256), photometric="minisblack")
    given = {"model": local_model(), "mpp": 1.0, "size": 64, "annotations": mask}
    with pytest.raises(UsageError, match="values of a mask have to be declared.*--values"):
        heatmap([tmp_path / "one.tif", tmp_path / "two.tif"], out=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_a_slide_smaller_than_a_tile_is_mapped_over_its_own_extent(tmp_path):
    image = np.random.default_rng(0).integers(100, 200, (48, 40, 3)).astype(np.uint8)
    small = write_pyramid(tmp_path / "small.tif", in_bands(image), Raster(48, 40, 3, "uint8", 1.0))
    done = heatmap(str(small), out=tmp_path / "run", model=local_model(), mpp=1.0, size=64, tissue="all")
    (record,) = done.record["slides"]
    assert (record["map_height"], record["map_width"], record["tiles"]) == (12, 10, 1)


def test_doubts_and_what_is_not_said(slide, tmp_path):
    given = {"model": local_model(), "mpp": 1.0, "size": 64}
    white = in_bands(np.full((300, 300, 3), 244, np.uint8))
    bare = write_pyramid(tmp_path / "bare.tif", white, Raster(300, 300, 3, "uint8", 1.0))
    done = heatmap([bare], out=tmp_path / "bare", **given)
    assert [finding.id for finding in done.findings] == ["no-tissue"] and done.record["slides"][0]["maps"] == []
    named = tmp_path / "Tumor_110.tif"
    shutil.copy(slide.image, named)
    done = heatmap([named], out=tmp_path / "listed", annotations=slide.outlines_file, **given)
    assert [finding.id for finding in done.findings] == ["not-exhaustive"]
    silent = tmp_path / "silent.tif"
    tifffile.imwrite(silent, pixels(slide), tile=(256, 256), photometric="rgb", metadata=None)
    with pytest.raises(DataError, match="states no resolution.*--slide-mpp"):
        heatmap([silent], out=tmp_path / "silent", **given)
    done = heatmap([silent], out=tmp_path / "silent", slide_mpp=1.0, **given)
    assert done.record["slides"][0]["mpp"] == 1.0
    for left in ("mpp", "size"):
        with pytest.raises(UsageError, match=f"nothing says.*--{left}"):
            heatmap([silent], out=tmp_path / "x", **{name: value for name, value in given.items() if name != left})


def test_a_bad_tile_is_recorded(slide, tmp_path, monkeypatch):
    told = View.read

    def broken(self, row, column, height, width):
        if (row, column, height) == (192, 192, 64):
            raise DataError("a part cannot be decoded", value="tile 9")
        return told(self, row, column, height, width)

    monkeypatch.setattr(View, "read", broken)
    done = heatmap([slide.image], model=local_model(), out=tmp_path, mpp=1.0, size=64, overlap=0, depth=32)
    (bad,) = done.record["slides"][0]["bad_tiles"]
    assert (bad["row"], bad["column"]) == (3, 3) and "tile 9" in bad["reason"]
    assert [finding.id for finding in done.findings] == ["bad-tiles"]
    assert np.isnan(read(tmp_path / "one" / "clean.tif")[0][48:64, 48:64]).all()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"size": 66}, UsageError, "whole cells of the model: --size 66"),
        ({"overlap": 40}, UsageError, "at most half of a tile"),
        ({"tissue": "guess"}, UsageError, "guess"),
        ({"depth": 16}, UsageError, "unknown depth"),
        ({"batch_size": 0}, UsageError, "option batch_size is too small: 0"),
        ({"threads": 0}, UsageError, "option threads is too small: 0"),
        ({"colour": 1}, UsageError, "unknown option: colour"),
        ({"attacks": ("pgd",)}, UsageError, "attacks and budgets belong together"),
        ({"attacks": ("pgdd",), "budgets": ("l2=1",)}, Exception, "pgdd"),
        ({"annotations": "no-such.xml"}, UsageError, "no such annotations"),
        ({"normal": ("else",)}, UsageError, "--normal fits no slide: else"),
    ],
)
def test_what_is_refused(slide, tmp_path, options, error, said):
    with pytest.raises(error, match=said):
        heatmap([slide.image], out=tmp_path / "run", **{"model": local_model(), "mpp": 1.0, "size": 64} | options)


def test_models_that_do_not_fit(slide, tmp_path):
    class Broken(Local):
        def forward(self, images):
            return super().forward(images) / 0

    info = ModelInfo("broken", "heatmap", ("normal", "tumour"), 3, cell=4)
    given = {"out": tmp_path / "run", "mpp": 1.0, "size": 64}
    with pytest.raises(ModelError, match="NaN or infinity"):
        heatmap([slide.image], model=Model(Broken(), info), **given)
    whole = Model(nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), ModelInfo("flat", "classify", ("a", "b"), 3))
    with pytest.raises(ModelError, match="task heatmap: classify"):
        heatmap([slide.image], model=whole, **given)
    fixed = Model(Local(), ModelInfo("fixed", "heatmap", ("normal", "tumour"), 3, (96, 96), cell=4))
    with pytest.raises(UsageError, match="its own size only: --size 64"):
        heatmap([slide.image], model=fixed, **given)
    done = heatmap([slide.image], model=fixed, **given | {"size": None})
    assert done.record["options"]["size"] == 96 and done.record["options"]["overlap"] == 24
