"""The size of a study, and what it can show, as plain records for scripts."""

from __future__ import annotations

import dataclasses
from typing import Any

from percuss.study.planning.given_size import Reach
from percuss.study.planning.needed_size import Needed
from percuss.study.planning.power import d_prime


def needed_record(plan: Needed) -> dict[str, Any]:
    """What was asked for, cases, trials and minutes per reader, and power by formula and by simulation.

    Shares and powers are in [0, 1]; ``low`` and ``high`` end the two-sided 95 % interval of the simulation.
    """
    wanted = plan.wanted
    simulated = None
    if plan.simulated is not None:
        low, high = plan.simulated.interval
        simulated = {"value": plan.simulated.power, "low": low, "high": high, "draws": plan.simulated.draws}
    return {
        "wanted": dataclasses.asdict(wanted) | {"d_prime": None if wanted.paired else d_prime(wanted.effect)},
        "cases": plan.cases,
        "trials": plan.trials,
        "minutes": plan.minutes,
        "independent": plan.independent,
        "power": {"formula": plan.expected, "simulation": simulated},
        "doubtful": plan.doubtful,
    }


def reach_record(known: Reach) -> dict[str, Any]:
    """The size with what it takes, and ``shown``: every field of ``Shown``, once for each supposition about flips."""
    size = known.size
    takes = {"trials": size.trials, "minutes": size.minutes, "independent": size.worth}
    shown = [dataclasses.asdict(found) | {"limit_d_prime": found.limit_d_prime} for found in known.found]
    return {**dataclasses.asdict(size), **takes, "shown": shown}
