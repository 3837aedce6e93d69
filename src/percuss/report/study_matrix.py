"""A study's transfer as bars: each model without attack, under noise, and under attacks made on each of the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from percuss.core.results import Interval
from percuss.core.transfer import NOISE
from percuss.report.bars import Bars, bar_chart
from percuss.report.sections import Panel


def matrix_panels(name: str, folder: Path, _cases: int) -> list[Panel]:
    """A chart for each budget: of heat maps the AUC-PR as stored with the null model, else the images still right.

    The groups are the judged models; the bars their number without attack (of heat maps), under noise of the size, and
    under each attack by the model that it was made on.
    """
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    budgets = dict.fromkeys(str(cell["budget"]) for cell in record["cells"])
    return [Panel(f"{name}, {budget}" if len(budgets) > 1 else name, _chart(record, budget)) for budget in budgets]


def _chart(record: dict[str, Any], budget: str) -> Any:
    heat = record.get("heat")
    kind = "robust" if heat is None else "auc_pr_stored"
    cells = [cell for cell in record["cells"] if cell["budget"] == budget]
    targets = list(dict.fromkeys(str(cell["target"]) for cell in cells))
    made = dict.fromkeys((str(cell["source"]), str(cell["attack"])) for cell in cells)
    several = len({attack for source, attack in made if source != NOISE}) > 1
    known = {(cell["source"], cell["attack"], cell["target"]): cell.get(kind) for cell in cells}
    bars = []
    if heat is not None:
        bars.append(Bars("no attack", "worst", tuple(_interval(heat["clean"].get(target)) for target in targets)))
    order = sorted(made, key=lambda pair: pair[0] != NOISE)
    for number, (source, attack) in enumerate(order):
        words = "noise" if source == NOISE else f"made on {source}" + (f" by {attack}" if several else "")
        style = "noise" if source == NOISE else f"a{(number - (order[0][0] == NOISE)) % 6}"
        values = tuple(_interval(known.get((source, attack, target))) for target in targets)
        bars.append(Bars(words, style, values))
    null = None if heat is None else heat["null"]
    return bar_chart(
        targets,
        bars,
        side="images still right, %" if heat is None else "AUC-PR × 100, as stored",
        label=f"Attacks within {budget} made on each model and judged on all; the numbers are on the step's page",
        floor=None if null is None else (f"null model: {null:.3f}", float(null)),
    )


def _interval(found: Any) -> Interval | None:
    return None if found is None else Interval.model_validate(found)
