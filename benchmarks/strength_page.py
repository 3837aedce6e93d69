"""Tables for docs/results/strength.md from finished audits with the standard suite: curves, checks, storage.

    python benchmarks/strength_page.py NAME=RUN [NAME=RUN ...]

Prints Markdown. Runs are folders of ``percuss audit --suite standard``; the storage table needs ``percuss survive``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from percuss.core.results import Results
from percuss.report.schema import read_results
from results_page import share


def curves(name: str, results: Results) -> str:
    """One row per size: still right in the worst case as float and as stored, and what noise of the size flips."""
    noise = {point.budget: point.success_rate for point in results.curves if point.attack == "noise"}
    worst = [point for point in results.curves if point.attack == "worst"]
    found = [
        f"**{name}**: {results.data.n_images} images, accuracy {share(results.clean.accuracy)} %.\n",
        "| budget | still right, float | still right, stored | noise flips |",
        "|---|---|---|---|",
    ]
    for point in worst:
        flips = noise.get(point.budget)
        told = "-" if flips is None or flips.value is None else f"{100 * flips.value:.1f}"
        found.append(
            f"| {point.budget} | {share(point.robust_accuracy)} | {share(point.robust_accuracy_stored)} | {told} |"
        )
    return "\n".join(found)


def checks(runs: dict[str, Results]) -> str:
    """One row per check: the numbers made, and on which models it was flagged."""
    names = list(dict.fromkeys(item.check for results in runs.values() for item in results.checks))
    found = ["| check | made on | flagged on |", "|---|---|---|"]
    for check in names:
        made = [name for name, results in runs.items() if any(item.check == check for item in results.checks)]
        flagged = [
            f"{name} ({item.severity})"
            for name, results in runs.items()
            for item in results.checks
            if item.check == check and item.flagged
        ]
        found.append(f"| {check} | {len(made)} models | {', '.join(flagged) or 'none'} |")
    return "\n".join(found)


def storage(runs: dict[str, Results]) -> str:
    """One row per format: the share of flips left, for each model and the norm linf."""
    kept = {
        name: {item.format: item for item in results.survival if item.norm == "linf"} for name, results in runs.items()
    }
    formats = list(dict.fromkeys(key for table in kept.values() for key in table))
    found = [f"| format | {' | '.join(kept)} |", "|---|" + "---|" * len(kept)]
    for key in formats:
        row = [share(table[key].flips) if key in table else "-" for table in kept.values()]
        found.append(f"| {key} | {' | '.join(row)} |")
    return "\n".join(found)


def main() -> None:
    """Reads the runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    given = dict(text.split("=", 1) for text in parser.parse_args().runs)
    runs = {name: read_results(Path(folder) / "results.json") for name, folder in given.items()}
    for name, results in runs.items():
        print(curves(name, results) + "\n")
    print(checks(runs) + "\n")
    print(storage(runs))


if __name__ == "__main__":
    main()
