"""Adversarial training of maps: the inner attack turns from right pixels to wrong ones (Gu et al. 2022)."""

from __future__ import annotations

from torch import Tensor

from percuss.attacks import pixels
from percuss.core.images import Task
from percuss.defend import pgd
from percuss.defend.climbing import Slopes


class Settings(pgd.Settings):
    """Settings of ``segpgd``: those of ``pgd``; half of the images are attacked by default, as in the paper."""


class Defence(pgd.Defence):
    """As ``pgd``, with the weights of SegPGD: wrong pixels count for little at first and for half at the end."""

    name = "segpgd"
    tasks = ("segment", "heatmap")
    settings: Settings

    def slopes(self, targets: Tensor, task: Task) -> Slopes:
        """Of step t of T, counted from 0, wrong pixels weigh t / (2 T), the others the rest."""
        steps = self.settings.steps
        return lambda step: pixels.segpgd(targets, None, share=step / (2 * steps))
