"""What decides a training: typed, checked, hashed."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from percuss.core.checked import checked
from percuss.core.errors import UsageError, nearest

#: Learning rates that usually work, by optimiser.
LEARNING_RATES = {"adamw": 1e-3, "adam": 1e-3, "sgd": 0.05, "adadelta": 1.0}
#: What changes where and how fast a training runs, not what it is asked for.
_PLACE = {"device", "devices", "threads", "keep_weights"}
#: Settings that only some optimisers have.
_OWN = {"epsilon": ("adamw", "adam"), "momentum": ("sgd",)}
#: Settings that are no part of a training's identity while they are left alone.
_UNSET = (*_OWN, "lr_decay", "balance", "epoch_share", "min_delta")


class TrainSettings(BaseModel):
    """Settings of one training. ``make_settings`` fills and checks them.

    Attributes:
        epochs: at most so many passes over the training images.
        batch_size: images per step, over all devices together.
        optimiser: ``adamw``, ``adam``, ``sgd`` (Nesterov momentum 0.9) or ``adadelta``.
        lr: learning rate; None takes that of ``LEARNING_RATES``.
        epsilon: term that keeps Adam's and AdamW's division from zero; None means 1e-8.
        momentum: of SGD, Nesterov's; 0 for none, None means 0.9.
        weight_decay: decay of the weights, as the optimiser means it.
        schedule: ``none``, ``cosine`` (down to 0), ``step`` (a tenth after 60 % and again after 85 %) or ``decades``
            (times e ** -0.1 before the first epoch and after every tenth, as Avramidis et al. have it).
        warmup: epochs over which the learning rate rises from 0; at most half of all epochs. None means 1, and 0 with
            ``decades``.
        class_weights: weigh classes against their frequency in the training images.
        patience: stop after so many epochs without a lower validation loss; None never stops early.
        min_delta: by how much the validation loss must fall below the best to count as lower.
        precision: ``32``, ``bf16`` or ``16`` (mixed; 16 needs a GPU).
        device: ``auto``, ``cpu`` or ``cuda``; ``devices``: how many of them (DDP above 1).
        lr_decay: the learning rate is divided by ``1 + lr_decay * steps done``, as Keras' decay; on top of the
            schedule. None for no decay.
        augment: ``none``; ``flips``: mirror images and quarter turns (not square: left-right only); ``rotate20``:
            mirror images both ways and turns within 20 degrees; ``rotate20shift``: the same, moved by up to a tenth
            of each side; ``rotate180zoom``: any angle, moved, and a tenth larger or smaller (``defend.turning``).
        balance: fill up rarer classes with augmented copies until each has so many images; the copies are the same
            in every epoch. None takes the images as they are. Needs an augmentation.
        epoch_share: share of the images (with their copies) that an epoch takes, above 0 to 1, drawn anew each time.
        seed: decides order, augmentation and dropout.
        threads: of the processor; None leaves them.
        keep_weights: write the weights of every epoch into ``trajectory`` (``defend.keeping``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=64, ge=1)
    optimiser: Literal["adamw", "adam", "sgd", "adadelta"] = "adamw"
    lr: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    epsilon: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    momentum: float | None = Field(default=None, ge=0, lt=1, allow_inf_nan=False)
    weight_decay: float = Field(default=1e-4, ge=0, allow_inf_nan=False)
    schedule: Literal["none", "cosine", "step", "decades"] = "cosine"
    warmup: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    class_weights: bool = False
    patience: int | None = Field(default=None, ge=1)
    min_delta: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    precision: Literal["32", "bf16", "16"] = "32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(default=1, ge=1)
    lr_decay: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    augment: Literal["none", "flips", "rotate20", "rotate20shift", "rotate180zoom"] = "none"
    balance: int | None = Field(default=None, ge=1)
    epoch_share: float = Field(default=1.0, gt=0, le=1)
    seed: int = Field(default=0, ge=0, lt=2**31)
    threads: int | None = Field(default=None, ge=1)
    keep_weights: bool = False

    @field_validator("epsilon", "momentum")
    @classmethod
    def _fits(cls, value: float | None, info: ValidationInfo) -> float | None:
        owners = _OWN[str(info.field_name)]
        if value is not None and info.data.get("optimiser", owners[0]) not in owners:
            raise ValueError(f"only with --optimiser {' or '.join(owners)}")
        return value

    @field_validator("balance")
    @classmethod
    def _augmented(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("augment") == "none":
            raise ValueError("only with --augment, so that copies differ")
        return value

    @property
    def rate(self) -> float:
        """The learning rate at its highest."""
        return LEARNING_RATES[self.optimiser] if self.lr is None else self.lr

    @property
    def rising(self) -> float:
        """Epochs over which the learning rate rises."""
        usual = 0.0 if self.schedule == "decades" else 1.0
        return min(usual if self.warmup is None else self.warmup, self.epochs / 2)

    def _left_alone(self) -> set[str]:
        fields = type(self).model_fields
        return {name for name in _UNSET if getattr(self, name) == fields[name].default}

    def identity(self) -> str:
        """SHA-256 (hex) of what decides the weights; device, devices, threads and what is kept do not count."""
        told = self.model_dump(mode="json", exclude=_PLACE | self._left_alone())
        told |= {"lr": self.rate}
        told |= {"warmup": 1.0} if self.warmup is None else {}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def make_settings(**options: Any) -> TrainSettings:
    """Checked settings from options by name; None means the default. UsageError where one cannot be honoured."""
    for name in options:
        if name not in TrainSettings.model_fields:
            raise UsageError("unknown option", value=name, allowed=nearest(name, TrainSettings.model_fields))
    return checked(TrainSettings, {name: value for name, value in options.items() if value is not None})
