"""The contract of a source of models; run it on your own with ``check_source(build, name, folder)``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from percuss.core.errors import ModelError
from percuss.core.images import Task
from percuss.core.model import Model, ModelInfo
from percuss.models.checkpoint import save_model
from percuss.models.options import Options
from percuss.models.spec import load_model
from percuss.models.weights import fill, read_weights

Build = Callable[[str, Options], tuple[nn.Module, ModelInfo]]
# The network as its library builds it for a number of classes and three channels, and the mean and std it wants.
Raw = Callable[[int], tuple[nn.Module, tuple[float, ...], tuple[float, ...]]]

_SEED = 7


def check_source(  # noqa: PLR0913
    build: Build,
    name: str,
    folder: Path,
    *,
    allow_code: bool = False,
    task: Task = "classify",
    pixels: int = 64,
    raw: Raw | None = None,
) -> None:
    """Run every check on a source.

    Args:
        build: ``(name, options) -> (network, info)``, one of ``percuss.models.spec.SOURCES`` or like it.
        name: a network of the source that takes images ``[N, 1 or 3, pixels, pixels]``.
        folder: an empty folder to write weights in.
        allow_code: for sources that run code; the others must answer a misspelt name with the nearest.
        task: what the network gives; ``segment`` for one logit per class at every pixel.
        pixels: side of the images tried; those of segmenters are half as wide again.
        raw: the same network built without the source, from the same random state: ``classes -> (network, mean,
            std)``. Without it nobody can see a network that normalises twice or not as its configuration says.

    Raises:
        AssertionError: naming the broken promise.
    """
    for count in (2, 3):
        classes = tuple(f"class {i}" for i in range(count))
        for grey in (False, True):
            channels, width = 1 if grey else 3, pixels * 3 // 2 if task == "segment" else pixels
            options = Options(classes=classes, task=task, channels=channels, grey_inside=grey, allow_code=allow_code)
            images = torch.rand(4, channels, pixels, width, generator=torch.Generator().manual_seed(count))
            model = _made(build, name, options)
            check_record(model, options)
            check_logits(model, images)
            if raw is not None:
                check_normalisation(model, images, raw)
            check_gradient(model, images)
            check_start(build, name, options)
            check_weights(build, name, options, folder=folder)
            check_folder(model, images, folder / f"saved {count} {grey}", allow_code=allow_code)
    _unknown(build, options, "no_such_network:at_all", expected="no_such_network")
    if not allow_code:
        _unknown(build, options, f"{name}x", expected=name)


def check_record(model: Model, options: Options) -> None:
    """The record repeats what was asked, says where the weights are from, and normalises every channel."""
    info = model.info
    _hold(info.classes == options.classes, f"classes are {info.classes}, not {options.classes}")
    _hold(info.task == options.task, f"the task is {info.task}, not {options.task}")
    _hold(info.channels == options.channels, f"the record says {info.channels} channels, not {options.channels}")
    _hold(info.weights in ("random", "given"), f"weights that nobody gave are called {info.weights!r}")
    _hold(len(info.mean) == len(info.std) and min(info.std) > 0, f"mean {info.mean} and std {info.std} do not fit")
    _hold(not any(part.training for part in model.modules()), "a part of the model is not in eval mode")
    places = {str(value.device) for value in (*model.parameters(), *model.buffers())}
    _hold(places == {"cpu"}, f"a new model lies on {', '.join(sorted(places))}, not on cpu")


def check_logits(model: Model, images: Tensor) -> None:
    """Finite float32 logits, the same when asked again and for an image alone; not all alike."""
    try:
        with torch.no_grad():
            logits, again = model(images), model(images)
            alone = torch.cat([model(image.unsqueeze(0)) for image in images])
    except ModelError as error:
        raise AssertionError(f"the model does not take its own images: {error}") from error
    if model.task == "segment":
        wanted = (len(images), len(model.classes), *images.shape[2:])
        _hold(tuple(logits.shape) == wanted, f"logits are {tuple(logits.shape)}, not {wanted}")
        _hold(not torch.equal(logits[0], logits[1]), "two images get the same map")
    _hold(bool(torch.isfinite(logits).all()), "logits are not finite")
    _hold(torch.equal(logits, again), "asked again, the model says something else")
    scale = float(logits.abs().max())
    _hold(bool((logits - alone).abs().max() <= 1e-4 * scale), "an image's logits depend on its batch mates")


def check_normalisation(model: Model, images: Tensor, raw: Raw) -> None:
    """Logits are those of the raw network on images normalised by hand with its configuration."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        network, mean, std = raw(len(model.classes))
        info = model.info
        _hold(
            (info.mean, info.std) == (tuple(mean), tuple(std)),
            f"mean {info.mean} and std {info.std} are not the configuration's {mean} and {std}",
        )
        ready = (images - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)
        same = torch.equal(network.eval()(ready).float(), model(images))
    _hold(same, "logits are not those of the raw network on images normalised by hand")


def check_gradient(model: Model, images: Tensor) -> None:
    """A gradient reaches every image."""
    point = images.clone().requires_grad_(True)
    logits = model(point)
    _hold(logits.requires_grad, "no gradient reaches the input")
    # Random directions: the sum of all logits may have no gradient where a network's outputs are coupled.
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    (found,) = torch.autograd.grad(logits, point, weights, allow_unused=True)
    _hold(found is not None and bool((found != 0).flatten(1).any(1).all()), "no gradient reaches the input")


def check_start(build: Build, name: str, options: Options) -> None:
    """The random start follows torch's seed."""
    first, second = (_made(build, name, options).network.state_dict() for _ in range(2))
    same = all(torch.equal(value, second[key]) for key, value in first.items())
    _hold(same, "the same seed gives other weights")


def check_weights(build: Build, name: str, options: Options, *, folder: Path) -> None:
    """Weights of a file arrive whole; a name missing, or another shape, is a ModelError that says which."""
    folder.mkdir(parents=True, exist_ok=True)
    network = _made(build, name, options).network
    moved = {key: (value + 1 if value.is_floating_point() else value) for key, value in network.state_dict().items()}
    key = next(name for name, value in moved.items() if value.is_floating_point())
    _write(folder / "moved.safetensors", moved)
    fill(network, read_weights(folder / "moved.safetensors"), "moved")
    arrived = network.state_dict()
    _hold(all(torch.equal(arrived[name], value) for name, value in moved.items()), "weights of a file do not arrive")
    for title, wrong in (
        ("missing", {name: value for name, value in moved.items() if name != key}),
        ("other shape", moved | {key: torch.zeros(7, 7, 7)}),
    ):
        _write(folder / "wrong.safetensors", wrong)
        try:
            fill(network, read_weights(folder / "wrong.safetensors"), "wrong")
        except ModelError as error:
            wanted = [title, key]
            if title == "other shape":
                wanted += ["(7, 7, 7)", str(tuple(moved[key].shape))]
            for text in wanted:
                _hold(text in str(error), f"the error of weights that do not fit lacks {text!r}")
        else:
            raise AssertionError(f"weights that do not fit are taken ({title})")


def check_folder(model: Model, images: Tensor, folder: Path, *, allow_code: bool = False) -> None:
    """Saved and loaded, the model says the same to the last bit, and its record is the same."""
    try:
        again = load_model(save_model(model, folder), allow_code=allow_code)
    except ModelError as error:
        raise AssertionError(f"a saved model does not come back: {error}") from error
    _hold(again.info == model.info, f"the record changes on the way: {again.info}, not {model.info}")
    with torch.no_grad():
        _hold(torch.equal(again(images), model(images)), "the saved model gives other logits")
    trained = load_model(save_model(model, folder, weights="trained"), allow_code=allow_code)
    _hold(trained.info == replace(model.info, weights="trained"), "the origin of the weights is lost")


def _made(build: Build, name: str, options: Options) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network, info = build(name, options)
    return Model(network, info)


def _unknown(build: Build, options: Options, name: str, *, expected: str) -> None:
    try:
        build(name, options)
    except ModelError as error:
        found = re.search(rf"(?<!\w){re.escape(expected)}(?!\w)", str(error))
        _hold(found is not None, f"the error of the unknown name {name!r} does not name {expected!r}")
    except Exception as error:
        raise AssertionError(f"an unknown name raises {type(error).__name__} and not ModelError") from error
    else:
        raise AssertionError("an unknown name raises nothing")


def _write(path: Path, weights: dict[str, Tensor]) -> None:
    save_file({key: value.clone().contiguous() for key, value in weights.items()}, path)


def _hold(holds: bool, broken: str) -> None:
    if not holds:
        raise AssertionError(broken)
