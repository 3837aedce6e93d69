"""How long a trial is reckoned with before anybody has measured it."""

from __future__ import annotations

from percuss.study.design.public import PublicProtocol
from percuss.study.design.trials import Task

#: Seconds of a trial. A forced choice took about 6 for each set of images in Human Observer Net (Radiology 303 (2022)
#: 524-530); a diagnosis is supposed to take more. A rehearsal gives better numbers.
SECONDS: dict[Task, float] = {"diagnosis": 10.0, "manipulation": 6.0, "choice": 6.0, "same": 6.0}


def minutes_of(public: PublicProtocol, *, seconds: float | None = None) -> float:
    """Minutes that one reader needs for a study, breaks not counted; with ``seconds`` for each trial, else SECONDS."""
    if seconds is not None:
        return public.trials * seconds / 60
    each = {task: sum(arm.shown_in(task) for arm in public.arms) for task in public.tasks}
    return sum(SECONDS[task] * arms * public.cases * public.copies for task, arms in each.items()) / 60
