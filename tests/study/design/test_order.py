"""Orders of readers: every trial once, copies apart, balanced over readers, and refusals that say what could be."""

from collections import Counter, defaultdict
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from percuss.core.errors import UsageError
from percuss.study.design.order import Order, OrderRules, Place, check_order, draw_order, square
from percuss.study.design.trials import Arm, Case, build_trials

ORIGINAL, ATTACK = Arm(kind="original"), Arm(kind="adversarial", size="linf=2/255")
NOISE, IDENTICAL = Arm(kind="noise", size="linf=2/255"), Arm(kind="identical")
VISIBLE = Arm(kind="visible", size="linf=64/255")
ALL = (ORIGINAL, ATTACK, NOISE, IDENTICAL, VISIBLE)


def sha(*keys):
    return "".join(f"{ord(letter):02x}" for letter in "|".join(keys)).zfill(64)[-64:]


def cases(count, arms=ALL):
    names = [arm.name for arm in arms if arm.kind != "identical"]
    short = {name: str(number) for number, name in enumerate(names)}
    return [
        Case(id=f"c{n}", truth="tumour", images={name: sha(f"c{n}", short[name]) for name in names})
        for n in range(count)
    ]


def trials_of(count, arms=(ORIGINAL, ATTACK), tasks=("diagnosis",), copies=1):
    return build_trials(cases(count), arms, tasks, copies=copies)


DESIGNS = st.fixed_dictionaries(
    {
        "arms": st.sampled_from([ALL[:1], ALL[:2], ALL[:3], ALL]),
        "tasks": st.sampled_from([("diagnosis",), ("diagnosis", "manipulation")]),
        "copies": st.integers(1, 3),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 25), DESIGNS, st.integers(0, 2**63 - 1), st.integers(0, 40), st.data())
def test_every_trial_once_apart_and_in_its_session(count, design, seed, index, data):
    trials = trials_of(count, **design)
    rounds = len(trials) // count
    sessions = data.draw(st.integers(1, len(trials)))
    together = data.draw(st.integers(-(-rounds // sessions), rounds)) if sessions < rounds else 1
    rules = OrderRules(distance=data.draw(st.integers(1, count)), sessions=sessions, together=together)
    order = draw_order(trials, rules, seed=seed, reader=f"r{index}", index=index)
    assert sorted(place.trial for place in order.places) == sorted(trial.key for trial in trials)
    spots = defaultdict(list)
    for at, place in enumerate(order.places):
        spots[place.trial.rpartition("|")[2]].append((at, place.session))
    for seen in spots.values():
        assert all(later[0] - earlier[0] >= rules.distance for earlier, later in pairwise(seen))
        if sessions > 1:
            assert max(Counter(session for _, session in seen).values()) <= together
    check_order(order, trials)
    assert draw_order(trials, rules, seed=seed, reader=f"r{index}", index=index) == order
    assert Order.model_validate_json(order.model_dump_json()) == order


def ranks(order):
    """For each case, its arms in the order they came."""
    seen = defaultdict(list)
    for place in order.places:
        _, _, arm, case = place.trial.split("|")
        seen[case].append(arm)
    return seen


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(4, 24), st.integers(0, 2**31), st.integers(0, 9))
def test_arms_are_balanced_over_readers_and_cases(size, count, seed, start):
    arms = (ORIGINAL, *(Arm(kind="adversarial", size=f"linf={n}/255") for n in range(1, size)))
    rows = len(square(size))
    trials = build_trials(cases(count, arms), arms, ("diagnosis",))
    orders = [
        ranks(draw_order(trials, OrderRules(distance=2), seed=seed, reader=f"r{i}", index=i))
        for i in range(start, start + rows)
    ]
    for case in orders[0]:
        for place in range(size):
            assert set(Counter(order[case][place] for order in orders).values()) == {rows // size}
        follow = Counter(pair for order in orders for pair in pairwise(order[case]))
        assert len(follow) == size * (size - 1) and len(set(follow.values())) == 1
    for order in orders:
        used = Counter(tuple(seen) for seen in order.values())
        assert max(used.values()) - (min(used.values()) if len(used) == rows else 0) <= 1


@pytest.mark.parametrize("size", range(1, 10))
def test_the_square_is_williams(size):
    rows = square(size)
    assert len(rows) == (size if size % 2 == 0 or size == 1 else 2 * size)
    assert all(sorted(row) == list(range(size)) for row in rows)
    assert all(set(Counter(column).values()) == {len(rows) // size} for column in zip(*rows, strict=True))
    follow = Counter(pair for row in rows for pair in pairwise(row))
    assert set(follow.values()) <= {len(rows) // size} and len(follow) == size * (size - 1)


def test_four_treatments_give_the_square_of_the_textbooks():
    assert square(4) == [[0, 1, 3, 2], [1, 2, 0, 3], [2, 3, 1, 0], [3, 0, 2, 1]]


def test_sides_are_balanced_and_alternate_with_readers():
    trials = trials_of(12, ALL, ("choice", "same"), copies=2)
    first, second = (
        draw_order(trials, OrderRules(distance=6), seed=3, reader=f"r{i}", index=i).places for i in range(2)
    )
    sides = [{place.trial: place.side for place in places} for places in (first, second)]
    assert all({sides[0][key], sides[1][key]} == {"left", "right"} for key in sides[0])
    groups = Counter((key.rpartition("|")[0], side) for key, side in sides[0].items())
    assert set(groups.values()) == {6}
    assert len({tuple(place.side for place in places) for places in (first, second)}) == 2


def test_rounds_that_keep_the_distance_are_equally_likely():
    trials = trials_of(4)
    drawn = Counter()
    for seed in range(3000):
        keys = [p.trial for p in draw_order(trials, OrderRules(distance=3), seed=seed, reader="r", index=0).places]
        names = [key.rpartition("|")[2] for key in keys]
        drawn[tuple(names[:4].index(name) for name in names[4:])] += 1
    allowed = [p for p in permutations(range(4)) if all(4 - p[q] + q >= 3 for q in range(4))]
    assert set(drawn) == set(allowed)
    expected = 3000 / len(allowed)
    # Chi-squared with 7 degrees of freedom: 24.3 is passed once in a thousand.
    assert sum((count - expected) ** 2 / expected for count in drawn.values()) < 24.3


def test_readers_and_seeds_differ_and_tasks_follow_each_other():
    trials = trials_of(10, ALL, ("diagnosis", "same"), copies=2)
    orders = {
        draw_order(trials, OrderRules(distance=5), seed=seed, reader=name, index=0).places
        for seed in range(3)
        for name in "ABC"
    }
    assert len(orders) == 9
    for places in orders:
        steps = [tuple(place.trial.split("|")[:2]) for place in places]
        assert list(dict.fromkeys(steps)) == [("diagnosis", "1"), ("diagnosis", "2"), ("same", "1"), ("same", "2")]
        assert steps == sorted(steps)


def test_foote_in_two_sessions():
    trials = trials_of(20, copies=2)
    order = draw_order(trials, OrderRules(distance=10, sessions=2, together=2), seed=1, reader="A", index=0)
    sets = {(place.session, place.trial.split("|")[1]) for place in order.places}
    assert len(order.places) == 80 and sets == {(1, "1"), (2, "2")}
    firsts = Counter(seen[0] for seen in ranks(order).values())
    assert firsts == {"original": 10, "adversarial linf=2/255": 10}


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"distance": 6}, r"6 places with 5 cases\. Allowed: 1 to 5.*at least 6 cases"),
        ({"distance": 2, "sessions": 3}, r"4 trials of each case, 3 sessions.*4 sessions or more, or together=2"),
        ({"distance": 2, "sessions": 21}, r"more sessions than trials: 21\. Allowed: 1 to 20"),
    ],
)
def test_rules_that_cannot_be_kept_say_what_could(rules, text):
    with pytest.raises(UsageError, match=text):
        draw_order(trials_of(5, copies=2), OrderRules(**rules), seed=1, reader="A", index=0)


def test_trials_that_are_not_every_case_in_each_arm():
    trials = trials_of(5)
    for wrong in (trials[1:], (*trials, trials[0])):
        with pytest.raises(UsageError, match="every case once in each arm"):
            draw_order(wrong, OrderRules(distance=2), seed=1, reader="A", index=0)
    with pytest.raises(UsageError, match="no trials"):
        draw_order((), OrderRules(distance=2), seed=1, reader="A", index=0)


def test_a_stored_order_that_was_touched_is_refused():
    trials = trials_of(6, (ORIGINAL, ATTACK, VISIBLE), copies=1)
    order = draw_order(trials, OrderRules(distance=6, sessions=3), seed=1, reader="A", index=0)
    places = list(order.places)
    check_order(order, trials)

    def refused(changed, text):
        with pytest.raises(UsageError, match=text):
            check_order(order.model_copy(update={"places": tuple(changed)}), trials)

    refused(places[1:], "every trial once")
    refused([*places[:-1], places[0]], "every trial once")
    refused([places[1], places[0], *places[2:]], "fewer than 6 places")
    refused([*places[:-1], Place(trial=places[-1].trial, session=1)], "one by one")
    refused([*places[:-1], Place(trial=places[-1].trial, session=3, side="left")], "no side")
    moved = [*places[:5], Place(trial=places[5].trial, session=2), *places[6:]]
    refused(moved, "more than 1 times")


def test_a_task_that_begins_a_session_is_not_divided_from_its_start():
    arms = (ORIGINAL, ATTACK, IDENTICAL)
    trials = trials_of(6, arms, ("diagnosis", "choice", "same"))
    task = {trial.key: trial.task for trial in trials}
    for sessions in (2, 3, 4):
        rules = OrderRules(distance=3, sessions=sessions, together=3, begin=("choice",))
        order = draw_order(trials, rules, seed=1, reader="a", index=0)
        check_order(order, trials)
        held = {n: {task[p.trial] for p in order.places if p.session == n} for n in range(1, sessions + 1)}
        first = min(n for n, tasks in held.items() if "choice" in tasks)
        assert all((tasks == {"diagnosis"}) == (n < first) for n, tasks in held.items())
    with pytest.raises(UsageError, match="fewer sessions than tasks that begin one: 1. Allowed: 2 or more"):
        draw_order(trials, OrderRules(distance=3, begin=("choice",)), seed=1, reader="a", index=0)
    with pytest.raises(UsageError, match="a task that is not asked cannot begin a session: manipulation"):
        draw_order(trials, OrderRules(distance=3, sessions=2, begin=("manipulation",)), seed=1, reader="a", index=0)
