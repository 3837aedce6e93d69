"""Splits and folds: groups whole, classes in their shares, the same for any order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.splits import check_entries, choose, make_splits, split_name, stratified_group_folds, with_splits

THIRDS = {"train": 0.6, "val": 0.2, "test": 0.2}


def cases(count, classes=2, per_group=None):
    return [
        Entry(f"i{n}", n % classes, group=None if per_group is None else f"p{n // per_group}") for n in range(count)
    ]


def shares(entries, name):
    return sum(e.split == name for e in entries) / len(entries)


def test_shares_and_classes_without_groups():
    got = make_splits(cases(200, 4), THIRDS, seed=3)
    for name, share in THIRDS.items():
        part = [e.target for e in got if e.split == name]
        assert len(part) == pytest.approx(200 * share, abs=2)
        for target in range(4):
            assert part.count(target) == pytest.approx(50 * share, abs=2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=60), st.integers(0, 99))
def test_groups_are_never_divided_and_order_does_not_matter(pairs, seed):
    entries = [Entry(f"i{n}", target, group=f"p{group}") for n, (target, group) in enumerate(pairs)]
    got = make_splits(entries, THIRDS, seed=seed)
    check_entries(got)
    assert [e.id for e in got] == [e.id for e in entries]
    assert {e.id: e.split for e in got} == {e.id: e.split for e in make_splits(entries[::-1], THIRDS, seed=seed)}


def test_grouped_shares_and_seeds():
    entries = cases(400, 2, per_group=4)
    got = make_splits(entries, THIRDS, seed=0)
    assert shares(got, "test") == pytest.approx(0.2, abs=0.02)
    assert got == make_splits(entries, THIRDS, seed=0) != make_splits(entries, THIRDS, seed=1)


def test_multilabel_targets_are_spread_by_label():
    entries = [Entry(f"i{n}", (n % 2, int(n % 5 == 0), 0)) for n in range(100)]
    got = make_splits(entries, {"train": 0.5, "test": 0.5})
    assert sum(e.target[1] for e in got if e.split == "test") == pytest.approx(10, abs=1)


def test_options():
    entries = cases(50)
    assert with_splits(entries, {}) == entries
    assert {e.split for e in with_splits(entries, {"split": "0.5,0.5", "seed": "1"})} == {"train", "test"}
    with pytest.raises(DataError, match="seed has no use without split"):
        with_splits(entries, {"seed": "1"})
    with pytest.raises(DataError, match="the set declares splits already: train"):
        with_splits([Entry("a", 0, "train")], {"split": "0.5,0.5"})


@pytest.mark.parametrize("text", ["1", "0.5,0.6", "0.5,-0.5,1", "a,b", "", "0.2,0.2,0.2,0.4", "nan,0.5"])
def test_fractions_that_make_no_sense(text):
    with pytest.raises(DataError, match="the split fractions make no sense"):
        with_splits(cases(4), {"split": text})


def test_choosing():
    entries = [Entry("a", 0, "train"), Entry("b", 1, "val"), Entry("c", 1, "train")]
    assert [e.id for e in choose(entries, "train")] == ["a", "c"]
    assert [e.id for e in choose(entries, "Validation")] == ["b"]
    assert [e.id for e in choose(entries, ids=["c", "a"])] == ["a", "c"]
    with pytest.raises(DataError, match=r"no split test: it has train, val\. Next: name one"):
        choose(entries, "test")
    with pytest.raises(DataError, match=r"no split test: it has no splits\. Next: make splits with \?split="):
        choose([Entry("a", 0)], "test")
    with pytest.raises(DataError, match="no such image in the set: d. Allowed: "):
        choose(entries, ids=["d"])


def test_a_divided_group_and_a_repeated_id_are_named():
    with pytest.raises(DataError, match="a group stands in the splits train and test: p7"):
        check_entries([Entry("a", 0, "train", "p7"), Entry("b", 0, "test", "p7")])
    with pytest.raises(DataError, match="listed 2 times: a"):
        check_entries([Entry("a", 0), Entry("a", 0)])


@pytest.mark.parametrize(
    ("text", "name"), [("Valid", "val"), ("TRAIN", "train"), ("testing", "test"), ("Site-B", "Site-B")]
)
def test_split_names(text, name):
    assert split_name(text) == name


def test_folds_hold_every_case_once_a_repeat_with_whole_groups():
    entries = cases(120, 3, per_group=4)
    home = {e.id: e.group for e in entries}
    target = {e.id: e.target for e in entries}
    got = stratified_group_folds(entries, 4, 2, seed=1)
    assert [(f.repeat, f.fold) for f in got] == [(r, f) for r in range(2) for f in range(4)]
    for repeat in range(2):
        held = [name for f in got if f.repeat == repeat for name in f.validate]
        assert sorted(held) == sorted(home)
    for fold in got:
        assert set(fold.train) | set(fold.validate) == set(home)
        assert not {home[n] for n in fold.train} & {home[n] for n in fold.validate}
        assert len({target[n] for n in fold.validate}) == 3
    assert got == stratified_group_folds(entries, 4, 2, seed=1)
    assert got[0].validate != got[4].validate
    assert got != stratified_group_folds(entries, 4, 2, seed=2)


def test_folds_of_a_multilabel_set_with_rare_combinations():
    entries = [Entry(f"i{n}", (n % 2, int(n == 3), int(n == 8))) for n in range(40)]
    held = [name for fold in stratified_group_folds(entries, 4) for name in fold.validate]
    assert sorted(held) == sorted(e.id for e in entries)


def test_too_few_groups_for_the_folds():
    with pytest.raises(DataError, match="class 1 has too few groups for 3 folds: 2"):
        stratified_group_folds([*cases(20, 1), Entry("x", 1), Entry("y", 1)], 3)
    with pytest.raises(DataError, match="all classes has too few groups"):
        stratified_group_folds(cases(20, 2, per_group=10), 3)
    with pytest.raises(DataError, match="at least 2 folds"):
        stratified_group_folds(cases(20), 1)
