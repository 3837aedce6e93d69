"""The command line: which commands there are."""

from __future__ import annotations

from typing import Annotated

import typer

from percuss.cli.audit import audit
from percuss.cli.compare import compare
from percuss.cli.demo import demo
from percuss.cli.exits import guarded
from percuss.cli.explain import explain
from percuss.cli.harden import harden
from percuss.cli.heatmap import heatmap
from percuss.cli.list import list_
from percuss.cli.pack import pack
from percuss.cli.report import report
from percuss.cli.reproduce import reproduce
from percuss.cli.study import study
from percuss.cli.survive import survive
from percuss.cli.tile import tile
from percuss.cli.train import train
from percuss.cli.transfer import transfer
from percuss.cli.triage import triage
from percuss.cli.universal import universal

app = typer.Typer(
    name="percuss",
    help="How small a change flips your medical-imaging model, on which images, and can the number be believed?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"percuss {version('percuss')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = (
        False
    ),
) -> None:
    pass


app.command("train")(guarded(train))
app.command("harden")(guarded(harden))
app.command("tile")(guarded(tile))
app.command("audit")(guarded(audit))
app.command("survive")(guarded(survive))
app.command("explain")(guarded(explain))
app.command("compare")(guarded(compare))
app.command("transfer")(guarded(transfer))
app.command("triage")(guarded(triage))
app.command("universal")(guarded(universal))
app.command("heatmap")(guarded(heatmap))
app.add_typer(study, name="study")
app.command("pack")(guarded(pack))
app.command("reproduce")(guarded(reproduce))
app.command("report")(guarded(report))
app.command("list")(guarded(list_))
app.command("demo")(guarded(demo))


def main() -> None:
    """Entry point of ``percuss``."""
    app()
