"""percuss explain: what the model looks at before and after the attacks of a finished audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from percuss.cli.options import (
    AllowCode,
    FinishedRun,
    Quiet,
    RunBatchSize,
    RunData,
    RunDevice,
    RunModel,
    RunThreads,
    RunWeights,
    Verbose,
    names_in,
)

Option = typer.Option


def explain(  # noqa: PLR0913
    run: FinishedRun,
    *,
    what: Annotated[
        list[str] | None,
        Option(help="saliency, gradcam, umap, landscape, perturbation, by commas. Default all but the last."),
    ] = None,
    images: Annotated[int, Option(min=1, help="Flipped images whose maps are compared.")] = 16,
    norm: Annotated[
        str | None, Option(help="Whose attacked images to take. Default the first norm with flips.")
    ] = None,
    method: Annotated[str, Option(help="Of saliency: gradient or integrated_gradients.")] = "gradient",
    layer: Annotated[str | None, Option(help="Layer of Grad-CAM. Default the last spatial one.")] = None,
    features: Annotated[
        str | None, Option(help="Layer whose output goes into the plane. Default what the classifier is given.")
    ] = None,
    checkpoints: Annotated[
        Path | None, Option(help="Folder of weights, oldest first by name. Default trajectory/ of the model folder.")
    ] = None,
    points: Annotated[int, Option(min=3, help="Places per side of the landscape.")] = 15,
    samples: Annotated[int, Option(min=1, help="Clean images for the landscape's loss.")] = 128,
    data: RunData = None,
    model: RunModel = None,
    weights: RunWeights = None,
    allow_code: AllowCode = False,
    device: RunDevice = None,
    batch_size: RunBatchSize = None,
    threads: RunThreads = None,
    as_json: Annotated[bool, Option("--json", help="Print explain.json on stdout.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what the model looks at before and after the attacks, where attacked images lie, and the loss around it.

    Writes explain.html and explain.json into the run. Needs the extra: pip install 'percuss[explain]'. Stopped or
    killed, the same command goes on.
    """
    from percuss.cli.console import talk
    from percuss.pipeline.explain import explain_run

    names = names_in(what)
    done = explain_run(
        run,
        what=tuple(names) or None,
        images=images,
        norm=norm,
        method=method,
        layer=layer,
        features=features,
        checkpoints=checkpoints,
        points=points,
        samples=samples,
        data=data,
        model=model,
        progress=talk(quiet=quiet or as_json),
        weights=weights,
        allow_code=allow_code or None,
        device=device,
        batch_size=batch_size,
        threads=threads,
    )
    if as_json:
        print(json.dumps(done.record, allow_nan=False))
    elif not quiet:
        for line in done.words:
            print(line)
        print(f"\npage: {done.page}")
