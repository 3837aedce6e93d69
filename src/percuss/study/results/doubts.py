"""What limits the conclusions of a study, as findings beside its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from percuss.core.outcome import Finding
from percuss.core.results import FindingRecord
from percuss.core.study_results import DeviationRecord, EndpointRecord
from percuss.study.design.protocol import Protocol
from percuss.study.planning.positives import positives_of
from percuss.study.statistics.paired_share import score_bounds


def doubts(
    protocol: Protocol,
    endpoints: Sequence[EndpointRecord],
    deviations: Sequence[DeviationRecord],
    *,
    unplaced: Sequence[str] = (),
) -> list[FindingRecord]:
    """The findings of a study, worst first; ``unplaced`` are arms that no curve could have (``results.sizes``)."""
    found = [
        *_severe(deviations),
        *_too_small(protocol, endpoints),
        *_unplaced(unplaced),
        *_one_reader(endpoints),
        *_patients(protocol),
        *_controls(protocol),
    ]
    return [
        FindingRecord(id=item.id, severity=item.severity, message=item.message, evidence=item.evidence)
        for item in found
    ]


def _severe(deviations: Sequence[DeviationRecord]) -> Iterator[Finding]:
    severe = [item for item in deviations if item.severity == "severe"]
    if severe:
        kinds = sorted({item.kind for item in severe})
        text = f"{len(severe)} severe deviations ({', '.join(kinds)}): the verdicts cannot be trusted as they stand."
        yield Finding("study-severe-deviations", "severe", text, {"kinds": kinds, "count": len(severe)})


def _too_small(protocol: Protocol, endpoints: Sequence[EndpointRecord]) -> Iterator[Finding]:
    for item in endpoints:
        n = sum(row.both + row.against_only + row.arm_only + row.neither for row in item.tables)
        if item.margin is None or item.unit != "share" or n == 0 or item.verdict == "non-inferior":
            continue
        worth = _worth_alike(protocol, item, n)
        least = score_bounds(0.0, 0.0, worth, confidence=item.confidence)[1]
        if least >= item.margin:
            text = (
                f"{item.name}: even if none of the {n} pairs of answers had changed, the bound would be "
                f"{100 * least:.1f} points, not below the margin of {100 * item.margin:g}: the study is too small "
                "for it. percuss study plan says how many cases it takes."
            )
            evidence = {"pairs": n, "worth": worth, "bound": least, "margin": item.margin}
            yield Finding("study-too-small", "warning", text, evidence)


def _worth_alike(protocol: Protocol, item: EndpointRecord, pairs: int) -> float:
    """Independent pairs that these are worth where none changed.

    Of true positives what the results make of it: several answers to a case, or to a patient, then count as one. Of
    others all pairs, the most that they can be worth.
    """
    positives = positives_of(protocol) if item.measure == "true-positives" else None
    return float(pairs) if positives is None else min(positives.worth, float(pairs))


def _unplaced(arms: Sequence[str]) -> Iterator[Finding]:
    if arms:
        text = (
            f"No place on a curve for {', '.join(arms)}: sizes in rms: or mad: need images of one shape, sizes in "
            "native units images in them, and a change without limit has no size. Thresholds leave these arms out."
        )
        yield Finding("study-arm-without-size", "warning", text, {"arms": list(arms)})


def _one_reader(endpoints: Sequence[EndpointRecord]) -> Iterator[Finding]:
    if endpoints and max(item.readers for item in endpoints) == 1:
        text = "One reader: what is found holds for this reader, and says nothing of others."
        yield Finding("study-one-reader", "info", text, {})


def _patients(protocol: Protocol) -> Iterator[Finding]:
    known = [case.patient for case in protocol.cases if case.patient]
    if len(set(known)) < len(known):
        text = (
            f"{len(known)} cases are of {len(set(known))} patients: intervals take patients as what varies, and are as "
            "wide as so many allow."
        )
        yield Finding("study-patients", "info", text, {"cases": len(known), "patients": len(set(known))})


def _controls(protocol: Protocol) -> Iterator[Finding]:
    kinds = {arm.kind for arm in protocol.arms}
    if "noise" not in kinds:
        text = (
            "No noise of the attack's size was shown: an effect of any change at all cannot be told from the attack's."
        )
        yield Finding("study-no-noise", "info", text, {})
    if "same" in protocol.tasks and "identical" not in kinds:
        text = "No identical pairs were shown: how often a reader says different without a difference is unknown."
        yield Finding("study-no-identical", "warning", text, {})
