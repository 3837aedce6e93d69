"""Percuss: how small a change flips a medical-imaging model, on which images, and can the number be believed?

``load_data``, ``load_model``, ``attack`` and ``audit`` are loaded when first used, so that importing is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from percuss.attacks.bpda import backward_approximation
    from percuss.attacks.tensors import attack
    from percuss.data.spec import load_data
    from percuss.models.spec import load_model
    from percuss.pipeline.interface import audit
    from percuss.pipeline.run import Run

    __version__: str

__all__ = ["Run", "__version__", "attack", "audit", "backward_approximation", "load_data", "load_model"]
_HOMES = {
    "attack": "percuss.attacks.tensors",
    "audit": "percuss.pipeline.interface",
    "backward_approximation": "percuss.attacks.bpda",
    "compare": "percuss.pipeline.compare",
    "create_study": "percuss.pipeline.study_create",
    "curve": "percuss.pipeline.curves",
    "fragility": "percuss.pipeline.fragility",
    "harden": "percuss.pipeline.training_interface",
    "heatmap": "percuss.pipeline.heatmap",
    "load_data": "percuss.data.spec",
    "load_model": "percuss.models.spec",
    "pack": "percuss.pipeline.pack",
    "reproduce": "percuss.pipeline.reproduce",
    "Run": "percuss.pipeline.run",
    "smallest": "percuss.attacks.smallest:smallest_change",
    "smallest_flips": "percuss.pipeline.fragility",
    "study_results": "percuss.pipeline.study_results",
    "train": "percuss.pipeline.training_interface",
    "tile": "percuss.pipeline.tile_interface",
    "transfer": "percuss.pipeline.transfer",
    "triage": "percuss.pipeline.triage",
    "universal": "percuss.pipeline.universal",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("percuss")
    if name not in _HOMES:
        raise AttributeError(f"module 'percuss' has no attribute {name!r}")
    home, _, inner = _HOMES[name].partition(":")
    return getattr(importlib.import_module(home), inner or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})
