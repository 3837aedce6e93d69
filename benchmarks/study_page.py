"""Tables and figures of a reproduced study for docs/results: numbers and drawings only, never an image of a set.

    python benchmarks/study_page.py RUN --name joel [--out docs/results]

Prints the tables as Markdown, the published columns beside ours, and copies the study's drawings (SVG) to
OUT/NAME-FIGURE.svg.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from percuss.core.recipe import FilledTable
from percuss.pipeline.recipe_files import read_study
from percuss.report.recipe import beside


def markdown(table: FilledTable) -> str:
    """A table as Markdown, its title above."""
    shown = beside(table)
    rows = [shown.head, ("---",) * len(shown.head), *shown.body]
    return "\n".join([f"### {table.title}", "", *(f"| {' | '.join(row)} |" for row in rows)])


def drawings(run: Path, *, name: str, out: Path) -> list[Path]:
    """Copies of the study's figures that are drawings; pictures of images are left where they are."""
    made = []
    for figure in read_study(run).figures:
        for file in figure.files:
            if file.endswith(".svg"):
                made.append(Path(shutil.copy(run / file, out / f"{name}-{Path(file).stem}.svg")))
    return made


def main() -> None:
    """Reads the study, prints and copies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    given = parser.parse_args()
    print("\n\n".join(markdown(table) for table in read_study(given.run).tables))
    for path in drawings(given.run, name=given.name, out=given.out):
        print(f"\n{path}")


if __name__ == "__main__":
    main()
