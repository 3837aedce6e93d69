"""How many flips luck explains, where a search without gradients is set against attacks with them."""

from __future__ import annotations

from scipy.stats import binom

#: Share of images that a search without gradients may flip by luck where gradients fail, and the level of the test.
LUCK, LEVEL = 0.02, 0.05


def beats_luck(found: int, of: int) -> tuple[bool, float]:
    """Whether a search without gradients flips more than luck would, of the images that gradients left.

    An exact binomial test: at least two flips, and a chance below 5 % of so many where each image flips with 2 %.

    Args:
        found: images that it flips and gradients do not.
        of: images that gradients do not flip.

    Returns:
        The verdict, and the chance of as many flips by luck.
    """
    chance = float(binom.sf(found - 1, max(of, found, 1), LUCK)) if found else 1.0
    return found > 1 and chance < LEVEL, chance
