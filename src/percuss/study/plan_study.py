"""What a study that is created, or a frozen protocol, can show: endpoint by endpoint, before any answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from percuss.evaluate.intervals import exact
from percuss.study.given_size import Reach, Size, reach
from percuss.study.plan_record import reach_record
from percuss.study.planning import Wanted, expected_power
from percuss.study.power import d_prime
from percuss.study.protocol import Endpoint, Frozen, in_force
from percuss.study.public import PublicProtocol
from percuss.study.seconds import SECONDS, minutes_of


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
        reach: what they show; of an endpoint that compares shares right, or detects.
        power: chance to stay within the margin where nothing is lost; None without a margin.
        agreement: lower end of the exact 95 % interval of raw agreement where every repeated answer agrees, one
            reader; of the measure ``agreement`` only.
    """

    endpoint: Endpoint
    cases: int
    reach: Reach | None
    power: float | None
    agreement: float | None


def positives_in(frozen: Frozen) -> int | None:
    """Cases of the positive label in a frozen protocol; None where it has no such label or no such case."""
    protocol = in_force(frozen)
    return sum(case.truth == protocol.positive for case in protocol.cases) or None if protocol.positive else None


def endpoints_reach(
    public: PublicProtocol, assumed: Assumed = Assumed(), *, positives: int | None = None
) -> tuple[EndpointReach, ...]:
    """Each endpoint of a protocol with what it can show.

    Args:
        public: the protocol.
        assumed: what is supposed.
        positives: cases of the positive label, which true positives are counted over; None where it is sealed: then
            all cases, and the true number can be smaller.

    Raises:
        UsageError: suppositions out of range.
    """
    return tuple(_reach(endpoint, public, assumed, positives) for endpoint in public.endpoints)


def _reach(endpoint: Endpoint, public: PublicProtocol, assumed: Assumed, positives: int | None) -> EndpointReach:
    cases = public.cases
    if endpoint.measure == "true-positives" and positives:
        cases = positives
    shares = (assumed.case_share, assumed.reader_share) if public.readers > 1 else (0.0, 0.0)
    seconds = SECONDS[endpoint.task] if assumed.seconds is None else assumed.seconds
    size = Size(cases, public.readers, public.copies, *shares, seconds=seconds)
    found = None
    if endpoint.measure in ("true-positives", "detection"):
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
        power = expected_power(wanted, cases)
    agreement = exact(cases, cases).low if endpoint.measure == "agreement" else None
    return EndpointReach(endpoint, cases, found, power, agreement)


def study_text(public: PublicProtocol, found: tuple[EndpointReach, ...], assumed: Assumed) -> str:
    """The study's burden, and each endpoint's reach, as paragraphs."""
    minutes, each = minutes_of(public, seconds=assumed.seconds), assumed.seconds
    reckoned = f"{each:g} seconds each" if each is not None else _reckoned(public)
    sessions = "1 session" if public.rules.sessions == 1 else f"{public.rules.sessions} sessions"
    burden = (
        f"{public.title}: {public.cases} cases, {len(public.arms)} arms, {public.trials} trials per reader in "
        f"{sessions}, about {minutes:.0f} minutes at {reckoned}; readers planned: {public.readers}."
    )
    return "\n\n".join([burden, *(_endpoint_text(item, assumed) for item in found)])


def study_record(public: PublicProtocol, found: tuple[EndpointReach, ...], assumed: Assumed) -> dict[str, Any]:
    """The same as a plain record for scripts; shares in [0, 1]."""
    endpoints = [
        {
            "name": item.endpoint.name,
            "role": item.endpoint.role,
            "measure": item.endpoint.measure,
            "margin": item.endpoint.margin,
            "cases": item.cases,
            "power": item.power,
            "agreement_low": item.agreement,
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


def _endpoint_text(item: EndpointReach, assumed: Assumed) -> str:
    endpoint = item.endpoint
    against = f" against {endpoint.against}" if endpoint.against else ""
    head = f"{endpoint.name} ({endpoint.role}; {endpoint.measure}, {endpoint.arm}{against}, {endpoint.task})"
    return f"{head}: {_says(item, assumed)}"


def _says(item: EndpointReach, assumed: Assumed) -> str:
    if item.agreement is not None:
        return (
            f"where all {item.cases} repeated answers of a reader agree, raw agreement may still be "
            f"{100 * item.agreement:.1f} % (exact, two-sided 95 %)."
        )
    if item.reach is None:
        return "no size is planned for it; it is told with its interval."
    none, helped = item.reach.found
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
    text = (
        f"{pairs} pairs; with no harmful flip the true loss may still be {100 * helped.score_two_sided:.1f} to "
        f"{100 * none.score_two_sided:.1f} points (one helpful flip, or none)."
    )
    if item.power is not None:
        text += (
            f" Power to stay within the margin of {100 * (item.endpoint.margin or 0):.1f} points where nothing is lost "
            f"and {100 * assumed.discordance:.0f} % of pairs are answered differently: {100 * item.power:.1f} %."
        )
    if none.margin is not None:
        text += f" The smallest margin with a power of {100 * assumed.power:.0f} % is {100 * none.margin:.1f} points."
    return text
