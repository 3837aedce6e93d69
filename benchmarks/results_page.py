"""Table and curves of a finished run for docs/results: numbers and drawings only, never an image of the set.

    python benchmarks/results_page.py RUN --name pcam [--out docs/results]

Prints the table as Markdown and writes one SVG per norm with more than one size: OUT/NAME-NORM.svg.
"""

from __future__ import annotations

import argparse
import re
from importlib.resources import files
from pathlib import Path

from percuss.core.results import CurvePoint, Interval, Results
from percuss.report.curves import norm_parts
from percuss.report.schema import read_results


def share(found: Interval) -> str:
    """Per cent with its interval."""
    if found.value is None:
        return "-"
    ends = "" if found.low is None or found.high is None else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    return f"{100 * found.value:.1f}{ends}"


def table(results: Results) -> str:
    """One row per budget: the worst case as float and as stored, each attack and the control."""
    names = [name for name in dict.fromkeys(p.attack for p in results.curves) if name != "worst"]
    by_key = {(point.attack, point.budget): point for point in results.curves}
    found = [f"| budget | still right, float | still right, stored | {' | '.join(f'{n} flips' for n in names)} |"]
    found.append("|---|---|---|" + "---|" * len(names))
    for point in (p for p in results.curves if p.attack == "worst"):
        rates = [_rate(by_key.get((name, point.budget))) for name in names]
        row = [point.budget, share(point.robust_accuracy), share(point.robust_accuracy_stored), *rates]
        found.append(f"| {' | '.join(row)} |")
    return "\n".join(found)


def _rate(point: CurvePoint | None) -> str:
    return "-" if point is None or point.success_rate.value is None else f"{100 * point.success_rate.value:.1f}"


def drawings(results: Results) -> dict[str, str]:
    """Each norm's curve as an SVG that stands alone."""
    style = (files("percuss.report") / "page.css").read_text(encoding="utf-8")
    style = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", style)
    found = {}
    for part in norm_parts(results, {}):
        if part.curve is None or len(part.worst) < 2:
            continue
        text = str(part.curve).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        found[part.norm] = re.sub(r"(<svg[^>]*>)", rf"\1<style>{style}</style>", text, count=1)
    return found


def main() -> None:
    """Reads the run, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    options = parser.parse_args()
    results = read_results(options.run / "results.json")
    options.out.mkdir(parents=True, exist_ok=True)
    print(
        f"Clean accuracy {share(results.clean.accuracy)}, AUC {share(results.clean.auc)} on {results.data.n_images}.\n"
    )
    print(table(results))
    for norm, text in drawings(results).items():
        path = options.out / f"{options.name}-{norm}.svg"
        path.write_text(text, encoding="utf-8")
        print(f"\n![{norm}]({path.name})")


if __name__ == "__main__":
    main()
