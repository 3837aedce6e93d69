"""What is left of attacks after storage, as rows of a table."""

from __future__ import annotations

from percuss.core.results import Results
from percuss.report.numbers import counted, counted_share, decimal, share

SURVIVAL_HEAD = ("norm", "format", "flips left", "share [95 % interval]", "clean images still right")
SURVIVAL_HEAT = ("norm", "format", "AUC-PR attacked", "AUC-PR without attack", "flips left")


def survival_rows(results: Results) -> list[list[str]]:
    """A row for each norm and format: flips that are left, of heat maps AUC-PR first."""
    found = []
    for item in results.survival:
        row = [item.norm, item.words]
        if item.auc_pr is not None and item.auc_pr_clean is not None:
            row += [decimal(item.auc_pr), decimal(item.auc_pr_clean), counted_share(item.flips)]
        else:
            row += [counted(item.flips), share(item.flips), counted_share(item.clean_right)]
        found.append(row)
    return found
