"""Average precision of cells: time beside scikit-learn, error of the bins, and what intervals over slides cover."""

import time

import numpy as np
from sklearn.metrics import average_precision_score

from percuss.evaluate.heat_histogram import HeatHistogram
from percuss.evaluate.heat_intervals import Counted, Units, area_interval
from percuss.evaluate.heat_scores import average_precision

SIDE, REPEATS = 64, 400


def maps(slides, *, seed, lead=1.5, spread=0.7):
    """One map of half-precision logits and its truth for each slide; slides differ in how well they are told."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(slides):
        truth = (rng.random((SIDE, SIDE)) < rng.beta(2, 5)).astype(np.uint8)
        scores = rng.normal(size=(SIDE, SIDE)) + (lead + rng.normal(scale=spread)) * truth
        found.append((scores.astype(np.float16), truth))
    return found


def pooled(some):
    """Average precision of all cells of some maps."""
    return average_precision(*(np.concatenate([pair[side].ravel() for pair in some]) for side in (0, 1)))


def timed(work):
    """Seconds of the quickest of three, and what it gave."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        given = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), given


def speed():
    """Exact, scikit-learn's, binned, and 1,000 draws over 200 slides of 8 million cells in all."""
    rng = np.random.default_rng(0)
    truth = (rng.random((200, 200, 200)) < 0.27).astype(np.uint8)
    scores = (rng.normal(size=truth.shape) * 3 + truth).astype(np.float16)
    flat, kinds = scores.ravel(), truth.ravel()
    wide = flat.astype(np.float64)
    units = Units.of([f"s{i}" for i in range(200)], 0)
    pairs = list(zip(scores, truth, strict=True))

    def binned():
        histogram = HeatHistogram.empty()
        histogram.add(flat, kinds)
        return histogram

    rows = [("scikit-learn", *timed(lambda: average_precision_score(kinds, wide)))]
    rows.append(("exact", *timed(lambda: average_precision(flat, kinds))))
    seconds, histogram = timed(binned)
    rows.append(("binned", seconds, histogram.auc_pr()))
    low, high = histogram.bounds()
    seconds, interval = timed(lambda: area_interval(rows[1][2], Counted.of(pairs, units), units))
    rows.append(("1,000 draws over 200 slides", seconds, interval.high - interval.low))
    for name, took, value in rows:
        print(f"| {name} | {took:.2f} | {value:.8f} |")
    print(f"binned less exact {rows[2][2] - rows[1][2]:.1e}, bounds {high - low:.1e} apart")


def coverage():
    """Share of intervals that hold the number of 20,000 slides made alike, by slides drawn."""
    truth = pooled(maps(20_000, seed=99))
    for slides in (5, 10, 20, 40):
        hits = 0
        for seed in range(REPEATS):
            some, units = maps(slides, seed=seed), Units.of([f"s{i}" for i in range(slides)], seed)
            found = area_interval(pooled(some), Counted.of(some, units), units)
            hits += found.low <= truth <= found.high
        print(f"| {slides} slides | {100 * hits / REPEATS:.1f} |")


if __name__ == "__main__":
    speed()
    coverage()
