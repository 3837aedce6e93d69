"""In which order a reader sees the trials of a study: balanced over readers, copies of a case kept apart, reproducible.

The trials of a task and copy are a reading. A reading has as many rounds as it has arms, and each round shows every
case once. Which arm of a case comes in which round follows a row of a Latin square that is balanced for what comes
before (E. J. Williams, Aust. J. Sci. Res. A 2 (1949) 149-168); a case moves one row on with every reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from percuss.core.errors import UsageError
from percuss.core.seeds import seed_of
from percuss.study.design.trials import PAIRS, Task, Trial


class OrderRules(BaseModel):
    """What every reader's order keeps.

    Attributes:
        distance: two trials of one case lie at least so many places apart, counted over all sessions; 1 asks nothing.
        sessions: number of sittings.
        together: with several sessions, the most trials of one case in a session.
        begin: tasks whose first trial begins another session, whatever else is divided: what tells readers that images
            may be changed belongs behind the wash-out of what must not know it. ``sessions`` counts these too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    distance: int = Field(ge=1)
    sessions: int = Field(default=1, ge=1)
    together: int = Field(default=1, ge=1)
    begin: tuple[Task, ...] = ()


class Place(BaseModel):
    """One trial in its place: key, session from 1, and the side of the arm's image where two are shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    trial: str
    session: int = Field(ge=1)
    side: Literal["", "left", "right"] = ""


class Order(BaseModel):
    """The whole order of one reader, to be stored as it is: nobody needs to draw it again.

    Attributes:
        seed: the study's.
        reader: id of the reader.
        index: which reader this is, from 0, in the order of enrolment; balance is over successive indices.
        rules: what the order keeps.
        places: every trial of the study once, first to last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    seed: int
    reader: str = Field(min_length=1)
    index: int = Field(ge=0)
    rules: OrderRules
    places: tuple[Place, ...]


def draw_order(trials: Sequence[Trial], rules: OrderRules, *, seed: int, reader: str, index: int) -> Order:
    """The order of one reader, the same for the same arguments. Store it: a later numpy may draw otherwise.

    In a round, every order of the cases that keeps the distance to the round before is equally likely. As many
    successive readers as the square has rows see each case in each row once; sides of a case alternate from reader to
    reader. Within a reader rows and sides are balanced over cases to within one.

    Args:
        trials: every trial of the study, from ``build_trials``.
        rules: what to keep.
        seed: the study's seed.
        reader: id of the reader.
        index: which reader this is, from 0.

    Raises:
        UsageError: the trials are not every case in every arm, or the rules cannot be kept; says what could.
    """
    check_rules(trials, rules)
    rounds_of = _readings(trials)
    cases = list(dict.fromkeys(trial.case for trial in trials))
    by_key = {trial.key: trial for trial in trials}
    offsets = _shuffled(cases, seed_of(seed, "study rows"))
    generator = np.random.default_rng(seed_of(seed, reader, "study order"))
    sequence: list[Trial] = []
    last: list[str] | None = None
    for number, ((task, copy), arms) in enumerate(rounds_of.items()):
        rows = square(len(arms))
        for turn in range(len(arms)):
            last = _round(cases, last, len(cases) - rules.distance, generator)
            for case in last:
                arm = arms[rows[(offsets[case] + index + number) % len(rows)][turn]]
                sequence.append(by_key[f"{task}|{copy}|{arm}|{case}"])
    sessions = _sessions(len(cases), _parts(rounds_of, rules.begin), rules.sessions)
    sides = _sides(trials, cases, seed)
    places = tuple(
        Place(trial=trial.key, session=session, side=_side(sides.get(trial.key), index))
        for trial, session in zip(sequence, sessions, strict=True)
    )
    return Order(seed=seed, reader=reader, index=index, rules=rules, places=places)


def square(size: int) -> list[list[int]]:
    """Rows of 0 to ``size`` - 1, each number once in every row and equally often in every column.

    Each ordered pair of neighbours is equally often there too. ``size`` rows where it is even or 1, else twice as many.
    """
    first = [(place + 1) // 2 if place % 2 else (size - place // 2) % size for place in range(size)]
    rows = [[(value + step) % size for value in first] for step in range(size)]
    return rows if size % 2 == 0 or size == 1 else rows + [row[::-1] for row in rows]


def check_order(order: Order, trials: Sequence[Trial]) -> None:
    """Look at a stored order again; UsageError where a trial is missing or twice, or a rule is not kept."""
    by_key = {trial.key: trial for trial in trials}
    if sorted(place.trial for place in order.places) != sorted(by_key):
        raise _broken(order, "does not hold every trial once")
    numbers = [place.session for place in order.places]
    if numbers != sorted(numbers) or set(numbers) != set(range(1, order.rules.sessions + 1)):
        raise _broken(order, "does not go through its sessions one by one")
    seen: dict[str, int] = {}
    held: dict[tuple[str, int], int] = {}
    for at, place in enumerate(order.places):
        trial = by_key[place.trial]
        if at - seen.get(trial.case, -len(by_key)) < order.rules.distance:
            raise _broken(order, f"shows case {trial.case} again after fewer than {order.rules.distance} places")
        if (trial.task in PAIRS) != bool(place.side):
            raise _broken(order, f"has no side for a pair, or one for a single image, at place {at + 1}")
        seen[trial.case] = at
        key = (trial.case, place.session)
        held[key] = held.get(key, 0) + 1
    if order.rules.sessions > 1 and max(held.values()) > order.rules.together:
        raise _broken(order, f"shows a case more than {order.rules.together} times in a session")


def _broken(order: Order, how: str) -> UsageError:
    return UsageError(
        f"the order of reader {order.reader} {how}", next_step="do not read by it; restore the study from its copy"
    )


def _readings(trials: Sequence[Trial]) -> dict[tuple[Task, int], list[str]]:
    """The arms of each reading, in the order of the trials; UsageError unless each case is in each once."""
    found: dict[tuple[Task, int], dict[str, list[str]]] = {}
    for trial in trials:
        found.setdefault((trial.task, trial.copy_number), {}).setdefault(trial.arm, []).append(trial.case)
    cases = sorted({trial.case for trial in trials})
    for (task, copy), arms in found.items():
        for arm, shown in arms.items():
            if sorted(shown) != cases:
                raise UsageError(
                    "an order needs every case once in each arm",
                    value=f"{task}, copy {copy}, {arm}: {len(shown)} trials for {len(cases)} cases",
                    next_step="build the trials with build_trials",
                )
    if not found:
        raise UsageError("an order of no trials", next_step="build the trials with build_trials")
    return {reading: list(arms) for reading, arms in found.items()}


def check_rules(trials: Sequence[Trial], rules: OrderRules) -> None:
    """UsageError where no order of these trials keeps the rules, saying what could; draws nothing."""
    parts = _parts(_readings(trials), rules.begin)
    rounds = sum(parts)
    cases = len(trials) // rounds
    # Among ``distance`` successive trials no case may come twice: more than there are cases cannot be kept, and
    # rounds that repeat one order of the cases keep exactly their number.
    if rounds > 1 and rules.distance > cases:
        raise UsageError(
            "the distance between copies of a case cannot be kept",
            value=f"{rules.distance} places with {cases} cases",
            allowed=f"1 to {cases}; half of it, {max(1, cases // 2)}, leaves the order hard to guess",
            next_step=f"ask for at most {cases}, or take at least {rules.distance} cases",
        )
    if rules.sessions > cases * rounds:
        raise UsageError(
            "more sessions than trials",
            value=rules.sessions,
            allowed=f"1 to {cases * rounds}",
            next_step="ask for fewer",
        )
    if rules.sessions < len(parts):
        raise UsageError(
            "fewer sessions than tasks that begin one",
            value=rules.sessions,
            allowed=f"{len(parts)} or more",
            next_step=f"plan {len(parts)} sessions, or let fewer tasks begin one",
        )
    needed = sum(-(-part // rules.together) for part in parts)
    fits = _fullest(parts, rules.sessions)
    if rules.sessions > 1 and fits > rules.together:
        raise UsageError(
            "the copies of a case do not fit into different sessions",
            value=f"{rounds} trials of each case, {rules.sessions} sessions, at most {rules.together} in one",
            allowed=f"{needed} sessions or more, or together={fits} or more, or one session",
            next_step=f"plan {needed} sessions, drop arms or copies, or let {fits} trials of a case share a session",
        )


def least_together(trials: Sequence[Trial], rules: OrderRules) -> int:
    """The smallest ``together`` that the other rules can keep; UsageError where they can keep none."""
    parts = _parts(_readings(trials), rules.begin)
    check_rules(trials, rules.model_copy(update={"together": sum(parts)}))
    return _fullest(parts, rules.sessions)


def _fullest(parts: Sequence[int], sessions: int) -> int:
    """The most rounds that a session has."""
    return max(-(-part // count) for part, count in zip(parts, _shares(parts, sessions), strict=True))


def _round(cases: list[str], last: list[str] | None, slack: int, generator: np.random.Generator) -> list[str]:
    """All cases once, none more than ``slack`` places earlier than in the round before.

    Place by place one of those whose turn may come is drawn. At place q there are min(cases, q + slack + 1) - q of
    them whatever was drawn before, so there is always one, and all orders that keep the distance are equally likely.
    """
    waiting = list(last or cases)
    ready: list[str] = []
    drawn: list[str] = []
    for _ in cases:
        while waiting and (last is None or len(cases) - len(waiting) <= len(drawn) + slack):
            ready.append(waiting.pop(0))
        drawn.append(ready.pop(int(generator.integers(len(ready)))))
    return drawn


def _parts(readings: dict[tuple[Task, int], list[str]], begin: Sequence[Task]) -> list[int]:
    """Rounds of each part: a new one begins with the first reading of each task in ``begin``."""
    found, left = [0], set(begin)
    for (task, _), arms in readings.items():
        if task in left and found != [0]:
            found.append(0)
        left.discard(task)
        found[-1] += len(arms)
    if left:
        raise UsageError(
            "a task that is not asked cannot begin a session", value=", ".join(sorted(left)), next_step="leave it out"
        )
    return found


def _shares(parts: Sequence[int], sessions: int) -> list[int]:
    """Sessions of each part: one, then one more where most rounds share one."""
    found = [1] * len(parts)
    for _ in range(sessions - len(parts)):
        fullest = max(range(len(parts)), key=lambda part: parts[part] / found[part])
        found[fullest] += 1
    return found


def _sessions(cases: int, parts: Sequence[int], sessions: int) -> list[int]:
    """The session of each place: whole rounds in each, or where a part has more sessions than rounds, parts of one."""
    found: list[int] = []
    for rounds, count in zip(parts, _shares(parts, sessions), strict=True):
        before = found[-1] if found else 0
        found += [before + number for number in _within(cases, rounds, count)]
    return found


def _within(cases: int, rounds: int, sessions: int) -> list[int]:
    if sessions <= rounds:
        return [1 + turn * sessions // rounds for turn in range(rounds) for _ in range(cases)]
    places = np.array_split(np.arange(cases * rounds), rounds)
    counts = [len(part) for part in np.array_split(np.arange(sessions), rounds)]
    parts = [part for block, count in zip(places, counts, strict=True) for part in np.array_split(block, count)]
    return [number for number, part in enumerate(parts, start=1) for _ in part]


def _shuffled(cases: Sequence[str], seed: int) -> dict[str, int]:
    """A random rank for each case: the same for every reader of a study."""
    drawn = np.random.default_rng(seed).permutation(len(cases))
    return {case: int(rank) for case, rank in zip(cases, drawn, strict=True)}


def _sides(trials: Sequence[Trial], cases: Sequence[str], seed: int) -> dict[str, int]:
    """A rank for each trial that shows two images, random over the cases of its task, copy and arm."""
    shown = {(trial.task, trial.copy_number, trial.arm) for trial in trials if trial.task in PAIRS}
    ranks = {key: _shuffled(cases, seed_of(seed, "study sides", *key)) for key in shown}
    keys = ((trial, (trial.task, trial.copy_number, trial.arm)) for trial in trials)
    return {trial.key: ranks[key][trial.case] for trial, key in keys if key in ranks}


def _side(rank: int | None, index: int) -> Literal["", "left", "right"]:
    if rank is None:
        return ""
    return "left" if (rank + index) % 2 else "right"
