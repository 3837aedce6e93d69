"""Covariance over cases, or over patients with all their cases, from what each left-out one leaves.

The jackknife of Obuchowski and Rockette's analysis (S. L. Hillis, N. A. Obuchowski, K. S. Schartz, K. S. Berbaum,
Statistics in Medicine 24 (2005) 1579-1607). Where several cases are of one patient, patients are left out whole, since
their cases are no independent ones.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from percuss.core.errors import DataError

Floats = NDArray[np.float64]
#: Number of the unit (case or patient) behind each case of a kernel: of all cases, or of negatives and of positives.
Units: TypeAlias = tuple[NDArray[np.int64], ...]


def units_alone(values: Floats) -> Units:
    """Every case a unit of its own, for a kernel ``[rows, cases]`` or ``[rows, negatives, positives]``."""
    if values.ndim == 2:
        return (np.arange(values.shape[1]),)
    negatives, positives = values.shape[1:]
    return np.arange(negatives), np.arange(negatives, negatives + positives)


def unit_count(units: Units) -> int:
    """How many units there are."""
    return len(np.unique(np.concatenate(units)))


def jackknife_covariance(values: Floats, units: Units | None = None) -> Floats:
    """Covariance of the rows' means over units, ``[rows, rows]``; never below 0 on its diagonal.

    Args:
        values: kernel, ``[rows, cases]`` or ``[rows, negatives, positives]``.
        units: which unit each case is of; None where each is one.

    Raises:
        DataError: one unit alone, or one that has all cases of a class, without which there is no number.
    """
    units = units_alone(values) if units is None else units
    names, codes = np.unique(np.concatenate(units), return_inverse=True)
    parts = np.split(codes, np.cumsum([len(part) for part in units])[:-1])
    # One where the case is of the unit, [cases, units].
    members = [np.eye(len(names))[part] for part in parts]
    left = [len(part) - item.sum(axis=0) for part, item in zip(parts, members, strict=True)]
    if len(names) < 2 or min(float(item.min()) for item in left) < 1:
        raise DataError(
            "a variance over patients needs two of them with cases of each class",
            value=f"{len(names)} with cases",
            next_step="add cases of other patients",
        )
    total = values.reshape(len(values), -1).sum(axis=1)[:, None]
    if values.ndim == 2:
        means = (total - values @ members[0]) / left[0]
    else:
        without = values.sum(axis=2) @ members[0], values.sum(axis=1) @ members[1]
        both = np.einsum("rij,ig,jg->rg", values, *members, optimize=True)
        means = (total - sum(without) + both) / (left[0] * left[1])
    centred = means - means.mean(axis=1, keepdims=True)
    return np.asarray((len(names) - 1) / len(names) * centred @ centred.T)
