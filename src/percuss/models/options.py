"""What a user says of a model beside its spec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from percuss.core.images import Task


@dataclass(frozen=True)
class Options:
    """Options of ``load_model``; see there."""

    classes: tuple[str, ...] | None = None
    task: Task = "classify"
    channels: int | None = None
    weights: str | Path | None = None
    allow_code: bool = False
    grey_inside: bool = False
    size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def weights_name(self) -> str:
        """Where the weights come from, as recorded: ``random``, ``pretrained`` or the file's name."""
        return "random" if self.weights is None else Path(self.weights).name

    @property
    def weights_file(self) -> Path | None:
        """The file to load, if one was named."""
        return None if self.weights in (None, "pretrained") else Path(str(self.weights))
