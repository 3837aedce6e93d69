"""What every source of segmenters needs: the question checked, the network built, the record written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from percuss.core.errors import ModelError, PercussError
from percuss.core.model import ModelInfo
from percuss.models.options import Options
from percuss.models.sides import Size, settle


@dataclass(frozen=True)
class Wanted:
    """A segmenter as asked for.

    Attributes:
        spec: its full name.
        classes: in output order, the background first.
        channels: of the images.
        inner: channels of the network: 3 where grey images are copied inside.
        options: all that was said.
    """

    spec: str
    classes: tuple[str, ...]
    channels: int
    inner: int
    options: Options

    def settled(self, network: nn.Module, *, fixed: Size | None) -> Size | None:
        """``sides.settle`` for this question; ``fixed`` is the size that the network was built for, if any."""
        return settle(
            network,
            self.spec,
            channels=self.inner,
            outputs=len(self.classes),
            size=fixed or self.options.size,
            fixed=fixed is not None,
        )

    def info(
        self,
        *,
        size: Size | None,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
    ) -> ModelInfo:
        """The record; without mean and std, given here or by the user, images go in as they are."""
        return ModelInfo(
            self.spec,
            self.options.task,
            self.classes,
            self.channels,
            size,
            self.options.mean or mean or (0.0,) * self.inner,
            self.options.std or std or (1.0,) * self.inner,
            self.options.weights_name,
        )


def wanted(spec: str, options: Options) -> Wanted:
    """ModelError where the task is another, or classes are not named."""
    if options.task != "segment":
        raise ModelError(
            f"{spec} gives a decision for every pixel",
            value=f"task {options.task}",
            allowed="task segment",
            next_step="take a data set with masks, or another network",
        )
    if options.classes is None:
        raise ModelError("a new network needs class names", value=spec, next_step="give classes=[...]")
    channels = 1 if options.grey_inside else options.channels or 3
    return Wanted(spec, options.classes, channels, 3 if options.grey_inside else channels, options)


def judges_images(spec: str, options: Options) -> None:
    """ModelError where a network that gives one decision for an image is asked for one at every pixel."""
    if options.task == "segment":
        raise ModelError(
            f"{spec} gives one decision for an image",
            value="task segment",
            allowed="task classify, multilabel",
            next_step="percuss list models --match smp: shows networks that decide at every pixel",
        )


def constructed(spec: str, build: Callable[..., nn.Module], settings: Mapping[str, Any]) -> nn.Module:
    """The network of a library; its complaints about the settings become a ModelError."""
    try:
        return build(**settings)
    except Exception as error:  # each library checks its settings in its own way, or not at all
        if isinstance(error, PercussError | MemoryError):
            raise
        words = next(iter(str(error).splitlines()), "")
        raise ModelError(
            "the network cannot be built with these options",
            value=f"{spec} ({type(error).__name__}: {words})",
            next_step="look at the options behind the name; the library's documentation lists their values",
        ) from error
