"""Members of a code at their borders: none at all, and blocks of one colour."""

import pytest
import torch

from percuss.models.lca import encode, unit_norm


@pytest.mark.parametrize("size", [50.0, 1000.0])
def test_a_threshold_above_every_drive_gives_an_empty_code(size):
    torch.manual_seed(0)
    atoms, image = unit_norm(torch.randn(8, 3, 6, 6)), torch.randn(1, 3, 24, 24)
    code, info = encode(image, atoms, threshold=size, stride=2, solver="working_set")
    assert not code.any() and int(info.active[0]) == 0 and bool(info.converged[0]) and bool(info.empty[0])
