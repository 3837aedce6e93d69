"""load_model: a model from the text that names it, or from the user's own network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from percuss.core.errors import ModelError, nearest
from percuss.core.model import Model, ModelInfo
from percuss.models import from_factory, from_monai, from_percuss, from_smp, from_timm, from_torchvision
from percuss.models.caffe import caffe
from percuss.models.checkpoint import read_record
from percuss.models.from_module import describe
from percuss.models.options import Options
from percuss.models.sharpening import sharpened, stretched
from percuss.models.torchvision_segmenters import segmenters
from percuss.models.weights import fill, read_weights

Build = Callable[[str, Options], tuple[nn.Module, ModelInfo]]
SOURCES: dict[str, Build] = {
    "timm": from_timm.build,
    "torchvision": from_torchvision.build,
    "smp": from_smp.build,
    "monai": from_monai.build,
    "percuss": from_percuss.build,
    "factory": from_factory.build,
}
Front = Callable[[nn.Module, ModelInfo], tuple[nn.Module, ModelInfo]]
#: Before any other spec: what happens to images between the attack and the network.
FRONTS: dict[str, Front] = {"sharpened": sharpened, "stretched": stretched, "caffe": caffe}


def load_model(spec: str | Path | nn.Module, *, classes: Sequence[str] | None = None, **options: Any) -> Model:
    """A model that takes images in [0, 1] and gives logits, callable on tensors ``[N, C, H, W]``.

    Args:
        spec: ``timm:NAME``, ``torchvision:NAME``, ``smp:NAME``, ``monai:NAME``, ``percuss:NAME``,
            ``factory:MODULE:FUNCTION``, a folder that ``percuss train`` wrote, ``sharpened:``, ``stretched:`` or
            ``caffe:`` and one of these, or a ``torch.nn.Module`` that returns logits.
        classes: class names in output order; a folder knows its own.
        task: ``classify`` (default), ``multilabel``, or ``segment``: logits ``[N, classes, height, width]``.
        channels: channels of the images (3 by default).
        weights: None starts at random, ``pretrained`` downloads, a path is read (.safetensors, or .pt with
            tensors only).
        allow_code: let a factory run.
        grey_inside: the images are grey and the network takes colour: the grey channel is copied inside the model.
        size: (height, width) where the network takes only one.
        mean, std: normalisation inside the model, in [0, 1] units; else the network's own configuration, and
            none for a module or factory.

    Raises:
        ModelError: unknown name, weights that do not fit, no network for pretrained weights, code not allowed.
    """
    known = Options.__dataclass_fields__
    for key in options:
        if key not in known:
            raise ModelError(f"load_model has no option {key}", allowed=nearest(key, known))
    given = Options(classes=None if classes is None else tuple(classes), **options)
    front, _, behind = str(spec).partition(":") if isinstance(spec, str) else ("", "", "")
    if front in FRONTS:
        # Weights are those of the model behind: trained on sharpened images, it can be attacked before that step.
        inner = load_model(behind, classes=classes, **options)
        if front == "caffe" and Path(behind).is_dir():
            raise ModelError(
                "a trained model keeps its normalisation", value=spec, next_step="train it as caffe:, or leave that out"
            )
        return Model(*FRONTS[front](inner.network, inner.info))
    if isinstance(spec, nn.Module):
        network, info = spec, describe(spec, "module", given)
    elif Path(spec).is_dir():
        return _from_folder(Path(spec), given)
    else:
        network, info = _build(str(spec), given)
    if given.weights_file is not None:
        fill(network, read_weights(given.weights_file), given.weights_file)
    return Model(network, info)


def names(match: str = "") -> list[str]:
    """Specs of every network that hold the text ``match``, those of libraries that are not installed among them."""
    import timm

    found = [f"timm:{name}" for name in timm.list_models()]
    found += [f"torchvision:{name}" for name in from_torchvision.names()]
    found += [f"torchvision:{name}" for name in segmenters()]
    found += [f"smp:{name}" for name in from_smp.NAMES] + [f"monai:{name}" for name in from_monai.NAMES]
    found += [f"percuss:{name}" for name in from_percuss.OWN]
    return [name for name in found if match.lower() in name.lower()]


def takes_size(spec: str) -> bool:
    """Whether a new network is built for the size of its images (``size=`` of ``load_model``) where that matters."""
    front, _, behind = spec.partition(":")
    return takes_size(behind) if front in FRONTS else spec.startswith(("timm:", "percuss:", "smp:", "monai:"))


def _build(spec: str, options: Options) -> tuple[nn.Module, ModelInfo]:
    source, colon, name = spec.partition(":")
    if not colon:
        raise ModelError(
            "there is no such model folder",
            value=spec,
            allowed="a folder that percuss train wrote, timm:NAME, torchvision:NAME, smp:NAME, monai:NAME, "
            "percuss:NAME, factory:MODULE:FUNCTION",
            next_step=f"check the path, or write timm:{spec} or torchvision:{spec} for a network of that name",
        )
    if source in FRONTS:
        return FRONTS[source](*_build(name, options))
    if source not in SOURCES:
        raise ModelError(
            "unknown source of models",
            value=source,
            allowed=nearest(source, [*SOURCES, *FRONTS]),
            next_step="percuss list models shows them",
        )
    return SOURCES[source](name, options)


def anew(folder: Path, *, allow_code: bool = False) -> Model:
    """The network of a model folder with fresh random weights, drawn from torch's own generator.

    ModelError as ``load_model`` on the folder.
    """
    network, info = _network(folder, Options(allow_code=allow_code))
    return Model(network, replace(info, weights="random"))


def _from_folder(folder: Path, given: Options) -> Model:
    """The model of a folder; its own record decides, and classes given must be the same."""
    with torch.random.fork_rng(devices=[]):
        network, info = _network(folder, given)
    fill(network, read_weights(folder / "model.safetensors"), folder)
    if given.weights_file is not None:
        fill(network, read_weights(given.weights_file), given.weights_file)
        info = replace(info, weights=given.weights_name)
    return Model(network, info)


def _network(folder: Path, given: Options) -> tuple[nn.Module, ModelInfo]:
    record, info = read_record(folder)
    if given.classes is not None and given.classes != info.classes:
        raise ModelError(
            "the model of the folder has other classes", value=", ".join(given.classes), allowed=", ".join(info.classes)
        )
    if record.spec == "module":
        raise ModelError(
            "the folder holds weights of a network of your own",
            value=folder,
            next_step="build the network and give it to load_model with weights=",
        )
    whole = info.task == "heatmap" or record.outputs == len(info.classes)
    outputs = tuple(info.classes) if whole else tuple(map(str, range(record.outputs)))
    options = Options(
        classes=outputs,
        task=info.task,
        channels=len(info.mean),
        allow_code=given.allow_code,
        size=info.size,
        mean=info.mean,
        std=info.std,
    )
    return _build(record.spec, options)[0], info
