"""percuss survive: which flips of a finished audit are left after storage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from percuss.pipeline.run import Run

Option = typer.Option


def survive(  # noqa: PLR0913
    run: Annotated[Path, typer.Argument(help="Run folder of percuss audit.")],
    *,
    formats: Annotated[
        list[str] | None,
        Option(
            "--format", help="Formats, by commas or repeated: native, png, dicom8, jpeg90, ... Default all that fit."
        ),
    ] = None,
    data: Annotated[str | None, Option(help="The run's images, where they have moved.")] = None,
    model: Annotated[str | None, Option(help="The run's model, where it has moved.")] = None,
    weights: Annotated[str | None, Option(help="The run's weights, where they have moved.")] = None,
    allow_code: Annotated[bool, Option("--allow-code", help="Let factory: run the code it names.")] = False,
    device: Annotated[str | None, Option(help="auto, cpu or cuda.")] = None,
    batch_size: Annotated[int | None, Option(min=1, help="Images at once; results do not depend on it.")] = None,
    threads: Annotated[int | None, Option(min=1, help="Threads of the processor to use.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print results.json on stdout.")] = False,
    quiet: Annotated[bool, Option("--quiet", help="Say nothing but errors.")] = False,
    verbose: Annotated[bool, Option("--verbose", help="Show the traceback of an error.")] = False,
) -> None:
    """Send the attacked images of a finished audit through PNG, DICOM and JPEG and back: which flips are left?

    The table goes into the run's results.json and report.html. Stopped or killed, the same command goes on.
    """
    from percuss.cli.audit import show
    from percuss.cli.console import talk
    from percuss.pipeline.survive import survive as send

    names = [name.strip() for text in formats or () for name in text.split(",") if name.strip()]
    done = send(
        run,
        data=data,
        model=model,
        formats=names or None,
        progress=talk(quiet=quiet),
        weights=weights,
        allow_code=allow_code or None,
        device=device,
        batch_size=batch_size,
        threads=threads,
    )
    if not (as_json or quiet):
        _table(done)
    show(done, as_json=as_json, quiet=quiet)


def _table(done: Run) -> None:
    for row in done.results.survival:
        share = "–" if row.flips.value is None else f"{row.flips.value:.1%}"
        ends = "" if row.flips.low is None else f" [{row.flips.low:.1%}, {row.flips.high:.1%}]"
        print(f"{row.norm} {row.format}: {share}{ends} of {row.flips.n} flips left")
