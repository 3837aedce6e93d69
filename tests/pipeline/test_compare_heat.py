"""Audits of heat maps compared: AUC-PR that a library counts, paired differences, the same worst case as the audits."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score
from spots import Spots, averager, run

from percuss.core.errors import RunError
from percuss.evaluate.heat_comparison import compare_heat
from percuss.pipeline.compare import compare

QUICK = {"attacks": ["pgd", "fgsm", "noise"], "budgets": ["l2=0.5,2"]}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heat")
    weak = averager()
    with torch.no_grad():  # looks at one channel alone, so that noise of the tile hides more
        weak.network.weight[:, 1:] = 0
        weak.network.weight *= 3
    return run(folder / "one", **QUICK), run(folder / "two", model=weak, **QUICK)


def area(folder, attack, budget, state):
    table = pd.read_parquet(folder / "dense.parquet").set_index("id")
    truth = np.stack(Spots().tensors()[1].numpy())
    part = table[(table["attack"] == attack) & (table["budget"] == budget) & (table["state"] == state)]
    scores = np.stack([np.frombuffer(part.loc[name, "scores"], "<f2") for name in Spots().ids]).reshape(truth.shape)
    return average_precision_score(truth[truth != 255], scores[truth != 255].astype(float))


def test_two_audits_differ_in_auc_pr_as_a_library_counts_it(both, tmp_path):
    found = compare([item.path for item in both], out=tmp_path / "out")
    assert {item.attack for item in found.heat} == {"no attack", "worst", "pgd", "fgsm", "noise"}
    for item in found.heat:
        if item.attack == "worst":
            continue
        name, state = ("clean", "stored") if item.attack == "no attack" else (item.attack, "float")
        state = "stored" if item.stored else state
        one, two = (area(done.path, name, item.budget, state) for done in both)
        assert item.of_first.value == pytest.approx(one) and item.of_second.value == pytest.approx(two)
        assert item.difference.value == pytest.approx(one - two)
        if item.difference.low is not None:
            assert item.difference.low <= item.difference.value <= item.difference.high
    page = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "<h2>Heat maps</h2>" in page and "AUC-PR of the heat maps" in page
    assert any("of AUC-PR, as stored" in text or "leave zero out" in text for text in found.sentences)
    assert found.heat_table is not None and len(found.heat_table.body) == 3
    assert found.record()["heat"][0]["of_first"]["value"] == found.heat[0].of_first.value


def test_the_worst_case_is_that_of_the_audits(both):
    found = compare([item.path for item in both])
    seen = 0
    for item in found.heat:
        if item.attack == "worst":
            for side, done in zip((item.of_first, item.of_second), both, strict=True):
                points = done.results.heat.points
                point = next(p for p in points if (p.attack, p.budget, p.stored) == ("worst", item.budget, item.stored))
                assert side.value == pytest.approx(point.auc_pr.value)
                seen += 1
    assert seen == 8


def test_a_run_against_itself_differs_in_nothing(both):
    table = pd.read_parquet(both[0].path / "dense.parquet")
    groups = [f"slide{number // 2}" for number in range(8)]
    found = compare_heat({"a": table, "b": table}, Spots().ids, groups, seed=0)
    assert all(item.difference.value == 0 and item.difference.low is None for item in found)


def test_missing_rows_and_other_truths_are_refused(both):
    table = pd.read_parquet(both[0].path / "dense.parquet")
    groups = [f"slide{number // 2}" for number in range(8)]
    lost = table[~((table["id"] == "tile3") & (table["attack"] == "pgd"))]
    with pytest.raises(RunError, match=r"rows are missing.*tile3"):
        compare_heat({"a": table, "b": lost}, Spots().ids, groups, seed=0)
    other = table.assign(truth=[bytes(len(item)) for item in table["truth"]])
    with pytest.raises(RunError, match=r"different truths.*tile0 of b"):
        compare_heat({"a": table, "b": other}, Spots().ids, groups, seed=0)
