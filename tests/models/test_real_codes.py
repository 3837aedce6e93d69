"""The sparse detector's encoder learns on real tissue: patches of a slide, cut without labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from percuss.core.teller import Silent
from percuss.models.lca import encode, standardise
from percuss.models.sparse_learning import Plan, learn_encoder

pytest.importorskip("tiffslide")
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def tiles(real_data):
    from percuss.data.slides.open import open_slide

    with open_slide(real_data / "wsi" / "CMU-1-Small-Region.svs") as slide:
        cut = [slide.read(row, column, 64, 64) for row in range(800, 1312, 128) for column in range(600, 1112, 128)]
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).float() / 255


def test_atoms_learned_on_tissue_serve_other_tissue_better_than_patches(tiles, tmp_path):
    plan = Plan(atoms=32, kernel=8, stride=2, active=0.01, updates=40)
    found = learn_encoder(tiles[:8], plan, path=tmp_path / "learned", progress=Silent())
    patches = learn_encoder(tiles[:8], replace(plan, updates=0), path=tmp_path / "patches", progress=Silent())
    assert found.facts["converged"] == 1 and found.facts["sparsity"] == pytest.approx(0.99, abs=0.005)
    units = standardise(tiles[8:])[0]
    energies = {}
    for name, one in (("learned", found), ("patches", patches)):
        _, info = encode(units, one.dictionary, threshold=found.threshold, stride=2)
        energies[name] = float(info.energy.sum())
    assert energies["learned"] < 0.95 * energies["patches"], "on tiles that nothing was learned from"
