"""Audits in native units, in regions and among storable images, end to end."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from percuss.core.errors import BudgetError, DataError, RunError
from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.pipeline.interface import audit

CT = PixelRange(-1350, 150, 1, "HU")


class Scans(ImageSet):
    """Twenty grey images in HU, bright or dark, some near the border."""

    def __init__(self, pixels=CT, ids=None):
        names = [f"s{i}" for i in range(20)] if ids is None else ids
        super().__init__("scans", "classify", ("dark", "bright"), [Entry(name, int(name[1:]) % 2) for name in names])
        self.pixels = pixels

    def read(self, case_id):
        i = int(case_id[1:])
        middle = (self.pixels.low + self.pixels.high) / 2
        level = middle + (1 if i % 2 else -1) * (1 + i)
        noise = np.random.default_rng(i).integers(-20, 21, (1, 16, 16))
        noise = noise - np.rint(noise.mean()).astype(int)
        return Case(case_id, np.rint(level + noise).astype(int), self.pixels, i % 2)

    def fingerprint(self, case_id):
        return f"{case_id} {self.pixels}"

    def subset(self, split=None, ids=None):
        return Scans(self.pixels, ids)


class Mean(nn.Module):
    """Bright where the mean is above one half."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([-40.0, 40.0]))

    def forward(self, images):
        return (images.mean((1, 2, 3)) - 0.5)[:, None] * self.weight


def test_sizes_in_hounsfield_units_over_the_window(tmp_path):
    run = audit(data=Scans(), model=Mean(), out=tmp_path / "run", budgets=["linf=2HU,10HU,30HU"], attacks="pgd",
                rounding="native")  # fmt: skip
    assert sorted(run.rows["eps"].unique()) == pytest.approx([2 / 1500, 10 / 1500, 30 / 1500])
    assert run.results.data.window == (-1350, 150) and run.results.data.unit == "HU"
    assert (run.rows["success"] == run.rows["success_stored"]).all()
    # An image at distance d HU from the border flips at d HU and not before: closed form.
    flips = run.rows[run.rows["budget"] == "linf=10HU"].set_index("id")["success"]
    gaps = {name: abs(float(Scans().read(name).pixels.mean()) + 600) for name in flips.index}
    assert all(flips[name] == (gap < 10) for name, gap in gaps.items() if abs(gap - 10) > 0.01)
    page = run.report.read_text(encoding="utf-8")
    assert "10\u00a0HU" in page and "from -1350 to 150" in page


def test_units_that_the_images_do_not_have_are_refused(tmp_path):
    with pytest.raises(BudgetError, match="HU"):
        audit(data=Scans(PixelRange(0, 4095)), model=Mean(), out=tmp_path / "a", budgets=["linf=10HU"], attacks="pgd")
    with pytest.raises(BudgetError, match="grey level"):
        audit(data=Scans(), model=Mean(), out=tmp_path / "b", budgets=["linf=2grey"], attacks="pgd")
    with pytest.raises(DataError, match="whole number of steps"):
        PixelRange(0, 1500, 7, "HU")
    with pytest.raises(DataError, match="whole number of steps"):
        PixelRange(5, 5)


def test_masks_of_a_table_bound_the_changes(tmp_path):
    lines = ["path,label,mask"]
    for i in range(12):
        level = 120 + i % 2 * 15
        pixels = np.random.default_rng(i).integers(level - 5, level + 6, (16, 16)).astype(np.uint8)
        mask = np.zeros((16, 16), np.uint8)
        mask[4:12, 2 + i % 3 : 14] = i < 11  # the last is empty
        Image.fromarray(pixels).save(tmp_path / f"i{i}.png")
        Image.fromarray(mask).save(tmp_path / f"m{i}.png")
        lines.append(f"i{i}.png,{i % 2},m{i}.png")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    spec, options = f"csv:{tmp_path / 't.csv'}", {"budgets": ["linf=40/255", "l0=20%"], "attacks": "pgd,curve,noise"}
    run = audit(data=spec, model=Mean(), out=tmp_path / "run", region="mask", **options)
    kept = run.rows[run.rows["image"] != ""]
    assert len(kept) and run.results.data.n_bad == 1 and "empty" in run.results.data.bad[0]["reason"]
    for name, path in zip(kept["id"], kept["image"], strict=True):
        before, after = (np.asarray(Image.open(at)).astype(int) for at in (tmp_path / name, run.path / path))
        mask = np.asarray(Image.open(tmp_path / name.replace("i", "m"))) > 0
        assert (before != after).any() and not (before != after)[~mask].any()
    assert "region mask" in run.results.threat_model["capability"]
    free = audit(data=spec, model=Mean(), out=tmp_path / "free", **options)
    worst = {run.path.name: run.rows["success"].sum(), free.path.name: free.rows["success"].sum()}
    assert worst["run"] < worst["free"]
    with pytest.raises(RunError, match="another run"):
        audit(data=spec, model=Mean(), out=tmp_path / "run", **options)
    assert json.loads((run.path / "context.json").read_text())["data"]["window"] == [0, 255]


def test_tissue_of_synthetic_images(small, tmp_path):
    run = small(tmp_path / "run", region="tissue", attacks="pgd", budgets=["linf=8/255"])
    kept = run.rows[run.rows["image"] != ""].iloc[0]
    from percuss.data.region import tissue

    before, after = (
        torch.from_numpy(np.asarray(Image.open(run.path / at)).copy()).permute(2, 0, 1).float() / 255
        for at in (f"images/original/{kept['id']}.png", kept["image"])
    )
    assert not bool((before != after).any(0)[~tissue(before[None])[0]].any())
