"""The head of the heat maps: the paper's counts, its borders by hand, and the sizes of its output."""

import pytest
import torch

from percuss.core.errors import ModelError
from percuss.models import sparse_convolution
from percuss.models.heat_head import PARAMETERS, HeatHead, SameConvolution


@pytest.mark.parametrize(("channels", "count"), [(9, 11_143), (512, 300_871)])
def test_parameters_are_the_papers(channels, count):
    with torch.device("meta"):
        head = HeatHead(channels, stride=2, cell=4)
        assert head(torch.zeros(1, channels, 256, 256)).shape == (1, 1, 128, 128)
    assert sum(value.numel() for value in head.parameters()) == count == PARAMETERS[channels]


@pytest.mark.parametrize(("stride", "cell"), [(1, 4), (2, 4), (4, 4), (8, 4), (2, 2), (4, 1)])
def test_a_logit_for_each_cell_whatever_the_stride(stride, cell):
    head = HeatHead(3, stride=stride, cell=cell)
    assert head(torch.rand(2, 3, 48 // stride, 32 // stride)).shape == (2, 1, 48 // cell, 32 // cell)


def test_cells_and_places_must_fit():
    with pytest.raises(ModelError, match="cells of 4 px, places of 3 px"):
        HeatHead(3, stride=3, cell=4)


@pytest.mark.parametrize("side", [2, 3, 4, 8])
def test_same_borders_are_those_of_tensorflow(side):
    """TensorFlow pads side - 1 in all, the smaller half above and to the left: one value in, one kernel out."""
    layer = SameConvolution(1, 1, side)
    image = torch.zeros(1, 1, 12, 12)
    image[0, 0, 6, 7] = 1
    with torch.no_grad():
        found = layer(image)[0, 0]
        before = (side - 1) // 2
        for row in range(12):
            for column in range(12):
                i, j = 6 - row + before, 7 - column + before
                inside = 0 <= i < side and 0 <= j < side
                assert float(found[row, column]) == (float(layer.weight[0, 0, i, j]) if inside else 0.0)
        bound = (6 / (2 * side * side)) ** 0.5
        assert float(layer.weight.abs().max()) <= bound and not bool(layer.bias.any()), "Glorot's uniform weights"


def test_the_layers_are_relu_dropout_and_a_mean():
    torch.manual_seed(0)
    head = HeatHead(2, stride=2, cell=4).eval()
    code = torch.rand(1, 2, 8, 8)
    with torch.no_grad():
        first = head.first(code).clamp(min=0)
        second = head.second(first).clamp(min=0)
        mean = second.view(1, 18, 4, 2, 4, 2).mean((3, 5))
        assert torch.allclose(head(code), head.last(mean), atol=1e-6)
        torch.manual_seed(1)
        assert not torch.equal(head.train()(code), head(code)) and head.dropout.p == 0.5


@pytest.mark.parametrize(("side", "repeat"), [(4, 1), (3, 1), (2, 2), (1, 1), (4, 3)])
def test_a_sparse_code_is_convolved_from_its_active_coefficients_alone(side, repeat):
    torch.manual_seed(0)
    layer = SameConvolution(20, 5, side)
    code = torch.rand(2, 20, 9, 12)
    code = torch.where(code > 0.97, code, torch.zeros_like(code))
    code[0, 3, 0, 0], code[1, 7, -1, -1], code[1, 7, 0, -1] = 2.0, 3.0, 4.0
    whole = torch.nn.functional.interpolate(code, scale_factor=repeat, mode="nearest")
    found = sparse_convolution.convolved(code, layer.weight, layer.bias, repeat=repeat)
    wanted = layer(whole)
    assert found is not None and torch.allclose(found, wanted, atol=1e-5)
    pull = torch.randn(wanted.shape)
    ours = torch.autograd.grad((found * pull).sum(), [layer.weight, layer.bias])
    theirs = torch.autograd.grad((wanted * pull).sum(), [layer.weight, layer.bias])
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(ours, theirs, strict=True))


def test_dense_codes_and_codes_under_attack_take_the_dense_convolution(monkeypatch):
    head = HeatHead(4, stride=2, cell=4).eval()
    sparse = torch.zeros(1, 4, 8, 8)
    sparse[0, 1, 2, 3] = 1.0
    given = (head.first.weight, head.first.bias)
    assert sparse_convolution.convolved(torch.rand(1, 4, 8, 8), *given) is None
    assert sparse_convolution.convolved(sparse.clone().requires_grad_(), *given) is None
    quick = head(sparse)
    moving = sparse.clone().requires_grad_()
    assert torch.allclose(quick, head(moving), atol=1e-6)
    (gradient,) = torch.autograd.grad(head(moving).sum(), moving)
    assert int(gradient.count_nonzero()) > 1
    empty = torch.zeros(1, 4, 8, 8)
    monkeypatch.setattr(sparse_convolution, "MOST", -1.0)
    dense = head(empty)
    monkeypatch.undo()
    assert torch.allclose(head(empty), dense, atol=1e-6)
