"""percuss heatmap: where a model sees tumour on whole slides, and what attacks make of it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from percuss.cli.options import (
    AllowCode,
    BatchSize,
    Device,
    Quiet,
    ResultsJson,
    RunFolderOut,
    Seed,
    Steps,
    Threads,
    Verbose,
    Weights,
    names_in,
)
from percuss.cli.slide_options import Annotations, Group, Mend, Normal, NotExhaustive, Reader, SlideMpp, Slides, Values

Option = typer.Option


def heatmap(  # noqa: PLR0913
    slides: Slides,
    *,
    model: Annotated[
        str, Option(help="Model of the task heatmap: a folder of percuss train, percuss:NAME or factory:...")
    ],
    out: RunFolderOut,
    mpp: Annotated[
        float | None, Option(help="Micrometres per pixel at which the model looks. Default that of its training.")
    ] = None,
    slide_mpp: SlideMpp = None,
    size: Annotated[int | None, Option(help="Side of a tile in pixels. Default the model's.")] = None,
    overlap: Annotated[
        int | None, Option(help="Pixels that neighbours share. Default a quarter of a tile, none with attacks.")
    ] = None,
    tissue: Annotated[str, Option(help="Which tiles: otsu, paper (a rule on their mean colour) or all.")] = "otsu",
    min_tissue: Annotated[float, Option(help="With otsu: share of tissue from which a tile is kept.")] = 0.1,
    annotations: Annotations = None,
    normal: Normal = None,
    not_exhaustive: NotExhaustive = None,
    group: Group = None,
    values: Values = None,
    mend: Mend = False,
    attack: Annotated[list[str] | None, Option(help="Attacks, by commas or repeated. Default none.")] = None,
    budget: Annotated[list[str] | None, Option(help="Norm and sizes of the attack on each tile: l2=25.")] = None,
    steps: Steps = None,
    depth: Annotated[int, Option(help="Bits of a cell in the TIFF: 8, or 32 (floating point, NaN: not judged).")] = 8,
    keep_tiles: Annotated[bool, Option("--keep-tiles", help="Write the attacked tiles as PNG.")] = False,
    reader: Reader = "auto",
    batch_size: BatchSize = 8,
    seed: Seed = 0,
    weights: Weights = None,
    allow_code: AllowCode = False,
    device: Device = "auto",
    threads: Threads = None,
    as_json: ResultsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Map where the model sees tumour on whole slides, as they are and attacked tile by tile.

    Writes a pyramidal TIFF and a picture of each map, results.json and heatmap.html. Needs the extra: pip install
    'percuss[wsi]'. Stopped or killed, the same command goes on.
    """
    from percuss.cli.console import print_findings, talk
    from percuss.pipeline.heatmap import heatmap as run

    done = run(
        slides,
        model=model,
        out=out,
        progress=talk(quiet=quiet),
        mpp=mpp,
        slide_mpp=slide_mpp,
        size=size,
        overlap=overlap,
        tissue=tissue,
        min_tissue=min_tissue,
        annotations=tuple(annotations or ()),
        normal=tuple(normal or ()),
        not_exhaustive=tuple(not_exhaustive or ()),
        groups=tuple(group or ()),
        values=values,
        mend=mend,
        attacks=tuple(names_in(attack)),
        budgets=tuple(budget or ()),
        steps=steps,
        depth=depth,
        keep_tiles=keep_tiles,
        seed=seed,
        reader=reader,
        batch_size=batch_size,
        weights=weights,
        allow_code=allow_code,
        device=device,
        threads=threads,
    )
    if as_json:
        print(json.dumps(done.record, allow_nan=False))
    elif not quiet:
        print_findings(done.findings)
        for table in done.tables:
            print(table.text())
        print(f"\npage: {out / 'heatmap.html'}")
