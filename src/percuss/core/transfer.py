"""What a transfer matrix holds: an attack made on one model, judged on another."""

from __future__ import annotations

from dataclasses import dataclass, field

from percuss.core.results import Interval

#: The source of the control row: random noise, made on no model.
NOISE = "noise"


@dataclass(frozen=True)
class TransferCell:
    """One attack at one budget, made on ``source`` and judged on ``target``.

    Attributes:
        source, target: names of models; ``noise`` as source is the control of the same size. Equal names: white box.
        attack, norm, budget, eps: what was made; ``eps`` None without limit.
        both: share flipped of the images that source and target both get right (noise: that the target gets right).
        both_stored: the same on images rounded to native depth.
        given: share flipped of the images of ``both`` on which the attack succeeded on the source.
        robust: share of all images that the target gets right before and after.
        auc_pr: of heat maps, the target's average precision over the judged cells of all images together; None else.
        auc_pr_stored: the same on images rounded to native depth.
        drop: the target's average precision on the clean images less ``auc_pr``, paired.
    """

    source: str
    target: str
    attack: str
    norm: str
    budget: str
    eps: float | None
    both: Interval
    both_stored: Interval
    given: Interval
    robust: Interval
    auc_pr: Interval | None = None
    auc_pr_stored: Interval | None = None
    drop: Interval | None = None


@dataclass(frozen=True)
class TransferHeat:
    """What a transfer matrix of heat maps knows beside its cells.

    Attributes:
        null: average precision of a constant map: the share of tumour cells.
        slides: different slides named.
        clean: each model's average precision on the clean images, by name.
        not_exhaustive: slides whose outlines leave out tumour.
    """

    null: float | None
    slides: int
    clean: dict[str, Interval]
    not_exhaustive: list[str] = field(default_factory=list)
