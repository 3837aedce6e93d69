"""Two arms compared by the analysis of variance of Obuchowski and Rockette, readers and cases random.

N. A. Obuchowski, H. E. Rockette, Communications in Statistics - Simulation and Computation 24 (1995) 285-308, with
the error term and its degrees of freedom of S. L. Hillis, Statistics in Medicine 26 (2007) 596-619.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from percuss.core.errors import DataError
from percuss.core.results import Interval
from percuss.study.statistics.case_jackknife import Units, jackknife_covariance
from percuss.study.statistics.mrmc import Measure, between, case_covariance, hillis_df, kernel, reader_means
from percuss.study.statistics.mrmc_table import Readings

Floats = NDArray[np.float64]
Covariance = Literal["jackknife", "unbiased"]


@dataclass(frozen=True)
class FTest:
    """Obuchowski and Rockette's F-test of no difference between two arms.

    Attributes:
        difference: first arm minus second, averaged over readers, with 95 % bounds; ``n`` counts cases.
        mean_square_arm, mean_square_interaction: MS(T) and MS(T*R).
        variance: mean over readers and arms of a value's variance over cases.
        covariances: Cov1 (same reader, other arm), Cov2 (other reader, same arm), Cov3 (both other).
        statistic: F, with 1 and ``df`` degrees of freedom; None where nothing varies.
        df: of the error term.
        p_value: None where the statistic is None.
    """

    difference: Interval
    mean_square_arm: float
    mean_square_interaction: float
    variance: float
    covariances: tuple[float, float, float]
    statistic: float | None
    df: float
    p_value: float | None


def obuchowski_rockette(
    readings: Readings, first: str, second: str, *, measure: Measure, covariance: Covariance = "jackknife"
) -> FTest:
    """Compare two arms read by the same readers on the same cases.

    Args:
        readings: the study.
        first, second: names of two arms.
        measure: what a reader is measured by.
        covariance: how covariances over cases are estimated: leaving out one case at a time, or without bias.

    Raises:
        DataError: fewer than two readers, or what ``mrmc.one_arm`` refuses.
    """
    one, two = (kernel(readings, arm, measure=measure) for arm in (first, second))
    return obuchowski_rockette_of((one, two), cases=len(readings.cases), covariance=covariance)


def obuchowski_rockette_of(
    kernels: tuple[Floats, Floats], *, cases: int, covariance: Covariance = "jackknife", units: Units | None = None
) -> FTest:
    """The same from the kernels of both arms (``mrmc.kernel``), such as means over copies, of so many cases.

    With ``units`` (the patient of each case) the jackknife leaves out patients; ``cases`` is then their number.
    """
    readers = len(kernels[0])
    if readers < 2:
        raise DataError("the F-test needs two readers", value="1 reader", next_step="use mrmc.difference")
    stacked = np.concatenate(kernels)
    matrix = jackknife_covariance(stacked, units) if covariance == "jackknife" else case_covariance(stacked)
    cov = _components(matrix, readers)
    means = np.stack([reader_means(item) for item in kernels])
    change = means[0] - means[1]
    gap, interaction = float(change.mean()), float(change.var(ddof=1)) / 2
    arm_square = readers * gap**2 / 2
    denominator = interaction + readers * max(cov[2] - cov[3], 0.0)
    df = hillis_df(interaction, cov[2] - cov[3], readers)
    statistic, p_value = None, None
    low, high, method = None, None, "undefined: the readings do not vary"
    # Rounding leaves about 1e-16 where all readings agree.
    if denominator > 1e-14:
        statistic = arm_square / denominator
        # F with 1 and df degrees of freedom is the square of t with df, which also holds for an infinite df.
        p_value = float(2 * student.sf(math.sqrt(statistic), df))
        half = math.sqrt(2 / readers * denominator) * float(student.ppf(0.975, df))
        low, high = max(-1.0, gap - half), min(1.0, gap + half)
        what = "cases" if units is None else f"{cases} patients"
        method = f"Obuchowski-Rockette, {covariance} covariances, {readers} readers and {what} random, Hillis df"
    interval = Interval(value=gap, low=low, high=high, n=cases, method=method)
    return FTest(interval, arm_square, interaction, cov[0], cov[1:], statistic, df, p_value)


def _components(matrix: Floats, readers: int) -> tuple[float, float, float, float]:
    """Error variance, Cov1, Cov2 and Cov3, averaged over the ``[2 readers, 2 readers]`` covariances of two arms."""
    one, other = matrix[:readers, :readers], matrix[readers:, readers:]
    cross = matrix[:readers, readers:]
    variance = float(np.trace(matrix)) / (2 * readers)
    return variance, float(np.trace(cross)) / readers, (between(one) + between(other)) / 2, between(cross)
