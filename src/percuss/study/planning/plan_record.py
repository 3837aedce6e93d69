"""The size of a study, and what it can show, as plain records for scripts."""

from __future__ import annotations

import dataclasses
from typing import Any

from percuss.study.planning.given_size import Reach
from percuss.study.planning.needed_size import Needed
from percuss.study.planning.power import d_prime
from percuss.study.planning.simulated_power import Simulated


def needed_record(plan: Needed) -> dict[str, Any]:
    """What was asked for, cases, trials and minutes per reader, and power by formula and by simulation.

    Shares and powers are in [0, 1]; ``low`` and ``high`` end the two-sided 95 % interval of a simulation. ``results``
    is the power of the analysis that the results make of several readers, ``enough_cases`` what that needs where it is
    short.
    """
    wanted = plan.wanted
    return {
        "wanted": dataclasses.asdict(wanted) | {"d_prime": None if wanted.paired else d_prime(wanted.effect)},
        "cases": plan.cases,
        "trials": plan.trials,
        "minutes": plan.minutes,
        "independent": plan.independent,
        "power": {"formula": plan.expected, "simulation": _drawn(plan.simulated), "results": _drawn(plan.results)},
        "enough_cases": plan.enough,
        "doubtful": plan.doubtful,
    }


def _drawn(found: Simulated | None) -> dict[str, Any] | None:
    if found is None:
        return None
    low, high = found.interval
    return {"value": found.power, "low": low, "high": high, "draws": found.draws}


def reach_record(known: Reach) -> dict[str, Any]:
    """The size with what it takes, and ``shown``: every field of ``Shown``, once for each supposition about flips."""
    size = known.size
    takes = {"trials": size.trials, "minutes": size.minutes, "independent": size.worth}
    shown = [dataclasses.asdict(found) | {"limit_d_prime": found.limit_d_prime} for found in known.found]
    return {**dataclasses.asdict(size), **takes, "loss_left": known.alike, "shown": shown}
