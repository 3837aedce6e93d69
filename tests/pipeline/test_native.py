"""Audits in native units and among storable images, end to end."""

import numpy as np
import pytest
import torch
from torch import nn

from percuss.core.errors import BudgetError, DataError
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
                settings={"pgd": {"rounding": "native"}})  # fmt: skip
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
