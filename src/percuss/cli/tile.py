"""percuss tile: slides cut into tiles with the truth of their cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from percuss.cli.options import Quiet, Verbose
from percuss.cli.slide_options import Annotations, Group, Mend, Normal, NotExhaustive, Reader, SlideMpp, Slides, Values

if TYPE_CHECKING:
    from percuss.pipeline.tile import Tiling

Option = typer.Option


def tile(  # noqa: PLR0913
    slides: Slides,
    *,
    mpp: Annotated[float, Option(help="Resolution of the tiles in micrometres per pixel.")],
    out: Annotated[Path, Option(help="Folder of tiles to make, or to go on with.")],
    size: Annotated[int, Option(help="Side of a tile in pixels.")] = 512,
    stride: Annotated[int | None, Option(help="Pixels from one tile to the next. Default the size.")] = None,
    annotations: Annotations = None,
    normal: Normal = None,
    not_exhaustive: NotExhaustive = None,
    count_outside: Annotated[
        list[str] | None,
        Option(help="Name or pattern of such slides where what is not outlined counts as normal all the same."),
    ] = None,
    group: Group = None,
    mend: Mend = False,
    values: Values = None,
    tissue: Annotated[str, Option(help="Which tiles are kept: otsu, paper (Strauss and Kenyon) or all.")] = "otsu",
    min_tissue: Annotated[
        float | None, Option(help="With otsu: share of tissue from which a tile is kept. Default 0.25.")
    ] = None,
    edges: Annotated[str, Option(help="Tiles beyond the slide's edge: drop, or pad with white.")] = "drop",
    cell: Annotated[int, Option(help="Side of a cell of the truth in pixels.")] = 4,
    rule: Annotated[str, Option(help="A cell is tumour where half of its area is, or any of it.")] = "half",
    slide_mpp: SlideMpp = None,
    reader: Reader = "auto",
    workers: Annotated[int, Option(help="Processes; the tiles do not depend on it.")] = 1,
    as_json: Annotated[bool, Option("--json", help="Print manifest.json on stdout.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Cut slides into tiles at a resolution, with a mask of tumour cells for each. Read them with tiled:DIR.

    Writes tiles.csv, tiles/, masks/, thumbnails/ and manifest.json. Stopped or killed, the same command goes on; a
    slide that cannot be used is listed in bad.csv, and the others are cut.
    """
    from percuss.cli.console import talk
    from percuss.pipeline.tile import Known
    from percuss.pipeline.tile import tile as cut
    from percuss.pipeline.tile_plan import TilePlan

    plan = TilePlan(
        mpp=mpp,
        size=size,
        stride=stride,
        cell=cell,
        rule=rule,
        tissue=tissue,
        min_tissue=min_tissue,
        edges=edges,
        slide_mpp=slide_mpp,
        reader=reader,
        groups=tuple(group or ()),
        mend=mend,
        values=values,
    )
    told = (tuple(names or ()) for names in (normal, not_exhaustive, count_outside))
    known = Known(tuple(annotations or ()), *told)
    done = cut(slides, out, plan, known=known, workers=workers, progress=talk(quiet=quiet))
    if as_json:
        print(json.dumps(done.manifest))
    elif not quiet:
        _tell(done)


def _tell(done: Tiling) -> None:
    for slide in done.manifest["slides"]:
        shown = "not annotated" if slide["annotation"] == "none" else f"{slide['tumour_tiles']} with tumour"
        partly = ", not outlined everywhere" if slide["annotation"] == "partial" else ""
        print(f"{slide['name']}: {slide['tiles']} of {slide['considered']} tiles kept, {shown}{partly}")
        for note in slide["notes"]:
            print(f"  {note}")
    for item in done.bad:
        print(f"not used: {item.name}: {item.error()}")
    print(f"{done.manifest['tiles']} tiles: read them with tiled:{done.folder}")
