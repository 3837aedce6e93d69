"""Quality, direction and confusion of class maps, on cases worked by hand and against other libraries."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from percuss.core import dense
from percuss.core.class_maps import check_map
from percuss.core.errors import DataError
from percuss.core.losses import direction, flipped, margin
from percuss.core.model import is_right

TRUTH = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]]])


def logits_of(prediction, classes=3):
    return torch.nn.functional.one_hot(prediction, classes).movedim(-1, 1).double() * 4


def drawn(count=4, classes=3, side=6):
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randint(0, classes, (count, side, side), generator=generator),
        torch.randint(0, classes, (count, side, side), generator=generator),
    )


def test_quality_by_hand():
    said = TRUTH.clone()
    said[0, 0, 2:] = 0  # half of class 1 is missed: Dice 2 * 2 / (4 + 2)
    assert dense.quality(said, TRUTH, 3).tolist() == [pytest.approx((2 / 3 + 1) / 2)]
    assert dense.quality(TRUTH, TRUTH, 3).tolist() == [1.0]
    assert dense.quality(torch.zeros_like(TRUTH), TRUTH, 3).tolist() == [0.0]


def test_an_image_without_foreground_is_judged_by_what_is_hallucinated():
    empty, said = torch.zeros_like(TRUTH), torch.zeros_like(TRUTH)
    said[0, 0] = 1
    assert dense.quality(said, empty, 3).tolist() == [0.75]


def test_pixels_without_a_judgement_count_for_nothing():
    truth, said = TRUTH.clone(), TRUTH.clone()
    truth[0, 0], said[0, 0] = dense.IGNORE, 2
    assert dense.quality(said, truth, 3).tolist() == [1.0]
    assert dense.confusion(said, truth, 3).sum() == 12
    assert dense.quality(said, torch.full_like(truth, dense.IGNORE), 3).tolist() == [1.0]
    assert (dense.direction(torch.randn(1, 3, 4, 4), truth)[0, :, 0] == 0).all()


def test_confusion_agrees_with_scikit_learn():
    from sklearn.metrics import confusion_matrix

    said, truth = drawn()
    found = dense.confusion(said, truth, 3)
    for i in range(len(said)):
        assert (found[i].numpy() == confusion_matrix(truth[i].flatten(), said[i].flatten(), labels=[0, 1, 2])).all()


def test_direction_is_that_of_the_cross_entropy():
    _, truth = drawn()
    logits = torch.randn(4, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(cross_entropy(logits, truth, reduction="sum"), logits)
    found = direction(logits, truth, "segment")
    scale = (found / slope).flatten(1)
    assert torch.allclose(scale, scale[:, :1].expand_as(scale), rtol=1e-9)
    assert (scale > 0).all()
    assert torch.allclose(direction(logits, truth, "segment", goal=truth), -found)


def test_direction_of_a_very_sure_segmenter_does_not_vanish():
    found = dense.direction(logits_of(TRUTH) * 1e4, TRUTH)
    assert found.abs().amax() >= 0.5


def test_margin_and_flip_agree():
    said, truth = drawn(64, side=3)
    logits = logits_of(said)
    assert ((margin(logits, truth, "segment") > 0) == ~is_right(logits, truth, "segment")).all()
    assert (flipped(logits, truth, "segment") == (margin(logits, truth, "segment") > 0)).all()
    assert flipped(logits, truth, "segment", goal=said).all()
    assert not flipped(logits, truth, "segment", goal=(said + 1) % 3).any()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (torch.zeros(3, 4, dtype=torch.uint8), "does not fit it"),
        (torch.zeros(4, 4, dtype=torch.int64), "does not fit it"),
        (torch.full((4, 4), 7, dtype=torch.uint8), "unknown classes"),
    ],
)
def test_maps_that_cannot_be_used_are_named(values, words):
    with pytest.raises(DataError, match=f"slide 3 .*{words}"):
        check_map("slide 3", values.numpy(), None, size=(4, 4), classes=3)


def test_numbers_of_nuclei_of_another_size_are_named():
    known = torch.zeros(4, 4, dtype=torch.uint8).numpy()
    with pytest.raises(DataError, match=r"numbers of nuclei of image slide 3 do not fit it.*\(5, 4\)"):
        check_map("slide 3", known, torch.zeros(5, 4).numpy(), size=(4, 4), classes=3)


def test_a_map_with_unjudged_pixels_passes():
    values = torch.tensor([[0, 255], [2, 1]], dtype=torch.uint8)
    check_map("a", values.numpy(), values.numpy(), size=(2, 2), classes=3)
