"""What a training is given, what it gives, and whom it tells."""

from __future__ import annotations

from dataclasses import dataclass

from percuss.core.images import Tensors
from percuss.core.teller import Teller

__all__ = ["Epoch", "Teller", "TrainData", "TrainResult"]


@dataclass(frozen=True)
class TrainData:
    """Images to learn from, and images that choose the best epoch; of one shape."""

    train: Tensors
    val: Tensors


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave. ``lr`` is the rate of its last step.

    ``val_accuracy`` is the share of right images; of class maps those of a quality of at least 0.5, and ``val_dice`` is
    the mean of that quality over the images (``core.dense.quality``: mean Dice of the classes an image shows).

    Of heat maps ``val_auc_pr`` is the average precision of the judged cells of all validation tiles together, None
    where they are of one kind.

    Of defences only: validation accuracy under PGD (``robust_accuracy``) and under one step, of class maps the mean
    quality too (``robust_dice``, ``one_step_dice``), of heat maps the average precision too (``robust_auc_pr``,
    ``one_step_auc_pr``), and how many clean and attacked images the epoch learnt from.
    Epoch 0 is the model before the first step.
    """

    epoch: int
    lr: float
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float
    robust_accuracy: float | None = None
    one_step_accuracy: float | None = None
    clean_images: int | None = None
    adversarial_images: int | None = None
    val_dice: float | None = None
    robust_dice: float | None = None
    one_step_dice: float | None = None
    val_auc_pr: float | None = None
    robust_auc_pr: float | None = None
    one_step_auc_pr: float | None = None

    def told(self) -> dict[str, float]:
        """The fields that have a value."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class TrainResult:
    """A finished training; the model holds the weights of ``best_epoch`` (counted from 1) and is in eval mode.

    ``stopped_early``: whether patience ended it. ``main`` is False in the helping processes of a training on several
    devices: they write nothing. ``before``: the model before the first step, of defences only.
    """

    history: tuple[Epoch, ...]
    best_epoch: int
    device: str
    stopped_early: bool = False
    main: bool = True
    before: Epoch | None = None
