"""What is known of one change for all images: how often it flips images it was made on, and unseen ones."""

from __future__ import annotations

from dataclasses import dataclass

from percuss.core.results import Interval


@dataclass(frozen=True)
class Tally:
    """How often the change flips images that were right, of one split and class.

    Attributes:
        split: name of the split.
        name: a class, ``all`` images, or ``mean over classes``.
        success, success_stored: share flipped, as float and as stored (rounded to native depth).
        noise, noise_stored: share flipped by the same values at shuffled places with random signs.
        robust: share of all images, right before and after (None for the mean over classes).
        dice, dice_after, dice_stored, dice_noise: masks only: mean Dice coefficient without the change, with it,
            with it as stored, and with noise of its size; of all images as attacks are judged
            (``core.dense.quality``), of a class over the images that hold it. None for the mean over classes and
            the background.
        auc_pr, auc_pr_after, auc_pr_stored, auc_pr_noise: heat maps only, of ``all`` images: average precision of the
            judged cells of all images together, without the change, with it, with it as stored, and with noise of its
            size; ``auc_pr_lost`` that with noise less that with the change, paired over slides. Values None where the
            cells are of one kind.
        null: heat maps only: share of tumour among the judged cells, which a map without knowledge reaches.
    """

    split: str
    name: str
    success: Interval
    success_stored: Interval
    noise: Interval
    noise_stored: Interval
    robust: Interval | None
    dice: Interval | None = None
    dice_after: Interval | None = None
    dice_stored: Interval | None = None
    dice_noise: Interval | None = None
    auc_pr: Interval | None = None
    auc_pr_after: Interval | None = None
    auc_pr_stored: Interval | None = None
    auc_pr_noise: Interval | None = None
    auc_pr_lost: Interval | None = None
    null: float | None = None


@dataclass(frozen=True)
class Spread:
    """How the shares of a tally differ between changes made with different seeds.

    Attributes:
        split, name: as of the tallies.
        success, success_stored, noise: ``mean``, ``sd`` (over seeds, None for one), ``least``, ``most`` and ``seeds``,
            the number of seeds with a share; all None where there is none.
        auc_pr_after: the same of the AUC-PR with the change; None where there are no heat maps.
    """

    split: str
    name: str
    success: dict[str, float | None]
    success_stored: dict[str, float | None]
    noise: dict[str, float | None]
    auc_pr_after: dict[str, float | None] | None = None
