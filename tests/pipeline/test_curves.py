"""percuss.curve: one search over all sizes of a norm, on plain tensors."""

import pytest
import torch
from torch import nn

import percuss
from percuss.core.budget import Norm
from percuss.core.errors import BudgetError, DataError
from percuss.testing.exact import examples, linear_model, smallest_step


@pytest.fixture(scope="module")
def linear():
    model = linear_model("two")
    batch = examples(model, 20)
    return model, batch, torch.tensor(smallest_step(model, batch, Norm.L2))


def test_smallest_sizes_and_shares_are_exact(linear):
    model, batch, exact = linear
    targets = batch.targets.clone()
    targets[0] = 1 - targets[0]  # wrong from the start
    sizes = [float(exact.median()) * share for share in (0.3, 0.8, 1.02, 1.3, 3)]
    found = percuss.curve(model, batch.images, targets, "l2", sizes)
    assert found.norm is Norm.L2 and found.sizes == pytest.approx(sizes)
    for row, (size, true) in enumerate(zip(found.smallest.tolist(), exact.tolist(), strict=True)):
        if row == 0:
            assert size == 0
            continue
        fitting = [*(size for size in sizes if size >= true * 1.005), float("inf")]
        assert true * (1 - 1e-5) <= size <= fitting[0] * (1 + 1e-9)
    right = torch.ones(20, dtype=torch.bool).index_fill(0, torch.tensor([0]), False)
    for size, share, images in zip(sizes, found.robust_accuracy, found.images, strict=True):
        assert share.value == pytest.approx(float((right & (found.smallest > size * 1.0001)).float().mean()))
        assert share.low <= share.value <= share.high and share.n == 20
        stays = model(images).argmax(1) == targets
        assert share.value == pytest.approx(float(stays.float().mean()))
    assert (found.smallest_stored[1:] >= found.smallest[1:]).all()
    assert (found.gradient_evaluations[1:] > 0).all() and found.gradient_evaluations[0] == 0


def test_patients_widen_the_interval_and_a_plain_module_will_do(linear):
    _, batch, _ = linear
    net = nn.Sequential(nn.Flatten(), nn.Linear(batch.images[0].numel(), 3))
    targets = net(batch.images).argmax(1)
    patients = [f"p{i // 10}" for i in range(20)]
    found = percuss.curve(net, batch.images, targets, Norm.LINF, "1/255:64/255:4", groups=patients, effort="quick")
    assert len(found.sizes) == 4 and "patient" in found.robust_accuracy[-1].method
    shares = [share.value for share in found.robust_accuracy]
    assert shares == sorted(shares, reverse=True)


def test_what_cannot_be_used_is_named(linear):
    model, batch, _ = linear
    with pytest.raises(DataError, match="no image is given"):
        percuss.curve(model, batch.images[:0], batch.targets[:0], "linf", [0.1])
    with pytest.raises(DataError, match="groups do not fit the images: 1"):
        percuss.curve(model, batch.images, batch.targets, "linf", [0.1], groups=["a"])
    with pytest.raises(BudgetError, match="unknown norm: l3"):
        percuss.curve(model, batch.images, batch.targets, "l3", [0.1])
