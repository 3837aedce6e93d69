"""Training on the images as they are, those of layered and those of hypothesis together (Avramidis et al., model 4)."""

from __future__ import annotations

import math

from percuss.defend import hypothesis, layered
from percuss.defend.augmenting import Augmenting, Method


class Settings(layered.Settings, hypothesis.Settings):
    """Settings of ``both``: those of the two, and one more.

    Attributes:
        whole_epochs: train all epochs asked for. Else a third of them, as the set is three times as large.
    """

    whole_epochs: bool = False


class Defence(Augmenting):
    """Three times the images; a third of the epochs."""

    name = "both"
    settings: Settings
    keeps_plain = True

    def methods(self, classes: int) -> tuple[Method, ...]:
        """Method one and method two."""
        one = layered.method_one(self.settings, self.ground)
        return (one, hypothesis.method_two(self.settings, self.ground, classes))

    def epochs(self, asked: int) -> int:
        """A third, rounded up, so that as many images are seen as without the changed ones."""
        return asked if self.settings.whole_epochs else math.ceil(asked / 3)
