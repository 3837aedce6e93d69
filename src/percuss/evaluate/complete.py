"""Looks at the rows before any number is made: a missing row must never count as an image that did not flip."""

from __future__ import annotations

import pandas as pd

from percuss.core.errors import RunError

_AGAIN = "give the same percuss audit command again; it finishes the rows"


def check_rows(rows: pd.DataFrame, clean: pd.DataFrame) -> None:
    """Raise RunError unless every attack and budget has exactly one row for each image of the clean table.

    Args:
        rows: one row per image, attack and budget.
        clean: one row per image; ``correct`` and ``label`` must agree with the rows.
    """
    if not len(clean):
        raise RunError("the run has no image that could be read", next_step="look at the list of bad images")
    if clean["id"].duplicated().any():
        raise RunError("two clean rows of one image", value=clean.loc[clean["id"].duplicated(), "id"].iloc[0])
    strange = set(rows["id"]) - set(clean["id"])
    if strange:
        raise RunError("rows of images without a clean row", value=sorted(strange)[0])
    twice = rows.duplicated(["id", "attack", "norm", "budget"])
    if twice.any():
        first = rows[twice].iloc[0]
        raise RunError("two rows of one image", value=f"{first['id']}, {first['attack']} at {first['budget']}")
    for name, count in (rows["attack"] + " at " + rows["budget"]).value_counts().items():
        if count < len(clean):
            value = f"{name} has {count} of {len(clean)}"
            raise RunError("rows are missing", value=value, allowed="one per image", next_step=_AGAIN)
    known = clean.set_index("id")
    for column in ("correct", "label"):
        other = rows[column].to_numpy() != known[column].reindex(rows["id"]).to_numpy()
        if other.any():
            value = f"{column} of {rows['id'].to_numpy()[other][0]}"
            raise RunError("rows and clean table disagree", value=value, next_step="start the audit anew")
