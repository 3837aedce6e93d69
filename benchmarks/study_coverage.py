"""How often the intervals of a reader study's results hold the truth, over simulated studies.

    python benchmarks/study_coverage.py [--studies 1500] [--thresholds 200] [--only PART ...]

An endpoint: cases in two arms, of whose answers a share is lost and a share is gained. A copy, or another reader,
repeats the outcome of the case (or its patient) with a given probability and else draws its own. A threshold: cases
whose own thresholds differ, two answers each at four sizes. An AUC: confidences of ten steps, half of their variance
the case's (or patient's) own, readers' separations normal with a deviation of 0.2. Agreement: two classes, the second
rating of an item drawn like the first; the items of a patient share class and difficulty. Prints the share of studies
whose nominal 95 % interval holds the true value, with Wilson's interval of that share.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from percuss.evaluate.intervals import wilson
from percuss.study.planning.simulated_power import Model, answers
from percuss.study.results.auc_widening import Floor, widened_aucs, widened_gap
from percuss.study.results.decide import Sample, decide
from percuss.study.statistics.agreement import agreement
from percuss.study.statistics.case_jackknife import Units
from percuss.study.statistics.mrmc import estimate
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
    (3, 60, 1, 3, 0.10, 0.03, 0.5),
)
#: Readers, cases, discordance, true loss, correlation of readers on a case, of cases of a reader; the margin is 0.1.
VERDICTS = (
    (3, 56, 0.12, 0.1, 0.3, 0.01),
    (5, 40, 0.12, 0.1, 0.3, 0.01),
    (3, 100, 0.12, 0.1, 0.3, 0.01),
    (2, 68, 0.1, 0.0, 0.3, 0.0),
    (3, 56, 0.1, 0.0, 0.3, 0.0),
    (5, 46, 0.1, 0.0, 0.3, 0.0),
)
#: Readers, cases of each class, cases of a patient, separation of the classes in the original, what of it is lost.
AUCS = (
    (3, 20, 1, 2.5, 0.0),
    (5, 20, 1, 2.5, 0.7),
    (3, 20, 1, 4.0, 0.0),
    (3, 20, 1, 4.0, 1.0),
    (5, 40, 1, 1.5, 0.5),
    (3, 30, 3, 1.5, 0.5),
)
#: Patients, items of a patient, how often all items of a patient are rated alike.
AGREEMENTS = ((40, 1, 0.0), (10, 4, 0.5), (20, 3, 0.5), (20, 3, 1.0), (40, 3, 0.5))
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


def verdicts(setting: tuple[float, ...], studies: int) -> int:
    """Studies that are called non-inferior at a margin of 10 points."""
    readers, cases, discordance, lost, of_case, of_reader = setting
    shares = ((discordance + lost) / 2, (discordance - lost) / 2, 1 - discordance)
    model = Model((1, -1, 0), shares, 0.1, True, "score", 0.025, of_case, of_reader)
    ends, found = {1: (1.0, 0.0), -1: (0.0, 1.0), 0: (1.0, 1.0)}, 0
    for study in answers(model, (studies, int(cases), int(readers)), np.random.default_rng(7)):
        samples = [
            Sample(f"R{place[1]}", f"c{place[0]}", f"c{place[0]}", 1, *ends[int(kind)])
            for place, kind in np.ndenumerate(study)
        ]
        high = decide(samples, expected=int(cases), alpha=0.025, scale="share").value.high
        found += high is not None and high < 0.1
    return found


def kernels(setting: tuple[float, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Units]:
    """Both arms' kernels of one study, and the patient of each case, who may have cases of both classes."""
    readers, each, together = (int(value) for value in setting[:3])
    apart, lost = setting[3:]
    patient = rng.permutation(2 * each) // together
    case = np.sqrt(0.5) * rng.normal(0, 1, 2 * each // together + 1)[patient]
    skill, truth = rng.normal(0, 0.2, (readers, 1)), np.repeat([0.0, 1.0], each)
    found = []
    for separation in (apart, apart - lost):
        seen = truth * (separation + skill) + case + np.sqrt(0.5) * rng.normal(0, 1, (readers, 2 * each))
        steps = np.searchsorted(np.linspace(-1.5, apart + 1.5, 9), seen)
        found.append((np.sign(steps[:, None, each:] - steps[:, :each, None]) + 1) / 2)
    return found[0], found[1], (patient[:each], patient[each:])


def auc(setting: tuple[float, ...], studies: int) -> list[int]:
    """Studies whose intervals hold the AUC of one arm, and the difference: as estimated, and as widened."""
    rng = np.random.default_rng(7)
    draws = [kernels((40, 500, 1, *setting[3:]), rng)[:2] for _ in range(10)]
    first, second = np.mean([[kernel.mean() for kernel in both] for both in draws], axis=0)
    held = [0, 0, 0, 0]
    for _ in range(studies):
        one, two, patients = kernels(setting, rng)
        units = patients if setting[2] > 1 else None
        floor = Floor.of((one, two), copies=1, units=units)
        arm = estimate(one, paired=False, units=units).interval
        gap = estimate(one - two, paired=True, units=units).interval
        wide = widened_aucs([arm], floor)[0], widened_gap(gap, floor)
        for place, (found, true) in enumerate(zip((arm, gap, *wide), (first, first - second) * 2, strict=True)):
            held[place] += found.low is not None and found.high is not None and found.low <= true <= found.high
    return held


def rated(setting: tuple[float, ...], rng: np.random.Generator) -> tuple[list[str], list[str], list[str]]:
    """Ratings, ratings again, and patients of one study."""
    patients, each, alike = setting
    first, second, who = [], [], []
    for patient in range(int(patients)):
        truth, right, same = rng.random() < 0.5, 0.95 - 0.35 * (rng.random() < 0.3), rng.random() < alike
        pairs = [["ab"[int(truth == (rng.random() < right))] for _ in range(2)] for _ in range(int(each))]
        for pair in pairs:
            one, two = pairs[0] if same else pair
            first.append(one)
            second.append(two)
            who.append(str(patient))
    return first, second, who


def agreements(setting: tuple[float, ...], studies: int) -> dict[str, list[int]]:
    """Studies whose intervals hold raw agreement, kappa and AC1: by patients, and as if items were independent."""
    rng, held = np.random.default_rng(7), {name: [0, 0] for name in ("raw", "kappa", "ac1")}
    truth = agreement(*rated((20000, *setting[1:]), rng)[:2], "ab")
    for _ in range(studies):
        first, second, who = rated(setting, rng)
        for place, units in enumerate((who, None)):
            got = agreement(first, second, "ab", units=units)
            for name, counts in held.items():
                found, true = getattr(got, name), getattr(truth, name).value
                counts[place] += found.low is None or found.low <= true <= found.high
    return held


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
    parts = {
        "endpoints": say_endpoints,
        "verdicts": say_verdicts,
        "aucs": say_aucs,
        "agreement": say_agreement,
        "thresholds": say_thresholds,
    }
    parser.add_argument("--only", nargs="+", choices=parts, default=[*parts])
    given = parser.parse_args()
    for name in given.only:
        parts[name](given.thresholds if name == "thresholds" else given.studies)


def say_endpoints(studies: int) -> None:
    """A line for each kind of study with an endpoint."""
    for setting in ENDPOINTS:
        names = ("readers", "cases", "copies", "of a patient", "lost", "gained", "repeated")
        said(worded(names, setting), endpoint(setting, studies), studies)


def say_verdicts(studies: int) -> None:
    """A line for each kind of study, of how often it is called non-inferior."""
    for setting in VERDICTS:
        names = ("non-inferior: readers", "cases", "discordance", "lost", "of a case", "of a reader")
        said(worded(names, setting), verdicts(setting, studies), studies)


def say_aucs(studies: int) -> None:
    """Four lines for each kind of study with an AUC."""
    for setting in AUCS:
        names = ("AUC: readers", "of each class", "of a patient", "apart", "lost")
        kinds = ("one arm, as estimated", "difference, as estimated", "one arm", "difference")
        for kind, held in zip(kinds, auc(setting, studies), strict=True):
            said(f"{worded(names, setting)}: {kind}", held, studies)


def say_agreement(studies: int) -> None:
    """Six lines for each kind of study with agreement."""
    for setting in AGREEMENTS:
        for name, counts in agreements(setting, studies).items():
            for kind, held in zip(("", ", items as if independent"), counts, strict=True):
                said(f"{worded(('patients', 'items of each', 'alike'), setting)}: {name}{kind}", held, studies)


def say_thresholds(studies: int) -> None:
    """Two lines."""
    over, alone = threshold(studies)
    said("threshold, interval over cases", over, studies)
    said("threshold, profile likelihood alone", alone, studies)


def worded(names: tuple[str, ...], setting: tuple[float, ...]) -> str:
    """The setting in words."""
    return ", ".join(f"{name} {value:g}" for name, value in zip(names, setting, strict=True))


if __name__ == "__main__":
    main()
