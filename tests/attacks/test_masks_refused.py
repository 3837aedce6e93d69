"""Class maps that cannot be attacked: the error says which and what would do, before anything is computed."""

import pytest
import torch
from torch import nn

import percuss
from percuss.core.errors import DataError, ModelError

IMAGES = torch.full((2, 3, 8, 8), 0.5)
TRUTH = torch.zeros(2, 8, 8, dtype=torch.uint8)


class NotANumber(nn.Module):
    """Three classes, all logits NaN where a pixel is not exactly mid-grey."""

    def forward(self, images):
        logits = torch.zeros(len(images), 3, *images.shape[2:]) + images.sum(1, keepdim=True)
        return logits.masked_fill((images != 0.5).any(1, keepdim=True), float("nan"))


def model(network=None):
    return percuss.load_model(network or nn.Conv2d(3, 3, 1), classes=["background", "a", "b"], task="segment")


@pytest.mark.parametrize(
    ("images", "maps", "words"),
    [
        (IMAGES, TRUTH[:, :4], "class maps \\[2, 8, 8\\]"),
        (IMAGES[:0], TRUTH[:0], "at least one image"),
        (IMAGES, torch.full_like(TRUTH, 255), "no pixel of map 0 is judged"),
    ],
)
def test_maps_that_do_not_fit_are_refused_in_words(images, maps, words):
    with pytest.raises(DataError, match=words):
        percuss.attack("pgd", model(), images, maps, "linf=2/255", steps=2)


def test_images_with_nan_are_counted_not_their_pixels():
    with pytest.raises(ModelError, match=r"in 2 of 2 images"):
        percuss.attack("pgd", model(NotANumber()), IMAGES, TRUTH, "linf=2/255", steps=2)


def test_clean_images_with_nan_are_counted_not_their_pixels():
    with pytest.raises(ModelError, match=r"2 of 2 clean images, first 0"):
        percuss.attack("pgd", model(NotANumber()), IMAGES - 0.1, TRUTH, "linf=2/255", steps=2)
