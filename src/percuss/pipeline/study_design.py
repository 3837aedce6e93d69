"""A study's design from its options and what the run offers: sizes, arms, sessions, endpoints, trials and minutes."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from percuss.core.budget import Budget, Norm, parse_budget
from percuss.core.errors import UsageError, nearest
from percuss.core.images import PixelRange
from percuss.core.results import DataRecord
from percuss.pipeline.finished import Finished
from percuss.pipeline.study_mark import mark_size
from percuss.pipeline.study_options import StudyOptions
from percuss.study.design.order import OrderRules, least_together
from percuss.study.design.protocol import Endpoint, Protocol
from percuss.study.design.trials import Arm, Task, Trial
from percuss.study.planning.positives import positives_of
from percuss.study.planning.power import score_upper
from percuss.study.planning.seconds import SECONDS

#: Sizes of the attack that are taken from the run where none is asked for.
SIZES = 3


@dataclass(frozen=True)
class Design:
    """What is decided before cases are drawn.

    Attributes:
        options: as given, with preset and file.
        arms: all of them, as the protocol has them.
        sizes: of the adversarial arms, smallest first.
        pixels: native range of the run's images.
        labels: diagnoses to choose from; empty without the task diagnosis.
        positive: one of them, or empty.
        seed: of the study.
    """

    options: StudyOptions
    arms: tuple[Arm, ...]
    sizes: tuple[Budget, ...]
    pixels: PixelRange
    labels: tuple[str, ...]
    positive: str
    seed: int

    @property
    def largest(self) -> Arm:
        """The adversarial arm of the largest size."""
        return next(arm for arm in self.arms if arm.kind == "adversarial" and arm.size == self.sizes[-1].text)

    @property
    def files(self) -> list[str]:
        """The arms that have a file of their own: an identical pair is the original beside itself."""
        return [arm.name for arm in self.arms if arm.kind != "identical"]

    @property
    def as_kept(self) -> bool:
        """Whether attacked images are the smallest flips that the audit kept: one size, and only cases that flip."""
        return self.options.only_flipped and len(self.sizes) == 1


def make_design(found: Finished, options: StudyOptions, preset: str) -> Design:
    """The design of a study of this run.

    Raises:
        UsageError: a class, size, task or arm that the run cannot have, or the preset does not allow.
    """
    data = found.results.data
    pixels = native_range(data)
    _check_tasks(data, options.tasks)
    positive = _positive(data, options)
    arms = options.arms or _usual_arms(_sizes(found, options, preset), options)
    shape = tuple(data.shape)
    asked = {arm.size: parse_budget(arm.size) for arm in arms if arm.kind == "adversarial"}
    sizes = tuple(sorted(asked.values(), key=lambda budget: budget.eps(shape, pixels)))
    if not sizes:
        raise UsageError("a study without an attack", allowed="an adversarial arm", next_step="add one, with its size")
    if len({budget.norm for budget in sizes}) > 1:
        raise UsageError("the adversarial arms are of several norms", value=", ".join(asked), allowed="one norm")
    for budget in sizes:
        _check_storable(budget, pixels, shape)
    for arm in arms:
        if arm.kind == "visible":
            mark_size(arm.size, pixels)
    asked_for = "diagnosis" in options.tasks
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    labels = tuple(data.classes) if asked_for else ()
    return Design(options, tuple(arms), sizes, pixels, labels, positive if asked_for else "", seed)


def native_range(data: DataRecord) -> PixelRange:
    """Native values of the run's images."""
    low, high = data.window or (0.0, float(data.levels))
    return PixelRange(low, high, (high - low) / data.levels, data.unit)


def make_rules(design: Design, trials: Sequence[Trial]) -> OrderRules:
    """The rules of every order: those asked for, else half the cases between two of one, sessions parted by task.

    Diagnoses come first; what lets readers know that images may be changed begins a session of its own.
    """
    options, cases = design.options, len({trial.case for trial in trials})
    begin = options.begin
    if begin is None:
        later = tuple(task for task in options.tasks if task != "diagnosis")
        own = options.tasks[0] == "diagnosis" and later and options.sessions != 1
        begin = later[:1] if own else ()
    sessions = options.sessions or 1 + len(begin)
    rules = OrderRules(distance=options.distance or max(1, cases // 2), sessions=sessions, begin=begin)
    together = options.together or least_together(trials, rules)
    return rules.model_copy(update={"together": together})


def make_endpoints(design: Design) -> tuple[Endpoint, ...]:
    """The endpoints asked for, else: non-inferiority of true positives, or detection, first; the rest beside it."""
    options = design.options
    if options.endpoints is not None:
        return options.endpoints
    found = [_lost(design)] if _shown(design, "diagnosis", "original", design.largest.name) else []
    for task in options.tasks:
        for arm in [arm for arm in design.arms if arm.shown_in(task) and arm.kind != "identical"]:
            found += _told_by(design, task, arm)
    first = found[0].model_copy(update={"role": "primary"})
    return (first, *(item for item in found[1:] if item.name != first.name))


def _lost(design: Design) -> Endpoint:
    options = design.options
    return Endpoint(
        name="true positives",
        role="primary",
        measure="true-positives",
        task="diagnosis",
        arm=design.largest.name,
        against="original",
        margin=options.margin,
        alpha=options.alpha,
    )


def _told_by(design: Design, task: Task, arm: Arm) -> list[Endpoint]:
    """The secondary endpoints of an arm in a task."""
    values: dict[str, Any] = {"role": "secondary", "task": task, "arm": arm.name, "alpha": design.options.alpha}
    found = []
    if task in ("choice", "same"):
        against = "identical" if _shown(design, task, "identical") else ""
        found.append(Endpoint(name=f"detection, {task}, {arm.name}", measure="detection", against=against, **values))
    elif arm.kind != "original":
        against = "original" if _shown(design, task, "original") else ""
        if task == "manipulation":
            found.append(Endpoint(name=f"rating, {arm.name}", measure="rating", against=against, **values))
        elif arm != design.largest:
            name = f"true positives, {arm.name}"
            found.append(Endpoint(name=name, measure="true-positives", against=against, **values))
    if design.options.copies > 1 and task == "diagnosis":
        found.append(Endpoint(name=f"agreement, {arm.name}", measure="agreement", **values))
    return found


def _shown(design: Design, task: Task, *names: str) -> bool:
    there = {arm.name for arm in design.arms if task in design.options.tasks and arm.shown_in(task)}
    return set(names) <= there


def minutes(trials: Sequence[Trial]) -> float:
    """Minutes that one reader needs, by ``SECONDS``, without breaks."""
    return sum(SECONDS[trial.task] for trial in trials) / 60


def words(design: Design, protocol: Protocol) -> list[str]:
    """What the study asks of a reader, and what its size can show, as lines for a terminal."""
    trials, rules = protocol.trials(), protocol.rules
    parts = [f"{len(list(group))} {task}" for task, group in itertools.groupby(trials, key=lambda trial: trial.task)]
    sittings = "1 session" if rules.sessions == 1 else f"{rules.sessions} sessions"
    if rules.sessions > 1:
        days = protocol.washout_days
        sittings += f", {days:g} days or more between them" if days else ", no wash-out between them (--washout-days)"
    found = [
        f"{len(trials)} trials for each reader ({', '.join(parts)}): about {minutes(trials):.0f} minutes, {sittings}",
        f"{len(protocol.cases)} cases; {_apart(rules.distance - 1)}",
    ]
    if "diagnosis" in protocol.tasks[1:]:
        found.append("diagnoses come after tasks that tell readers of changed images: name diagnosis first in --task")
    tested = [item for item in make_endpoints(design) if item.margin is not None and item.measure == "true-positives"]
    return found + ([_reach(protocol, tested[0].margin or 0.0, tested[0].alpha)] if tested else [])


def _apart(others: int) -> str:
    if not others:
        return "one may be shown twice in a row"
    return f"between two showings of one at least {others} {'trial' if others == 1 else 'trials'} of others"


def _reach(protocol: Protocol, margin: float, alpha: float) -> str:
    """What the positive cases, the only ones whose true positives count, leave possible where nothing is lost."""
    pairs = sum(case.truth == protocol.positive for case in protocol.cases)
    if not pairs:
        return f"no case of class {protocol.positive}: true positives cannot be counted"
    bounds = [score_upper(0, 0, pairs, alpha=alpha)]
    positives = positives_of(protocol)
    of = ""
    if positives is not None and positives.patients:
        bounds.append(positives.left_possible(alpha))
        of = f" of {positives.patients} patients"
    able = "on both sides of the margin of"
    if max(bounds) < margin or min(bounds) >= margin:
        less = max(bounds) < margin
        able = "below the margin of" if less else "more than the margin, so that one reader cannot show"
    left = " to ".join(f"{100 * bound:.1f}" for bound in bounds)
    text = f"{pairs} pairs of class {protocol.positive}{of}, one reader: even if nothing is lost, {left} points"
    return f"{text} of loss stay possible, {able} {100 * margin:g} points (percuss study plan)"


def _check_tasks(data: DataRecord, tasks: Sequence[Task]) -> None:
    if not tasks:
        raise UsageError("a study without a task", next_step="give --task diagnosis,choice,same")
    if "diagnosis" not in tasks or data.task == "classify":
        return
    ways = {"multilabel": "audit one label with --label, or ask for detection alone: --task choice,same"}
    raise UsageError(
        "a diagnosis needs one class per image",
        value=data.task,
        allowed="choice, same, manipulation",
        next_step=ways.get(data.task, "ask whether readers see the change: --task choice,same"),
    )


def _positive(data: DataRecord, options: StudyOptions) -> str:
    if options.positive is None:
        return data.classes[-1]
    if options.positive not in data.classes:
        raise UsageError(
            "there is no such class",
            value=options.positive,
            allowed=nearest(options.positive, data.classes),
            next_step="give a class of the run with --positive",
        )
    return options.positive


def _sizes(found: Finished, options: StudyOptions, preset: str) -> list[Budget]:
    """The sizes asked for; else the largest of the run's first norm, or some from small to large."""
    data, asked = found.results.data, options.sizes()
    pixels, shape = native_range(data), tuple(data.shape)
    if asked:
        if preset == "foote" and len(asked) > 1:
            raise UsageError(
                "the preset foote has one size",
                value=", ".join(map(str, asked)),
                next_step="give one --budget, or --preset default",
            )
        return asked
    texts = list(dict.fromkeys(str(text) for text in found.rows["budget"]))
    tried = [parse_budget(text) for text in texts]
    own = sorted((item for item in tried if item.norm == tried[0].norm), key=lambda item: item.eps(shape, pixels))
    own = [item for item in own if _storable(item, pixels, shape)] or own[-1:]
    if preset == "foote" or len(own) <= SIZES:
        return own[-1:] if preset == "foote" else own
    return [own[place * (len(own) - 1) // (SIZES - 1)] for place in range(SIZES)]


def _usual_arms(sizes: Sequence[Budget], options: StudyOptions) -> tuple[Arm, ...]:
    """Arms of these sizes, each in the tasks that need it.

    A diagnosis is asked of the original, of the largest size and of noise of that size; whether it is seen, of all.
    """
    later = tuple(task for task in options.tasks if task != "diagnosis")
    texts, original = [str(size) for size in sizes], Arm(kind="original")
    if not later:
        return (original, *(Arm(kind="adversarial", size=text) for text in texts))
    small = () if "diagnosis" not in options.tasks else later
    attacks = [Arm(kind="adversarial", size=text, tasks=small if text != texts[-1] else ()) for text in texts]
    arms = [original, *attacks, Arm(kind="noise", size=texts[-1])]
    if "same" in options.tasks:
        arms.append(Arm(kind="identical"))
    return (*arms, Arm(kind="visible", size=options.visible, tasks=later))


def _storable(budget: Budget, pixels: PixelRange, shape: tuple[int, ...]) -> bool:
    """Whether a file of the native depth can hold any change within the size."""
    return budget.norm is Norm.L0 or budget.eps(shape, pixels) * pixels.levels >= 1 - 1e-6


def _check_storable(budget: Budget, pixels: PixelRange, shape: tuple[int, ...]) -> None:
    if not _storable(budget, pixels, shape):
        raise UsageError(
            "no file can hold a change of this size",
            value=budget.text,
            allowed=f"one of {pixels.levels} levels or more",
            next_step="give a larger --budget",
        )
