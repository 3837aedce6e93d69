"""Sizes that narrow finds over the smallest ones there are, on segmenters that decide each pixel linearly."""

import torch

import percuss
from percuss.core.budget import Norm
from percuss.testing.exact import examples, pixel_model, pixel_smallest

SHARE, IMAGES = 0.3, 6


def ratios(norm: Norm, classes: int) -> torch.Tensor:
    """Found over exact for each image, 1 and more."""
    model = pixel_model(classes=classes)
    batch = examples(model, IMAGES)
    found = percuss.smallest(model, batch.images, batch.targets, norm, share=SHARE)
    return found.sizes / torch.from_numpy(pixel_smallest(model, batch, norm, share=SHARE))


def main() -> None:
    """The table of docs/attacks/narrow.md: mean and largest ratio by norm and number of classes."""
    for norm in (Norm.LINF, Norm.L2, Norm.L1, Norm.L0):
        cells = [ratios(norm, classes) for classes in (2, 3)]
        print(f"| {norm} | " + " | ".join(f"{float(one.mean()):.3f} ({float(one.max()):.3f})" for one in cells) + " |")


if __name__ == "__main__":
    main()
