"""The whole way: a study is created, readers of known numbers read it over HTTP, and its results find the numbers."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.core.results import Interval
from percuss.core.study_results import StudyResults
from percuss.pipeline.study_results import study_results
from percuss.study.access import enrol
from percuss.study.design.order import OrderRules
from percuss.study.design.protocol import Endpoint
from percuss.study.design.trials import Arm
from percuss.testing.perception import Perception, weibull_dprimes
from percuss.testing.simulated_readers import SimulatedReader, oracle_of, take_part
from percuss.testing.study_client import Denied, StudyClient

SIZES = (1, 2, 4, 8)
CHANGED = {f"adversarial linf={size}/255": size / 255 for size in SIZES}
ATTACKED = "adversarial linf=2/255"
RIGHT = {"original": {"tumour": 0.9, "normal": 0.8}, ATTACKED: {"tumour": 0.2, "normal": 0.7}}
REPEAT, LAPSE, THRESHOLD, SLOPE = 0.5, 0.04, 3 / 255, 2.5
CASES, READERS = 12, 3


def holds(interval: Interval | None, value: float) -> bool:
    """Whether the number that the readers are made of lies within three standard errors, of an interval of two."""
    assert interval is not None and interval.value is not None
    assert interval.low is not None and interval.high is not None
    below, above = 1.53 * (interval.value - interval.low), 1.53 * (interval.high - interval.value)
    return interval.value - below <= value <= interval.value + above


def lapsed(share: float, answers: int = 2) -> float:
    """A probability of a right answer, with blind answers among them."""
    return (1 - LAPSE) * share + LAPSE / answers


def agreed(truths: dict[str, float]) -> float:
    """Share of cases whose two copies get one diagnosis, over both truths."""
    # Both copies seen and the second repeats the first; else both are drawn apart, blind ones among them.
    seen, shares = (1 - LAPSE) ** 2, []
    for share in truths.values():
        apart = lapsed(share) ** 2 + (1 - lapsed(share)) ** 2
        drawn = share**2 + (1 - share) ** 2
        shares.append(apart + seen * REPEAT * (1 - drawn))
    return sum(shares) / len(shares)


def read_and_closed(path: Path) -> StudyResults:
    """Results of a study that simulated readers have read over HTTP."""
    arms = (
        Arm(kind="original", tasks=("diagnosis",)),
        *(
            Arm(
                kind="adversarial", size=f"linf={size}/255", tasks=("diagnosis", "choice") if size == 2 else ("choice",)
            )
            for size in SIZES
        ),
    )
    lost = {"measure": "true-positives", "task": "diagnosis", "arm": ATTACKED, "against": "original", "margin": 0.1}
    study, key = make(
        path,
        cases=CASES,
        tasks=("diagnosis", "choice"),
        copies=2,
        arms=arms,
        rules=OrderRules(distance=4),
        readers=READERS,
        endpoints=(Endpoint(name="lost", role="primary", **lost),),
    )
    people = [enrol(study, f"Dr {number}").code for number in range(READERS)]
    boss = enrol(study, "Boss", role="administrator").code

    def read(number: int) -> int:
        dprimes = weibull_dprimes(CHANGED, threshold=THRESHOLD, slope=SLOPE)
        perception = Perception(dprimes, RIGHT, repeat=REPEAT, lapse=LAPSE, seed=number)
        with StudyClient(served.address) as client:
            client.log_in(people[number])
            return len(take_part(client, SimulatedReader(perception, oracle_of(key))))

    with serving(study) as served:
        with ThreadPoolExecutor(READERS) as pool:
            assert list(pool.map(read, range(READERS))) == [len(key.trials)] * READERS
        with StudyClient(served.address) as client:
            client.log_in(boss)
            client.ask("POST", "/api/v1/admin/close", {"reason": "all have read"})
        with StudyClient(served.address) as client, pytest.raises(Denied):
            client.log_in(people[0])
            client.ask("POST", "/api/v1/answers", {"id": "0" * 32, "trial": "none", "answer": {}})
    return study_results(path).results


def _every_answer_is_counted_and_nothing_deviates(closed: StudyResults) -> None:
    assert closed.study.trail_sound and [reader.answered for reader in closed.readers] == [CASES * 12] * READERS
    assert [item for item in closed.deviations if item.severity == "severe"] == []


def _true_positives_by_arm_and_copy(closed: StudyResults) -> None:
    found = {(arm.arm, arm.copy_number): arm for arm in closed.arms if arm.task == "diagnosis" and arm.reader is None}
    for name, truths in RIGHT.items():
        for copy in (1, 2, None):
            arm = found[name, copy]
            assert arm.answered == arm.asked
            for truth, share in truths.items():
                assert holds(arm.per_class[truth], lapsed(share)), (name, copy, truth)


def _the_loss_of_true_positives_and_its_verdict(closed: StudyResults) -> None:
    (endpoint,) = closed.endpoints
    lost = lapsed(RIGHT[ATTACKED]["tumour"]) - lapsed(RIGHT["original"]["tumour"])
    # A loss is counted as positive: original minus adversarial.
    assert holds(endpoint.value, -lost) and not holds(endpoint.value, 0.0)
    assert endpoint.verdict in ("inferior", "difference") and endpoint.readers == READERS


def _agreement_of_readers_with_themselves(closed: StudyResults) -> None:
    found = [item for item in closed.agreement if item.kind == "within" and item.task == "diagnosis"]
    assert len(found) >= 2 * READERS
    for item in found:
        assert holds(item.raw, agreed(RIGHT[item.arm])), item


def _percent_correct_and_dprime_at_each_size(closed: StudyResults) -> None:
    dprimes = weibull_dprimes(CHANGED, threshold=THRESHOLD, slope=SLOPE)
    found = {item.arm: item for item in closed.detection if item.task == "choice" and item.reader is None}
    assert set(found) == set(CHANGED)
    for arm, item in found.items():
        assert holds(item.correct, Perception(dprimes, lapse=LAPSE).chance_right(arm)), arm


def _the_threshold_of_readers_beside_that_of_the_model(closed: StudyResults) -> None:
    (item,) = (item for item in closed.thresholds if item.scope == "all" and item.kind == "adversarial")
    # With lapses the curve is at 75 % a little later than without.
    share = 0.25 / (0.5 - LAPSE / 2)
    there = THRESHOLD * (math.log(1 - share) / math.log(0.5)) ** (1 / SLOPE)
    assert item.status == "found" and holds(item.threshold, there)
    assert item.model is not None and item.model.quartiles == (2 / 255,) * 3


def test_the_results_of_a_study_find_what_its_readers_are_made_of(tmp_path) -> None:
    # One test: several would read the study once for each worker.
    closed = read_and_closed(tmp_path / "study")
    for check in (
        _every_answer_is_counted_and_nothing_deviates,
        _true_positives_by_arm_and_copy,
        _the_loss_of_true_positives_and_its_verdict,
        _agreement_of_readers_with_themselves,
        _percent_correct_and_dprime_at_each_size,
        _the_threshold_of_readers_beside_that_of_the_model,
    ):
        check(closed)
