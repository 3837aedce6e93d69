"""What a study that is created, or a frozen protocol, can show: endpoint by endpoint, before any answer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from percuss.evaluate.intervals import exact
from percuss.study.design.protocol import Endpoint, Frozen, in_force
from percuss.study.design.public import PublicProtocol
from percuss.study.planning.given_size import Reach, Size, reach
from percuss.study.planning.needed_size import Wanted, expected_power
from percuss.study.planning.plan_record import reach_record
from percuss.study.planning.positives import Positives, positives_of
from percuss.study.planning.power import d_prime
from percuss.study.planning.results_power import results_power
from percuss.study.planning.seconds import SECONDS, minutes_of


@dataclass(frozen=True)
class Assumed:
    """What cannot be known before the first answer, and is supposed: as in ``planning.Wanted``.

    ``seconds`` of a trial; None takes ``seconds.SECONDS`` for each task.
    """

    discordance: float = 0.1
    power: float = 0.8
    case_share: float = 0.0
    reader_share: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True)
class EndpointReach:
    """An endpoint, and what it can show.

    Attributes:
        endpoint: as in the protocol.
        cases: that count for it.
        at_most: the true number may be smaller: how many cases are positive is sealed.
        reach: what they show; of true positives and of the choice of two.
        power: chance to stay within the margin where nothing is lost, of several readers as the results take them, by
            simulation; None without a margin.
        agreement: lower end of the exact 95 % interval of raw agreement where every repeated answer agrees, one
            reader; of the measure ``agreement`` only.
        patients: that the cases are of, where several are of one; else 0, also where it is sealed.
        alike: with such patients, or several readers, the loss that stays possible where no answer changes: the
            results then cannot tell how far answers depend on each other; else None.
    """

    endpoint: Endpoint
    cases: int
    at_most: bool
    reach: Reach | None
    power: float | None
    agreement: float | None
    patients: int = 0
    alike: float | None = None


def positives_in(frozen: Frozen) -> Positives | None:
    """Cases of the positive label in a frozen protocol; all where it has no such case; None where it has no label."""
    return positives_of(in_force(frozen))


def endpoints_reach(
    public: PublicProtocol, assumed: Assumed = Assumed(), *, positives: Positives | None = None
) -> tuple[EndpointReach, ...]:
    """Each endpoint of a protocol with what it can show.

    Args:
        public: the protocol.
        assumed: what is supposed.
        positives: cases of the positive label, which true positives are counted over; None where it is sealed: then
            all cases, each of a patient of its own, and the true number can be smaller.

    Raises:
        UsageError: suppositions out of range.
    """
    return tuple(_reach(endpoint, public, assumed, positives) for endpoint in public.endpoints)


def _reach(endpoint: Endpoint, public: PublicProtocol, assumed: Assumed, positives: Positives | None) -> EndpointReach:
    positive_only = endpoint.measure == "true-positives" and bool(public.positive)
    cases = positives.cases if positive_only and positives else public.cases
    patients = positives.patients if positive_only and positives else 0
    shares = (assumed.case_share, assumed.reader_share) if public.readers > 1 else (0.0, 0.0)
    seconds = SECONDS[endpoint.task] if assumed.seconds is None else assumed.seconds
    size = Size(cases, public.readers, public.copies, *shares, seconds=seconds)
    found = None
    # Same or different has its false alarms: its difference from identical pairs is no choice of two.
    if endpoint.measure == "true-positives" or (endpoint.measure, endpoint.task) == ("detection", "choice"):
        found = reach(size, alpha=endpoint.alpha, discordance=assumed.discordance, power=assumed.power)
    power = None
    if endpoint.measure == "true-positives" and endpoint.margin is not None and cases > 1:
        wanted = Wanted(
            "no_loss",
            endpoint.margin,
            assumed.discordance,
            readers=public.readers,
            alpha=endpoint.alpha,
            power=assumed.power,
            case_share=shares[0],
            reader_share=shares[1],
        )
        # Few readers leave the results' analysis, which takes them as random, less power than any formula here.
        several = public.readers > 1
        power = results_power(wanted.model, cases, public.readers).power if several else expected_power(wanted, cases)
    agreement = exact(cases, cases).low if endpoint.measure == "agreement" else None
    alike = None
    if endpoint.measure == "true-positives" and (patients or public.readers > 1):
        counted = positives if positive_only and positives else Positives(cases)
        alike = counted.left_possible(endpoint.alpha)
    at_most = positive_only and positives is None
    return EndpointReach(endpoint, cases, at_most, found, power, agreement, patients, alike)


def study_text(public: PublicProtocol, found: tuple[EndpointReach, ...], assumed: Assumed) -> str:
    """The study's burden, and each endpoint's reach, as paragraphs."""
    minutes, each = minutes_of(public, seconds=assumed.seconds), assumed.seconds
    reckoned = f"{each:g} seconds each" if each is not None else _reckoned(public)
    sessions = "1 session" if public.rules.sessions == 1 else f"{public.rules.sessions} sessions"
    burden = (
        f"{public.title}: {public.cases} cases, {len(public.arms)} arms, {public.trials} trials per reader in "
        f"{sessions}, about {minutes:.0f} minutes at {reckoned}; readers planned: {public.readers}."
    )
    told = itertools.groupby(found, key=lambda item: _says(item, assumed))
    parts = [f"{'; '.join(map(_named, items))}: {text}" for text, items in told]
    return "\n\n".join([burden, *_supposed(public, found, assumed), *parts])


def study_record(public: PublicProtocol, found: tuple[EndpointReach, ...], assumed: Assumed) -> dict[str, Any]:
    """The same as a plain record for scripts; shares in [0, 1]."""
    endpoints = [
        {
            "name": item.endpoint.name,
            "role": item.endpoint.role,
            "measure": item.endpoint.measure,
            "margin": item.endpoint.margin,
            "cases": item.cases,
            "at_most": item.at_most,
            "power": item.power,
            "agreement_low": item.agreement,
            "patients": item.patients or None,
            "loss_left": item.alike,
            "size": None if item.reach is None else reach_record(item.reach),
        }
        for item in found
    ]
    minutes = minutes_of(public, seconds=assumed.seconds)
    counts = {"cases": public.cases, "trials": public.trials, "minutes": minutes, "readers": public.readers}
    return {"title": public.title, "protocol": public.hash, **counts, "endpoints": endpoints}


def _reckoned(public: PublicProtocol) -> str:
    first, *rest = public.tasks
    return ", ".join([f"{SECONDS[first]:g} seconds ({first})", *(f"{SECONDS[task]:g} ({task})" for task in rest)])


def _supposed(public: PublicProtocol, found: tuple[EndpointReach, ...], assumed: Assumed) -> list[str]:
    """What the reckoning takes for granted, where it takes something for granted."""
    words = []
    if any(item.at_most for item in found):
        words.append(
            f"true positives are reckoned over all {public.cases} cases, "
            "since how many are positive is sealed (--secret)"
        )
    if public.readers > 1:
        words.append(f"answers of two readers on a case are taken to correlate by {assumed.case_share:g}")
    text = "; ".join(words)
    return [f"Supposed: {text}."] if text else []


def _named(item: EndpointReach) -> str:
    return f"{item.endpoint.name} ({item.endpoint.role})"


def _says(item: EndpointReach, assumed: Assumed) -> str:
    if item.agreement is not None:
        return (
            f"where all {item.cases} repeated answers of a reader agree, raw agreement may still be "
            f"{100 * item.agreement:.1f} % (exact, two-sided 95 %)."
        )
    if item.reach is None:
        return "no size is planned for it; it is told with its interval."
    none = item.reach.found[0]
    pairs = item.reach.size.worth
    if item.endpoint.measure == "detection":
        limit = (
            "no share right" if none.limit is None else f"{100 * none.limit:.1f} % right (d' {d_prime(none.limit):.2f})"
        )
        least = "no share right" if none.detected is None else f"{100 * none.detected:.1f} % right"
        return (
            f"{pairs} trials can exclude {limit} where readers are at chance, and tell {least} from chance, with a "
            f"power of {100 * assumed.power:.0f} %."
        )
    return _of_pairs(item, assumed, item.reach)


def _of_pairs(item: EndpointReach, assumed: Assumed, known: Reach) -> str:
    """What so many pairs of true positives leave possible, their power, and the smallest margin."""
    none, helped = known.found
    several = known.size.readers > 1
    text = (
        f"{known.size.worth} pairs; with no harmful flip the true loss may still be "
        f"{100 * helped.score_two_sided:.1f} to {100 * none.score_two_sided:.1f} points (one helpful flip, or none)."
    )
    if item.alike is not None:
        why = (
            f" The {item.cases} cases are of {item.patients} patients, which the results take as what varies by chance:"
            if item.patients
            else " The results cannot tell how far readers agree where nothing varies, and take a case as one answer:"
        )
        text += f"{why} where no answer changes, {100 * item.alike:.1f} points stay possible."
    if item.power is not None:
        text += (
            f" Power to stay within the margin of {100 * (item.endpoint.margin or 0):.1f} points where nothing is lost "
            f"and {100 * assumed.discordance:.0f} % of pairs are answered differently: {100 * item.power:.1f} %"
        )
        text += ", readers taken as random, by simulation." if several else "."
    if none.margin is not None:
        by = ", by formula and for these readers," if several else ""
        text += (
            f" The smallest margin with a power of {100 * assumed.power:.0f} %{by} is {100 * none.margin:.1f} points."
        )
    return text
