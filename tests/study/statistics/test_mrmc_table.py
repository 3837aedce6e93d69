"""The table of readings: order, truth and everything it refuses."""

from __future__ import annotations

import pandas as pd
import pytest

from percuss.core.errors import DataError
from percuss.study.statistics.mrmc_table import Readings


def table() -> pd.DataFrame:
    rows = [
        (reader, case, arm, place + 10 * (reader == "B") + 100 * (arm == "after"), case == "y")
        for place, case in enumerate(("x", "y", "z"))
        for reader in ("A", "B")
        for arm in ("before", "after")
    ]
    return pd.DataFrame(rows, columns=["reader", "case", "arm", "score", "truth"])


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_scores_stand_where_their_names_say(seed: int | None) -> None:
    rows = table() if seed is None else table().sample(frac=1, random_state=seed)
    found = Readings.of(rows)
    assert found.truth is not None
    for _, row in rows.iterrows():
        at = found.arms.index(row["arm"]), found.readers.index(row["reader"]), found.cases.index(row["case"])
        assert found.scores[at] == row["score"]
        assert found.truth[at[2]] == row["truth"]
    assert found.of_arm("after").shape == (2, 3)


def test_numbers_may_be_names_and_truth_may_be_unknown() -> None:
    found = Readings.of(table().assign(case=[i // 4 for i in range(12)]).drop(columns="truth"))
    assert found.cases == ("0", "1", "2") and found.truth is None


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (table().drop(columns=["arm", "score"]), "lacks columns: arm, score"),
        (table().head(0), "is empty"),
        (table().assign(score="?"), r"no finite number: \? in row 0"),
        (table().assign(score=float("inf")), "no finite number: inf"),
        (table().assign(score=pd.array([None, *range(11)], dtype="Int64")), "no finite number: <NA> in row 0"),
        (table().assign(truth=pd.array([None, *[1] * 11], dtype="Int64")), "neither 0 nor 1: <NA> in row 0"),
        (table().assign(reader=None), "lacks its reader, case or arm: row 0"),
        (table().drop(index=3), "not fully crossed: reader B, case x, arm after: 0 scores"),
        (pd.concat([table(), table().tail(1)]), "not fully crossed: reader B, case z, arm after: 2 scores"),
        (table().assign(truth=2), "neither 0 nor 1: 2 in row 0"),
        (table().assign(truth=[1] + [0] * 11), "a case has two truths: x"),
    ],
)
def test_a_table_that_says_less_or_more_is_refused(spoilt: pd.DataFrame, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Readings.of(spoilt)
