"""Audits set against each other: only on the same images, and with numbers that can be checked by hand."""

import copy
import json
import re
import shutil

import pytest
import torch

from percuss.core.errors import RunError, UsageError
from percuss.core.model import Model, ModelInfo
from percuss.data.spec import load_data
from percuss.pipeline.compare import compare
from percuss.report.schema import read_results

OTHER = "synthetic:tissue?n=64&size=48&patients=8&mpp=1&seed=5"


@pytest.fixture
def weaker(small, judged, tmp_path):
    """The finished audit's model with a shifted border, audited in the same way."""
    net = copy.deepcopy(judged.network)
    with torch.no_grad():
        net.last.bias += torch.tensor([0.15, -0.15])
    return small(tmp_path / "other", model=Model(net, ModelInfo("colour", "classify", ("normal", "tumour"), 3)))


def right(run, budget):
    rows = run.rows[(run.rows["attack"] == "pgd") & (run.rows["budget"] == budget)].set_index("id")
    return (rows["correct"] & ~rows["success"]).reindex(run.clean["id"]).to_numpy()


def test_differences_are_those_of_the_rows(finished, weaker, tmp_path):
    found = compare([finished.path, weaker.path], out=tmp_path / "out")
    assert found.names == ("run", "other") and found.n_images == 64 and found.left_out == (0, 0)
    for budget in ("linf=1/255", "l2=0.5"):
        one, two = right(finished, budget), right(weaker, budget)
        item = next(c for c in found.contrasts if (c.attack, c.budget, c.stored) == ("pgd", budget, False))
        assert (item.first_only, item.second_only) == (int((one & ~two).sum()), int((two & ~one).sum()))
        assert item.difference.value == pytest.approx(one.mean() - two.mean())
        assert item.p_value is None  # patients are known: images are not independent
    attacks = {(c.attack, c.stored) for c in found.contrasts}
    assert attacks == {("no attack", False), *((name, side) for name in ("pgd", "noise", "worst") for side in (0, 1))}
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    assert record == json.loads(json.dumps(found.record())) and record["n_images"] == 64
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.startswith("<!") and page.count("<svg") == 2 and not re.search("(src|href)=.http", page)
    assert "run − other" in found.table.text()


def test_run_against_itself_differs_nowhere(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "copy")
    found = compare([finished.path, tmp_path / "copy"])
    assert {c.difference.value for c in found.contrasts} == {0.0}
    assert "leave zero out" in found.sentences[-1]


def test_mcnemar_and_holm_where_patients_are_unknown():
    import numpy as np

    from percuss.core.comparison import Contrast
    from percuss.evaluate.comparison import _holm
    from percuss.evaluate.intervals import Clusters
    from percuss.evaluate.paired import paired_difference

    one = np.array([True] * 30 + [False] * 10)
    pairs = [paired_difference(one, np.roll(one, k), Clusters.of([""] * 40, 0)) for k in (5, 9)]
    made = [Contrast("a", "b", "worst", "linf", str(i), 0.1, False, **vars(p)) for i, p in enumerate(pairs)]
    made[0] = Contrast(**{**vars(made[0]), "p_value": 0.01})
    made[1] = Contrast(**{**vars(made[1]), "p_value": 0.03})
    assert [c.p_holm for c in _holm(made)] == [0.02, 0.03]


def test_other_images_are_refused_and_counted(small, judged, finished, tmp_path):
    fewer = small(tmp_path / "fewer", limit=40)
    with pytest.raises(RunError, match=r"share 40 \(run 64, fewer 40\).*24 only in run \(first .*--shared"):
        compare([finished.path, fewer.path])
    found = compare([finished.path, fewer.path], shared=True)
    assert (found.n_images, found.left_out) == (40, (24, 0))
    assert [f.id for f in found.findings] == ["images-left-out"]
    strange = small(tmp_path / "strange", data=load_data(OTHER))
    with pytest.raises(RunError, match=r"share \d+ .*other pixels under the same id"):
        compare([finished.path, strange.path])
    with pytest.raises(RunError, match="share 0"):
        compare([finished.path, strange.path], shared=True)


def test_other_budgets_are_refused_and_named(small, finished, tmp_path):
    other = small(tmp_path / "other", budgets=["linf=0.00392156862745098,2/255", "l2=0.5"])
    with pytest.raises(RunError, match=r"share 2: only in run: linf=4/255; only in other: linf=2/255"):
        compare([finished.path, other.path])
    found = compare([finished.path, other.path], shared=True)
    assert {c.budget for c in found.contrasts} == {"", "linf=1/255", "l2=0.5"}
    assert {c.difference.value for c in found.contrasts if c.attack == "pgd"} == {0.0}


def test_other_attacks_are_a_finding(small, finished, tmp_path):
    other = small(tmp_path / "other", attacks="bim,noise")
    found = compare([finished.path, other.path])
    assert [f.id for f in found.findings] == ["different-attacks"]
    assert {c.attack for c in found.contrasts} == {"no attack", "noise", "worst"}


def test_folders_that_are_no_sound_audit(finished, tmp_path):
    with pytest.raises(UsageError, match="two runs or more: 1"):
        compare([finished.path])
    with pytest.raises(RunError, match="named twice"):
        compare([finished.path, finished.path])
    with pytest.raises(RunError, match="holds no run"):
        compare([finished.path, tmp_path])
    broken = tmp_path / "broken"
    shutil.copytree(finished.path, broken)
    (broken / "rows.parquet").write_bytes(b"x")
    with pytest.raises(RunError, match="gone or changed"):
        compare([finished.path, broken])
    compare([finished.path, shutil.copytree(finished.path, tmp_path / "copy")], out=tmp_path / "out")
    with pytest.raises(RunError, match="holds no audit"):
        compare([finished.path, tmp_path / "out"])
    assert read_results(finished.path / "results.json").data.n_images == 64


def test_seeds_are_pooled_in_pairs(finished, weaker, small, judged, tmp_path):
    again = shutil.copytree(finished.path, tmp_path / "again")
    third = shutil.copytree(weaker.path, tmp_path / "third")
    found = compare([finished.path, again, weaker.path, third], out=tmp_path / "out", pooled=True)
    assert {(item.first, item.second) for item in found.contrasts} == {("run", "other"), ("again", "third")}
    for budget in ("linf=1/255", "l2=0.5"):
        one, two = right(finished, budget), right(weaker, budget)
        item = next(c for c in found.pooled if (c.attack, c.budget, c.stored) == ("pgd", budget, False))
        assert item.difference.value == pytest.approx(one.mean() - two.mean()) and item.seeds == 2
        assert (item.first, item.second) == pytest.approx((one.mean(), two.mean()))
        assert item.each == pytest.approx([one.mean() - two.mean()] * 2)
        assert item.p_value is None or (0 <= item.p_value <= item.p_holm <= 1 and "patients" in item.difference.method)
    clean = next(c for c in found.pooled if c.attack == "no attack")
    assert clean.difference.value == pytest.approx(finished.clean["correct"].mean() - weaker.clean["correct"].mean())
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    assert record == json.loads(json.dumps(found.record())) and len(record["pooled"]) == len(found.pooled)
    assert "Over all training seeds" in (tmp_path / "out" / "compare.html").read_text()
    assert "Over 2 seeds" in found.sentences[1] and "first kind minus second" in found.table.caption
    with pytest.raises(UsageError, match="pairs of runs"):
        compare([finished.path, again, weaker.path], pooled=True)
