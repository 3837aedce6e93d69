"""Look-ups in the rows: the smallest flipping size, controls left out, wrong images kept apart."""

from __future__ import annotations

import math
from pathlib import Path

from fake_run import Fake, build

from percuss.report import rows as outcome_rows
from percuss.report.schema import read_results


def test_table_has_one_line_per_image_and_norm_with_the_plain_minimum(tmp_path: Path) -> None:
    fake = Fake(n=40, budgets=("linf=0.5/255", "linf=1/255", "linf=8/255", "l2=0.1", "none"), images=False)
    folder = build(tmp_path / "run", fake)
    rows, clean = outcome_rows.load(folder)
    lines = outcome_rows.table(rows, clean, read_results(folder / "results.json").data)
    assert len(lines) == 40 * 3
    for line in lines:
        mine = rows[(rows["id"] == line[0]) & (rows["norm"] == line[1]) & rows["success"] & (rows["attack"] != "noise")]
        assert (line[5] is None) == mine.empty
        if not mine.empty and math.isfinite(mine["eps"].min()):
            assert math.isclose(line[5], mine["eps"].min(), rel_tol=1e-5)
        right = clean.loc[clean["id"] == line[0], "correct"].item()
        assert (line[4] == "wrong") == (not right)


def test_noise_is_no_attack(tmp_path: Path) -> None:
    folder = build(tmp_path / "run", Fake(n=20, attacks=("noise",), hardness=0.001, images=False))
    rows, clean = outcome_rows.load(folder)
    assert rows["success"].any()
    assert all(math.isinf(size) for size in outcome_rows.flip_sizes(rows, clean, "linf", stored=False))


def test_no_image_is_shown_twice_and_the_worst_comes_first(tmp_path: Path) -> None:
    rows, _ = outcome_rows.load(build(tmp_path / "run", Fake(side=16)))
    shown = outcome_rows.choose(rows, "linf", "run")
    ids = [item.row["id"] for item in shown]
    assert len(ids) == len(set(ids)) <= 24
    worst = [item.row["eps"] for item in shown if item.why == "worst"]
    assert worst == sorted(worst)
    assert max(worst) <= min(item.row["eps"] for item in shown if item.why in ("median", "random"))
    assert shown == outcome_rows.choose(rows, "linf", "run")
