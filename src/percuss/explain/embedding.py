"""A plane of features: fitted on clean images alone, attacked images placed into it afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from percuss.core.errors import DataError
from percuss.explain.asking import library

Floats = NDArray[np.float32]
#: Fewer clean images than this are no plane.
LEAST = 8


class Embedding:
    """A UMAP plane (McInnes, Healy, Melville 2018) of the features of clean images; made by ``fit_embedding``.

    Attributes:
        clean: where the clean images lie, ``[N, 2]``; distances have no unit.
    """

    def __init__(self, fitted: Any, width: int) -> None:
        self._fitted, self._width = fitted, width
        self.clean: Floats = np.asarray(fitted.embedding_, dtype=np.float32)

    def place(self, found: NDArray[Any]) -> Floats:
        """Where other images lie in the plane, ``[M, 2]``, from their features ``[M, D]``; the plane stays as it is.

        Each row is placed by itself, so no image moves another. DataError where the features do not fit.
        """
        values = _checked(found)
        if values.shape[1] != self._width:
            raise DataError("the features are of another width", value=values.shape[1], allowed=str(self._width))
        with _torch_threads_kept():
            rows = [np.asarray(self._fitted.transform(values[i : i + 1]), dtype=np.float32) for i in range(len(values))]
        return np.concatenate(rows) if rows else np.zeros((0, 2), dtype=np.float32)


def fit_embedding(clean: NDArray[Any], *, seed: int = 0, neighbours: int = 15, min_dist: float = 0.1) -> Embedding:
    """Fit the plane on the features ``[N, D]`` of clean images, and of no others.

    Args:
        clean: at least ``LEAST`` rows; attacked images do not belong here: they would shape the plane they are
            judged in.
        seed: decides all randomness; one thread, so that equal input gives equal planes on one machine.
        neighbours: images that count as near (fewer where there are fewer images).
        min_dist: how close points may lie.

    Raises:
        DataError: too few images, or features that are not finite.
        UsageError: umap-learn not installed.
    """
    values = _checked(clean)
    if len(values) < LEAST:
        raise DataError("too few clean images for a plane of features", value=len(values), allowed=f"{LEAST} or more")
    settings = {"n_neighbors": min(neighbours, len(values) - 1), "min_dist": min_dist, "init": "pca", "n_jobs": 1}
    with _torch_threads_kept():
        umap = library("umap")
        fitted = umap.UMAP(**settings, random_state=seed % 2**32, transform_seed=seed % 2**32).fit(values)
    return Embedding(fitted, values.shape[1])


@contextlib.contextmanager
def _torch_threads_kept() -> Iterator[None]:
    """umap's compiler sets the number of threads of the whole process, torch's too; they are put back."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _checked(found: NDArray[Any]) -> Floats:
    values = np.asarray(found, dtype=np.float32)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise DataError("features must be finite, one row per image", value=values.shape)
    return values
