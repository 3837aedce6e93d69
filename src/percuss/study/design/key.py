"""The key of a study: which trial shows what. Nobody reads it before the study is closed."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from percuss.study.design.protocol import Frozen


class ModelSays(BaseModel):
    """What the model answers to the very file that readers see.

    Attributes:
        label: its decision, a name of a class.
        confidence: probability of that decision, in [0, 1].
        flips: right on the original's file, wrong on this one.
        attack: what made the file (``noise``, ``visible`` and empty for the original among them).
        linf, l2, l1, l0: size of the change as stored ([0, 1] units; l0 share of pixels).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    label: str
    confidence: float
    flips: bool
    attack: str = ""
    linf: float = 0.0
    l2: float = 0.0
    l1: float = 0.0
    l0: float = 0.0


class CaseKey(BaseModel):
    """What is known of one case.

    Attributes:
        id: of the case, as in the protocol.
        model: by name of arm, ``original`` among them.
        flip_eps: smallest size that flips the model as stored, by norm, in the norm's own measure; None where none up
            to ``Key.largest_tried`` does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: str
    model: dict[str, ModelSays]
    flip_eps: dict[str, float | None]


class Key(BaseModel):
    """What is sealed until the study is closed.

    Attributes:
        frozen: the whole protocol with seed, cases, truths and hashes of files.
        trials: key of each trial (``Trial.key``) by its opaque id, which is all that the database has.
        files: SHA-256 of each image file by its name in the study's ``images`` folder.
        cases: what is known of each.
        largest_tried: the largest size that the audit tried, by norm.
        model: SHA-256 of the audited model's weights; run: its run id.
        left_out: why images that were drawn are no cases, by id; the next ones took their places.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Literal["1"] = "1"
    frozen: Frozen
    trials: dict[str, str]
    files: dict[str, str]
    cases: tuple[CaseKey, ...]
    largest_tried: dict[str, float] = Field(default_factory=dict)
    model: str = ""
    run: str = ""
    left_out: dict[str, str] = Field(default_factory=dict)
