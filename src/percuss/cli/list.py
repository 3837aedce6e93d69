"""percuss list: what there is to choose from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from percuss.cli.options import Verbose
from percuss.core.errors import UsageError, nearest

KINDS = ("attacks", "datasets", "defences", "models", "recipes")
#: Written here and not in a catalogue: a model is named by its source, and each source has thousands.
MODELS = {
    "FOLDER": "a folder that percuss train wrote",
    "timm:NAME": "a network of timm, for instance timm:resnet18",
    "torchvision:NAME": "a network of torchvision, for instance torchvision:densenet121",
    "smp:NAME": "a segmenter of segmentation_models_pytorch, for instance smp:Unet?encoder=resnet18",
    "monai:NAME": "a two-dimensional segmenter of MONAI, for instance monai:UNet?channels=16,32,64&strides=2,2",
    "percuss:NAME": "a network of ours: percuss:vgg16_joel, percuss:soft_attention?network=resnet50&form=fixed, "
    "percuss:unet_avramidis, and for heat maps percuss:denoising_detector and percuss:sparse_detector?atoms=512",
    "sharpened:SPEC": "one of the others behind the sharpening of X-rays, for instance sharpened:timm:resnet50",
    "stretched:SPEC": "one of the others behind a stretch of each image to its whole range, stretched:sharpened:SPEC",
    "caffe:SPEC": "a new network with the normalisation of Keras' caffe mode, for instance caffe:timm:resnet50",
    "factory:MODULE:FUNCTION": "your own code that returns a network; needs --allow-code",
}

#: Attacks that are not of Percuss, by the library they come from (docs/attacks/foreign.md).
FOREIGN = {
    "foolbox:NAME": "an attack of foolbox, for instance foolbox:LinfPGD",
    "torchattacks:NAME": "an attack of torchattacks, for instance torchattacks:Square",
    "advlib:NAME": "an attack of adv-lib, for instance advlib:ddn",
    "factory:MODULE:FUNCTION": "your own function that attacks images; needs --allow-code",
}


def list_(
    what: Annotated[str, typer.Argument(help="attacks, datasets, defences, models or recipes.")],
    *,
    match: Annotated[str, typer.Option(help="Models: names of networks of all libraries that hold this text.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Verbose = False,
) -> None:
    """List attacks, datasets, defences, models or recipes, one line each."""
    if what not in KINDS:
        raise UsageError(
            "unknown kind of thing to list",
            value=what,
            allowed=nearest(what, KINDS),
            next_step="write for instance percuss list attacks",
        )
    found = (_networks(match) if match else dict(MODELS)) if what == "models" else _catalogue(what)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    wide = max((len(name) for name in found), default=0)
    for name, text in found.items():
        print(f"{name:{wide}}  {text}".rstrip())


def _catalogue(what: str) -> dict[str, str]:
    from percuss.core.catalogue import entries, summary

    if what == "recipes":
        from percuss.pipeline.recipe import recipe_names

        return recipe_names()
    package, marker = {"attacks": ("attacks", None), "defences": ("defend", "Defence")}.get(what, ("data", "open_set"))
    found = entries(package, marker=marker)
    mark = ":" if package == "data" else ""
    listed = {f"{name}{mark}": summary(module) for name, module in found.items()}
    return listed | (FOREIGN if what == "attacks" else {})


def _networks(match: str) -> dict[str, str]:
    from percuss.models.spec import names

    return dict.fromkeys(names(match), "")
