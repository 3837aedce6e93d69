"""Whether the time of a response tells the arm of an image, or whether a code was ever valid.

    python benchmarks/study_timing.py [--side 512] [--requests 160] [--codes 300]

A study of colour images, of which a reader asks each that is shown, arms in the order that was drawn; so originals are
asked for about as often as each copy. Prints the median time of each arm and Mann-Whitney's p against the originals,
and the median time of a wrong, a revoked and a nonsensical code.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.stats import mannwhitneyu

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tests.study.app.served import Served, serving
from tests.study.small_study import make

from percuss.study.access import enrol, log_in, revoke
from percuss.study.design.key import Key
from percuss.study.opening import OpenStudy
from percuss.testing.simulated_readers import oracle_of


def images(served: Served, key: Key, requests: int) -> dict[str, list[float]]:
    """Milliseconds of each arm's images, at least ``requests`` of each, over as many readers as that takes."""
    took: dict[str, list[float]] = defaultdict(list)
    oracle, number = oracle_of(key), 0
    while len(took) < 3 or min(map(len, took.values())) < requests:
        number += 1
        reader = served.enrolled(f"reader {number}")
        while (reply := reader.get("/api/v1/trials/next")).status_code == 200:
            trial = reply.json()
            begun = time.perf_counter()
            content = reader.client.get(trial["images"][0]["url"]).content
            spent = 1000 * (time.perf_counter() - begun)
            took[oracle.sight(trial["task"], [content]).arm].append(spent)
            reader.answer(trial)
    return took


def codes(study: OpenStudy, turns: int) -> dict[str, float]:
    """Median milliseconds of each kind of code that is not taken."""
    gone = enrol(study, "somebody who left").code
    revoke(study, "somebody who left", who="benchmark", reason="benchmark")
    kinds = {"wrong": "K7QM-2XPD-9RTA-5WZ0", "revoked": gone, "nonsensical": "no code at all"}
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(turns):
        for kind, code in kinds.items():
            begun = time.perf_counter()
            assert log_in(study, code) is None
            took[kind].append(1000 * (time.perf_counter() - begun))
    return {kind: float(np.median(times)) for kind, times in took.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--requests", type=int, default=160)
    parser.add_argument("--codes", type=int, default=300)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study, key = make(Path(folder) / "study", cases=15, slots=40, shape=(3, asked.side, asked.side))
        with serving(study) as served:
            took = images(served, key, asked.requests)
            for arm, times in took.items():
                p = mannwhitneyu(times, took["original"]).pvalue
                print(f"{arm}: {len(times)} requests, median {np.median(times):.1f} ms, p {p:.2f}")
            for kind, median in codes(study, asked.codes).items():
                print(f"{kind} code: median {median:.2f} ms of {asked.codes}")


if __name__ == "__main__":
    main()
