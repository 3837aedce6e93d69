"""The protocol of a study from its design and its cases."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from percuss.core.checked import checked
from percuss.pipeline.finished import Finished
from percuss.pipeline.study_cases import Pool, truths_of
from percuss.pipeline.study_design import Design, make_endpoints, make_rules
from percuss.store.safe import sha256_of
from percuss.study.design.protocol import Protocol
from percuss.study.design.trials import Case, build_trials


def protocol_of(
    found: Finished, design: Design, *, truths: Mapping[str, str], images: Mapping[str, Mapping[str, str]]
) -> Protocol:
    """The whole protocol, checked.

    Args:
        found: the run.
        design: what was decided before the cases were drawn.
        truths: class of each case by its id, in the order of the protocol.
        images: SHA-256 of the file of each arm, by case and name of arm.

    Raises:
        UsageError: rules, arms or endpoints that do not go together; says what would.
    """
    options = design.options
    groups = dict(zip(found.clean["id"].astype(str), found.clean["group"].astype(str), strict=True))
    cases = [
        Case(id=name, truth=truth, patient=groups[name], images=dict(images[name])) for name, truth in truths.items()
    ]
    trials = build_trials(cases, design.arms, options.tasks, copies=options.copies)
    values = {
        "title": options.title,
        "run": sha256_of(found.path / "results.json"),
        "seed": design.seed,
        "readers": options.readers,
        "cases": cases,
        "arms": design.arms,
        "tasks": options.tasks,
        "copies": options.copies,
        "rules": make_rules(design, trials),
        "endpoints": make_endpoints(design),
        "labels": design.labels,
        "positive": design.positive,
        "washout_days": options.washout_days,
        "ask_seen": options.ask_seen,
        "target": options.target,
    }
    return checked(Protocol, values, word="field of the protocol")


def check_protocol(found: Finished, design: Design, pools: Sequence[Pool]) -> None:
    """Raise what ``protocol_of`` will, before any image is attacked: the files are not there yet, their number is."""
    names = [arm.name for arm in design.arms if arm.kind != "identical"]
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    known = truths_of(found)
    truths = {name: known[name] for pool in pools for name in pool.ids[: pool.wanted]}
    protocol_of(found, design, truths=truths, images=dict.fromkeys(truths, hashes))
