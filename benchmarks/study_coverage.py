"""How often the intervals of a reader study's results hold the truth, over simulated studies.

    python benchmarks/study_coverage.py [--studies 1500] [--thresholds 200]

An endpoint: cases in two arms, of whose answers a share is lost and a share is gained. A copy, or another reader,
repeats the outcome of the case (or its patient) with a given probability and else draws its own. A threshold: cases
whose own thresholds differ, two answers each at four sizes. Prints the share of studies whose nominal 95 % interval
holds the true value, with Wilson's interval of that share.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from percuss.evaluate.intervals import wilson
from percuss.study.results.decide import Sample, decide
from percuss.study.statistics.psychometric import Answers, psychometric
from percuss.study.statistics.psychometric_cases import over_cases

#: Readers, cases, copies, cases of a patient, share lost, share gained, how often an outcome is repeated.
ENDPOINTS = (
    (1, 20, 1, 1, 0.05, 0.05, 0.0),
    (1, 60, 1, 1, 0.10, 0.0, 0.0),
    (1, 20, 2, 1, 0.05, 0.05, 0.5),
    (1, 60, 2, 1, 0.05, 0.05, 0.0),
    (1, 60, 2, 1, 0.05, 0.05, 1.0),
    (1, 60, 2, 1, 0.10, 0.03, 0.5),
    (1, 60, 1, 3, 0.10, 0.03, 0.5),
    (3, 40, 1, 1, 0.05, 0.05, 0.3),
    (5, 40, 1, 1, 0.10, 0.03, 0.3),
)
SIZES = (1 / 255, 2 / 255, 4 / 255, 8 / 255)


def outcomes(setting: tuple[float, ...], rng: np.random.Generator) -> Iterator[Sample]:
    """One study: every answer to the original (``first``) and to the attacked file (``second``)."""
    readers, cases, copies, together, lost, gained, repeated = setting
    drawn = {1: (1.0, 0.0), 2: (0.0, 1.0), 0: (1.0, 1.0)}
    shares = (1 - lost - gained, lost, gained)
    own: dict[int, int] = {}
    for case in range(int(cases)):
        patient = case // int(together)
        base = own.setdefault(patient, int(rng.choice(3, p=shares)))
        for reader in range(int(readers)):
            for copy in range(1, int(copies) + 1):
                kind = base if rng.random() < repeated else int(rng.choice(3, p=shares))
                first, second = drawn[kind]
                yield Sample(f"R{reader}", f"c{case}", f"p{patient}", copy, first, second)


def endpoint(setting: tuple[float, ...], studies: int) -> int:
    """Studies whose interval of the loss holds the true one."""
    rng, truth, held = np.random.default_rng(7), setting[4] - setting[5], 0
    for _ in range(studies):
        samples = list(outcomes(setting, rng))
        found = decide(samples, expected=len(samples) // int(setting[0]), alpha=0.025, scale="share").value
        held += found.low is not None and found.high is not None and found.low <= truth <= found.high
    return held


def threshold(studies: int, *, cases: int = 20, spread: float = 0.6, slope: float = 2.0) -> tuple[int, int]:
    """Studies whose interval holds the threshold of all cases: over cases, and by profile likelihood alone."""
    rng, sizes = np.random.default_rng(11), np.asarray(SIZES)
    middle = 3 / 255

    def right_at(eps: np.ndarray, own: np.ndarray) -> np.ndarray:
        return 0.5 + 0.5 * (1 - np.exp(-np.log(2) * (eps[None] / own[:, None]) ** slope))

    # The threshold of the mean of many cases' curves is what a pooled study looks for.
    grid, many = np.geomspace(0.2 / 255, 30 / 255, 4000), middle * np.exp(rng.normal(0, spread, 4000))
    truth = float(
        np.interp(0.75, np.mean([right_at(grid, many[i : i + 400]).mean(0) for i in range(0, 4000, 400)], 0), grid)
    )
    held = [0, 0]
    for _ in range(studies):
        shares = right_at(sizes, middle * np.exp(rng.normal(0, spread, cases)))
        right, trials = rng.binomial(2, shares).astype(float), np.full((cases, len(sizes)), 2.0)
        answers = Answers(SIZES, tuple(map(int, right.sum(0))), tuple(map(int, trials.sum(0))))
        alone = psychometric(answers)
        for place, curve in enumerate((over_cases(alone, answers, (right, trials)), alone)):
            low, high = curve.threshold.low, curve.threshold.high
            held[place] += (low is None or low <= truth) and (high is None or truth <= high)
    return held[0], held[1]


def said(what: str, held: int, of: int) -> None:
    """One line of the table."""
    share = wilson(held, of)
    print(
        f"{what:<88}{100 * (share.value or 0):6.1f} % [{100 * (share.low or 0):.1f}, {100 * (share.high or 0):.1f}]",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1500)
    parser.add_argument("--thresholds", type=int, default=200)
    given = parser.parse_args()
    for setting in ENDPOINTS:
        names = ("readers", "cases", "copies", "of a patient", "lost", "gained", "repeated")
        text = ", ".join(f"{name} {value:g}" for name, value in zip(names, setting, strict=True))
        said(text, endpoint(setting, given.studies), given.studies)
    over, alone = threshold(given.thresholds)
    said("threshold, interval over cases", over, given.thresholds)
    said("threshold, profile likelihood alone", alone, given.thresholds)


if __name__ == "__main__":
    main()
