"""One change for all heat maps: average precision of the cells without it, with it, and with noise of its size."""

from __future__ import annotations

from typing import Any

import pandas as pd

from percuss.core.outcome import Finding
from percuss.core.universal import Tally
from percuss.evaluate.heat_intervals import Counted, Units, area_interval, drop_interval
from percuss.evaluate.heat_scores import number, ranked
from percuss.evaluate.heat_summary import pooled, stored_cells

#: Fields of a tally by the column of the scores that they are of.
_STATES = {
    "auc_pr": "scores",
    "auc_pr_after": "scores_after",
    "auc_pr_stored": "scores_stored",
    "auc_pr_noise": "scores_noise",
}
#: Columns that hold bytes, which no table of text shows.
BYTES = ("shape", "truth", *_STATES.values())


def heat_fields(part: pd.DataFrame, *, seed: int) -> dict[str, Any]:
    """Fields of a ``Tally`` on AUC-PR, of the rows of one split; empty where they hold no scores.

    Args:
        part: a row per image: group (slide), shape ``[h, w]``, truth (uint8 cells) and scores (float16), as bytes.
        seed: of the bootstrap over slides (over tiles where there is one slide).
    """
    if "scores_after" not in part:
        return {}
    units = Units.of([str(group) for group in part["group"]], seed)
    truth = [stored_cells(row["truth"], row["shape"], truth=True) for _, row in part.iterrows()]
    values, counts, found = {}, {}, dict[str, Any]()
    for name, column in _STATES.items():
        scores = [stored_cells(row[column], row["shape"]) for _, row in part.iterrows()]
        maps = list(zip(scores, truth, strict=True))
        whole, counts[name] = ranked(*pooled(maps)), Counted.of(maps, units)
        values[name] = number(whole.average_precision())
        found[name] = area_interval(values[name], counts[name], units)
        found["null"] = number(whole.prevalence())
    pair = ("auc_pr_noise", "auc_pr_after")
    lost = drop_interval((values[pair[0]], values[pair[1]]), (counts[pair[0]], counts[pair[1]]), units)
    return found | {"auc_pr_lost": lost}


def heat_findings(unseen: Tally) -> list[Finding]:
    """``universal-not-above-noise`` where the change lowers AUC-PR no more than noise of its size does.

    Args:
        unseen: all images of the split on which the change is judged.
    """
    after, noise, lost = unseen.auc_pr_after, unseen.auc_pr_noise, unseen.auc_pr_lost
    if after is None or noise is None or lost is None or lost.value is None:
        return []
    if lost.value > 0 and (lost.low is None or lost.low > 0):
        return []
    text = (
        f"On the split {unseen.split} AUC-PR is {after.value:.3f} with the change and {noise.value:.3f} with noise of "
        "the same size: nothing was learned that noise does not do."
    )
    evidence = {"auc_pr_change": after.value, "auc_pr_noise": noise.value, "lost": lost.value, "low": lost.low}
    return [Finding("universal-not-above-noise", "warning", text, evidence)]
