"""What came out of each endpoint of the protocol: the number, its interval, and the verdict.

Endpoints of true positives and of agreement count a loss: the share in ``against`` minus that in ``arm``. All others
count an excess: ``arm`` minus ``against``. So a margin is always held against the upper bound: not more than so much is
lost, or not by so much more is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from percuss.core.results import Interval
from percuss.core.study_results import EndpointRecord, Verdict
from percuss.study.design.protocol import Endpoint, Protocol
from percuss.study.results.agreement import within
from percuss.study.results.arms import rating, ratings, right
from percuss.study.results.decide import Decision, Sample, Scale, decide
from percuss.study.results.detection import called, choice_dprime, pairs_dprime
from percuss.study.results.rating_auc import rating_auc
from percuss.study.results.read import Read, categories, counted_cases, of, readers_of
from percuss.study.results.samples import agreeing, joined, pairs, singles, tables
from percuss.study.results.sentences import LOSSES, Told, sentence
from percuss.study.statistics.paired_share import non_inferiority

#: Ratings go from 1 to 5: a margin, which is a share, is held against this part of them.
SPAN = 4.0


@dataclass(frozen=True)
class _Asked:
    """The reads of an endpoint's two arms, and its protocol."""

    endpoint: Endpoint
    protocol: Protocol
    arm: list[Read]
    against: list[Read]


@dataclass(frozen=True)
class _Found:
    """The samples of an endpoint: what is decided on, and beside it."""

    samples: list[Sample]
    expected: int
    scale: Scale = "share"
    chance: float | None = None
    numbers: dict[str, Interval] = field(default_factory=dict)


def endpoints(reads: Sequence[Read], protocol: Protocol) -> list[EndpointRecord]:
    """One record for each endpoint of the protocol in force, in its order."""
    return [_record(reads, endpoint, protocol) for endpoint in protocol.endpoints]


def _record(reads: Sequence[Read], endpoint: Endpoint, protocol: Protocol) -> EndpointRecord:
    arm = of(reads, task=endpoint.task, arm=endpoint.arm)
    against = of(reads, task=endpoint.task, arm=endpoint.against) if endpoint.against else []
    found = _MEASURES[endpoint.measure](_Asked(endpoint, protocol, arm, against))
    decision = decide(found.samples, expected=found.expected, alpha=endpoint.alpha, scale=found.scale)
    if found.chance is not None and found.scale == "rating":
        # The bootstrap gives 95 % whatever the protocol's alpha.
        endpoint = endpoint.model_copy(update={"alpha": 0.025})
        decision = Decision(found.numbers["AUC"], readers=len(readers_of(arm)))
    verdict = _verdict(endpoint, found, decision)
    loss = endpoint.measure in LOSSES
    paired = bool(found.samples) and found.samples[0].second is not None
    told = Told(endpoint, decision.value, verdict, decision.readers, found.scale, found.chance)
    return EndpointRecord(
        **endpoint.model_dump(exclude={"measure"}),
        measure=endpoint.measure,
        confidence=1 - 2 * endpoint.alpha,
        unit=found.scale if found.chance is None else "share",
        sign=told.sign,
        value=decision.value,
        beside=decision.beside,
        verdict=verdict,
        sentence=sentence(told),
        p_value=decision.p_value,
        test=decision.test,
        numbers=found.numbers,
        tables=tables(found.samples, alpha=endpoint.alpha, arm_first=not loss)
        if paired and found.scale == "share"
        else [],
        readers=decision.readers,
        left_out=list(decision.left_out),
    )


def _verdict(endpoint: Endpoint, found: _Found, decision: Decision) -> Verdict:
    value = decision.value
    if value.value is None:
        return "no answers"
    if endpoint.margin is not None:
        margin = endpoint.margin
        scaled = _by(value, SPAN) if found.scale == "rating" else value
        return non_inferiority(scaled, margin).verdict
    if found.chance is not None:
        return _beside_chance(value, found.chance)
    if not found.samples or found.samples[0].second is None:
        return "described"
    apart = value.low is not None and value.high is not None and (value.low > 0 or value.high < 0)
    return "difference" if apart else "no difference shown"


def _beside_chance(value: Interval, chance: float) -> Verdict:
    if value.low is not None and value.low > chance:
        return "above chance"
    return "below chance" if value.high is not None and value.high < chance else "not told from chance"


def _true_positives(asked: _Asked) -> _Found:
    counted, protocol = counted_cases(asked.protocol), asked.protocol
    arm, against = ([read for read in kind if read.trial.case in counted] for kind in (asked.arm, asked.against))
    expected = len(counted) * protocol.copies
    numbers = {f"share right, {asked.endpoint.arm}": right(arm)}
    if not asked.endpoint.against:
        return _Found(singles(arm, _right), expected, numbers=numbers)
    numbers[f"share right, {asked.endpoint.against}"] = right(against)
    if len(counted) < len(protocol.cases):
        every = pairs(asked.against, asked.arm, _right)
        whole = decide(every, expected=len(protocol.cases) * protocol.copies, alpha=asked.endpoint.alpha, scale="share")
        numbers["loss of right answers, cases of all classes"] = whole.value
    return _Found(pairs(against, arm, _right), expected, numbers=numbers)


def _detection(asked: _Asked) -> _Found:
    if asked.endpoint.task == "choice":
        return _choice(asked)
    if asked.endpoint.task == "same":
        return _same(asked)
    # By ratings: how far the ratings of the arm lie above those of the other.
    return _rated_auc(asked)


def _choice(asked: _Asked) -> _Found:
    correct, expected = right(asked.arm), _expected(asked)
    numbers = {"percent correct": correct, "d'": choice_dprime(correct)}
    if asked.endpoint.against:
        other = right(asked.against)
        numbers |= {f"percent correct, {asked.endpoint.against}": other}
        return _Found(pairs(asked.arm, asked.against, _right), expected, numbers=numbers)
    return _Found(singles(asked.arm, _right), expected, chance=0.5, numbers=numbers)


def _same(asked: _Asked) -> _Found:
    numbers = {
        "called different": called(asked.arm),
        f"called different, {asked.endpoint.against or 'none'}": called(asked.against),
    }
    if not asked.endpoint.against:
        numbers.pop("called different, none")
        return _Found(singles(asked.arm, _called), _expected(asked), numbers=numbers)
    if asked.endpoint.against == "identical":
        numbers["percent correct"] = right([*asked.arm, *asked.against])
        numbers["d'"] = pairs_dprime(asked.arm, asked.against)
    return _Found(pairs(asked.arm, asked.against, _called), _expected(asked), numbers=numbers)


def _rating(asked: _Asked) -> _Found:
    value = _first_rating
    numbers = {name: item for name, item in ((f"mean rating, {asked.endpoint.arm}", rating(asked.arm)),) if item}
    if not asked.endpoint.against:
        return _Found(singles(asked.arm, value), _expected(asked), "rating", numbers=numbers)
    other = rating(asked.against)
    if other is not None:
        numbers[f"mean rating, {asked.endpoint.against}"] = other
    numbers["AUC"] = rating_auc(asked.arm, asked.against)
    return _Found(pairs(asked.arm, asked.against, value), _expected(asked), "rating", numbers=numbers)


def _rated_auc(asked: _Asked) -> _Found:
    found = _rating(asked)
    if asked.endpoint.against and asked.endpoint.margin is None:
        return _Found(found.samples, found.expected, "rating", chance=0.5, numbers=found.numbers)
    return found


def _agreement(asked: _Asked) -> _Found:
    expected = len(asked.protocol.cases) * (asked.protocol.copies - 1)
    arm, numbers = agreeing(asked.arm), dict[str, Interval]()
    names = categories(asked.endpoint.task, asked.protocol)
    for item in within(asked.arm, (1, 2), (asked.endpoint.task, asked.endpoint.arm), names=names):
        who = item.readers[0]
        numbers[f"raw, {who}"] = item.raw
        numbers |= {f"{name}, {who}": both for name, both in (("kappa", item.kappa), ("AC1", item.ac1)) if both}
    if asked.endpoint.against:
        return _Found(joined(agreeing(asked.against), arm), expected, numbers=numbers)
    return _Found(arm, expected, numbers=numbers)


def _expected(asked: _Asked) -> int:
    return len(asked.protocol.cases) * asked.protocol.copies


def _right(read: Read) -> float:
    return float(read.right is True)


def _called(read: Read) -> float:
    return float(read.called is True)


def _first_rating(read: Read) -> float:
    return ratings([read])[0]


def _by(value: Interval, span: float) -> Interval:
    ends = {name: None if end is None else end / span for name, end in (("low", value.low), ("high", value.high))}
    return value.model_copy(update=ends)


_MEASURES: dict[str, Callable[[_Asked], _Found]] = {
    "true-positives": _true_positives,
    "detection": _detection,
    "rating": _rating,
    "agreement": _agreement,
}
