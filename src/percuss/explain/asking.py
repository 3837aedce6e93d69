"""How a model is asked for explanations: in eval mode, one score per class, libraries loaded when needed."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from percuss.core.errors import ModelError, NoGradientError, UsageError
from percuss.core.model import Model


def library(name: str) -> Any:
    """A library of the extra ``explain``; UsageError naming the extra where it is not installed."""
    try:
        with warnings.catch_warnings():
            # umap says that its part for tensorflow, which nothing here uses, is not there.
            warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
            return importlib.import_module(name)
    except ImportError as error:
        package = {"umap": "umap-learn"}.get(name.partition(".")[0], name.partition(".")[0])
        raise UsageError(
            f"{package} is not installed", value=error, next_step="pip install 'percuss[explain]'"
        ) from error


@contextmanager
def in_eval(model: torch.nn.Module) -> Iterator[None]:
    """Within, every part of the model is in eval mode; afterwards each is in the mode it had."""
    modes = [(part, part.training) for part in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def place_of(model: torch.nn.Module) -> torch.device:
    """Where the model's first parameter or buffer lies."""
    return next((values.device for values in (*model.parameters(), *model.buffers())), torch.device("cpu"))


def class_scores(model: Model) -> Callable[[Tensor], Tensor]:
    """Images to one score per class ``[N, classes]``, the logits; a single binary logit z becomes (-z, z)."""

    def scores(images: Tensor) -> Tensor:
        logits: Tensor = model(images)
        single = model.task == "classify" and logits.shape[1] == 1
        return torch.cat([-logits, logits], dim=1) if single else logits

    return scores


def check_explained(model: Model, images: Tensor, classes: Tensor) -> None:
    """Whether the scores of these classes depend on the images in a way that autograd sees; asks 8 images.

    Args:
        model: asked in the mode it is in.
        images: float32 ``[N, C, H, W]`` in [0, 1].
        classes: the class (or label) to explain, long ``[N]``.

    Raises:
        ModelError: classes that do not fit the images or the model.
        NoGradientError: the scores are cut off from the images, or no image has any gradient.
    """
    count = len(model.classes)
    if classes.shape != (len(images),) or (len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < count):
        raise ModelError(
            "the classes to explain do not fit",
            value=classes.tolist()[:8],
            allowed=f"one of 0 to {count - 1} per image",
        )
    found = None
    with torch.enable_grad():
        inputs = images[:8].detach().to(place_of(model)).requires_grad_(True)
        chosen = class_scores(model)(inputs).gather(1, classes[:8].to(inputs.device)[:, None])
        if chosen.requires_grad:
            (found,) = torch.autograd.grad(chosen.sum(), inputs, allow_unused=True)
    if found is None or not bool((found != 0).any()):
        raise NoGradientError(
            "no gradient reaches the image" if found is None else "the gradient of the model is zero everywhere",
            value="a map of it would be empty, not an explanation",
            allowed="a forward built of differentiable operations, without detach, argmax, rounding or no_grad",
            next_step="explain the model without that step",
        )
