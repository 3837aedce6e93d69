"""Performance without attack: accuracy, balanced accuracy, AUC and confusion, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, softmax

from percuss.core.images import DENSE, Task
from percuss.core.results import Clean, Interval
from percuss.evaluate.intervals import Clusters, Floats, proportion, statistic


def clean_performance(clean: pd.DataFrame, classes: Sequence[str], task: Task, *, clusters: Clusters) -> Clean:
    """From clean.parquet: columns label, prediction, correct, score_0, ... (wide logits; none for class maps)."""
    if task in DENSE:
        return _maps(clean, clusters)
    truth, guess = labels(clean["label"], task), labels(clean["prediction"], task)
    right = clean["correct"].to_numpy(dtype=bool)
    scores = clean[[f"score_{i}" for i in range(len(classes))]].to_numpy(dtype=np.float64)
    one_hot = truth.astype(bool) if task == "multilabel" else truth[:, None] == np.arange(len(classes))
    chances = expit(scores) if task == "multilabel" else softmax(scores, axis=1)
    hit = (guess == truth) if task == "multilabel" else np.repeat(right[:, None], len(classes), axis=1)
    within = np.ones_like(one_hot) if task == "multilabel" else one_hot
    # For AUC a label's negatives may be the rare ones.
    sides = [one_hot[:, i] == side for i in range(len(classes)) for side in (True, False)]
    rarest = min(sides, key=lambda images: int(images.sum()))
    matrix = None
    if task == "classify":
        matrix = np.zeros((len(classes), len(classes)), dtype=int)
        np.add.at(matrix, (truth, guess), 1)
    return Clean(
        accuracy=proportion(right, clusters),
        balanced_accuracy=statistic(
            _balanced(hit, one_hot, None),
            clusters,
            lambda w: _balanced(hit, one_hot, w),
            rarest=rarest,
            draws=2000,
        ),
        auc=statistic(_auc(one_hot, chances, None), clusters, lambda w: _auc(one_hot, chances, w), rarest=rarest),
        confusion=None if matrix is None else matrix.tolist(),
        per_class={name: proportion(hit[:, i], clusters, within[:, i]) for i, name in enumerate(classes)},
    )


def _maps(clean: pd.DataFrame, clusters: Clusters) -> Clean:
    """Of class maps: the share of images at the bar; ``percuss.core.results.Dense`` holds what is said of pixels."""
    none = Interval(value=None, low=None, high=None, n=len(clean), method="not defined for class maps")
    right = clean["correct"].to_numpy(dtype=bool)
    return Clean(accuracy=proportion(right, clusters), balanced_accuracy=none, auc=none, confusion=None, per_class={})


def labels(column: pd.Series, task: Task) -> NDArray[np.int64]:
    """Class indices ``[N]``, or 0/1 ``[N, K]`` for labels written as text ("0110")."""
    if task == "classify":
        return np.asarray(column.astype(int), dtype=np.int64)
    return np.array([[int(mark) for mark in text] for text in column], dtype=np.int64)


def _balanced(hit: NDArray[np.bool_], one_hot: NDArray[np.bool_], weights: Floats | None) -> float | None:
    """Mean over classes of the share of right images; None where a class has none (multilabel: recall per label)."""
    given = np.ones(len(hit)) if weights is None else weights
    size = given @ one_hot
    if not (size > 0).all():
        return None
    return float((given @ (hit & one_hot) / size).mean())


def _auc(one_hot: NDArray[np.bool_], chances: Floats, weights: Floats | None) -> float | None:
    """Area under the ROC curve: of class 1 for two classes, else the mean of one against the rest."""
    given = np.ones(len(chances)) if weights is None else weights
    columns = [1] if one_hot.shape[1] == 2 and bool((one_hot.sum(1) == 1).all()) else range(one_hot.shape[1])
    found = []
    for column in columns:
        positive = one_hot[:, column]
        if given[positive].sum() == 0 or given[~positive].sum() == 0:
            return None
        found.append(area_under_roc(positive, chances[:, column], given))
    return float(np.mean(found))


def area_under_roc(positive: NDArray[np.bool_], scores: Floats, weights: Floats) -> float:
    """Weighted area under the ROC curve, ties counted half: as scikit-learn's, some thirty times quicker.

    The bootstrap asks for it hundreds of times.
    """
    _, place = np.unique(scores, return_inverse=True)
    above = np.bincount(place, weights * positive)
    below = np.bincount(place, weights * ~positive)
    won = above @ (np.cumsum(below) - below / 2)
    return float(won / (above.sum() * below.sum()))
