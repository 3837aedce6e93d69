"""What the model said of the very files that readers saw, arm by arm."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from percuss.core.results import Interval
from percuss.core.study_results import ModelArmRecord
from percuss.evaluate.intervals import mean, proportion
from percuss.study.design.key import Key, ModelSays
from percuss.study.design.protocol import Protocol
from percuss.study.design.trials import Case
from percuss.study.results.pooled import clusters_of, none


def model_arms(protocol: Protocol, key: Key) -> list[ModelArmRecord]:
    """A record for the original and every arm with files of its own; cases of which the key says nothing are left out.

    Right is a decision for the case's truth; cases without a truth are neither right nor wrong.
    """
    says = {case.id: case.model for case in key.cases}
    names = dict.fromkeys(["original", *(arm.name for arm in protocol.arms if arm.kind != "identical")])
    found = []
    for name in names:
        chosen = [(case, says[case.id][name]) for case in protocol.cases if name in says.get(case.id, {})]
        if chosen:
            found.append(_record(name, chosen, protocol.positive))
    return found


def _record(arm: str, chosen: Sequence[tuple[Case, ModelSays]], positive: str) -> ModelArmRecord:
    clusters = clusters_of([case.patient and f"patient {case.patient}" for case, _ in chosen])
    right = np.array([said.label == case.truth for case, said in chosen], dtype=bool)
    known = np.array([case.truth != "" for case, _ in chosen])
    share = proportion(right, clusters, known) if known.any() else none("undefined: the cases have no truth")
    sure = mean(np.array([said.confidence for _, said in chosen]), clusters, np.ones(len(chosen), dtype=bool))
    positives = [case.truth == positive and positive != "" for case, _ in chosen]
    return ModelArmRecord(
        arm=arm,
        cases=len(chosen),
        right=share,
        true_positives=int((right & np.array(positives)).sum()) if any(positives) else None,
        positives=sum(positives),
        flipped=sum(said.flips for _, said in chosen),
        flipped_share=proportion(np.array([said.flips for _, said in chosen], dtype=bool), clusters),
        confidence=_worded(sure),
        attacks=dict(Counter(said.attack for _, said in chosen if said.attack)),
    )


def _worded(found: Interval) -> Interval:
    if found.low is None or found.high is None or math.isclose(found.low, found.high):
        return found.model_copy(update={"low": None, "high": None, "method": "undefined: all alike"})
    return found.model_copy(update={"method": found.method.replace("over images", "over cases")})
