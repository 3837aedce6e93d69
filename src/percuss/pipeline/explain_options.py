"""What is explained and how, checked before anything is computed, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from percuss.core.errors import UsageError, nearest
from percuss.core.explained import Dots, Floats, Landscape
from percuss.core.outcome import Finding
from percuss.explain.asking import library
from percuss.explain.saliency import METHODS

#: What can be explained.
WHAT = ("saliency", "gradcam", "umap", "landscape")
#: Only where asked for.
MORE = ("perturbation",)
#: Of both, those that compare maps of an image.
MAPS = ("saliency", "gradcam", "perturbation")


@dataclass(frozen=True)
class ExplainOptions:
    """What is explained and how.

    Attributes:
        what: names of ``WHAT`` and ``MORE``; None: all of ``WHAT``, and what this model has no map for is left out
            with a note.
        images: flipped images whose maps are compared, drawn by the run's seed.
        norm: whose attacked images are taken; None: the first with flips.
        method: of saliency, ``gradient`` or ``integrated_gradients``.
        layer: of Grad-CAM; None: the last spatial one.
        features: layer whose output is embedded; None: what the classifier is given.
        checkpoints: folder with states of the network (.safetensors, .pt), in order of their names; None: the folder
            ``trajectory`` of the model folder where there is one, else random directions.
        points: places per side of the landscape.
        samples: clean images over which the landscape's loss is taken.
    """

    what: tuple[str, ...] | None = None
    images: int = 16
    norm: str | None = None
    method: str = "gradient"
    layer: str | None = None
    features: str | None = None
    checkpoints: Path | None = None
    points: int = 15
    samples: int = 128


@dataclass
class Plane:
    """The plane of features: its points, the way of one attack, and what is known of both."""

    groups: list[Dots]
    table: pd.DataFrame
    width: int
    layer: str
    way: Floats | None = None
    way_id: str = ""
    way_budget: str = ""
    way_margin: list[float] = field(default_factory=list)


@dataclass
class Found:
    """What was computed: drift of the maps by kind, layer of Grad-CAM, plane and landscape where asked for."""

    norm: str
    flips: int
    some: pd.DataFrame
    maps: dict[str, pd.DataFrame] = field(default_factory=dict)
    layer: str = ""
    plane: Plane | None = None
    landscape: Landscape | None = None
    samples: int = 0
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def check_options(wanted: ExplainOptions) -> ExplainOptions:
    """The options, checked; a wrong one is told before anything is computed."""
    what = WHAT if wanted.what is None else tuple(wanted.what)
    for name in what:
        if name not in (*WHAT, *MORE):
            raise UsageError("there is no such explanation", value=name, allowed=nearest(name, (*WHAT, *MORE)))
    if wanted.method not in METHODS:
        raise UsageError("unknown method of saliency", value=wanted.method, allowed=", ".join(METHODS))
    for name, number, least in (
        ("images", wanted.images, 1),
        ("points", wanted.points, 3),
        ("samples", wanted.samples, 1),
    ):
        if number < least:
            raise UsageError(f"the option {name} is too small", value=number, allowed=f"{least} or more")
    for name, module in (("saliency", "captum.attr"), ("gradcam", "captum.attr"), ("umap", "umap")):
        if name in what:
            library(module)
    return wanted
