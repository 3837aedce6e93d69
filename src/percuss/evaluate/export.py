"""per_image.csv: the rows as users and scripts read them."""

from __future__ import annotations

import pandas as pd

PER_IMAGE = (
    "id", "label", "clean_prediction", "attack", "norm", "eps", "success", "success_stored",
    "linf", "l2", "l1", "l0", "confidence", "gradient_evaluations",
)  # fmt: skip


def per_image(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of per_image.csv, one row per image, attack and budget."""
    return rows.loc[:, list(PER_IMAGE)]
