"""The head as a function of the active coefficients' values: the same logits and gradient as of the whole code."""

import pytest
import torch

from percuss.models.heat_head import HeatHead


@pytest.mark.parametrize(("stride", "cell"), [(2, 4), (4, 4), (8, 4)])
def test_values_alone_give_the_same(stride, cell):
    torch.manual_seed(0)
    head = HeatHead(12, stride=stride, cell=cell).eval()
    code = torch.rand(12, 10, 12) * (torch.rand(12, 10, 12) < 0.03)
    active = code > 0
    whole = code[None].clone().requires_grad_(True)
    logits = head(whole)
    (slope,) = torch.autograd.grad(logits.square().sum(), whole)
    judge = head.on_values(active)
    assert judge is not None
    for scale in (1.0, 0.0, 2.0):  # prepared once, for any values of these coefficients, also 0
        values = (code[active] * scale).requires_grad_(True)
        found = judge(values)
        with torch.no_grad():
            assert torch.allclose(found, head(code[None] * scale), atol=1e-6)
        (own,) = torch.autograd.grad(found.square().sum(), values)
        if scale == 1.0:
            assert torch.allclose(own, slope[0][active], rtol=1e-4, atol=1e-6)


def test_dense_codes_keep_the_dense_convolution():
    head = HeatHead(4, stride=4, cell=4).eval()
    assert head.on_values(torch.rand(4, 8, 8) < 0.5) is None
