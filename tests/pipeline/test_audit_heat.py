"""Audits of heat maps: scores that are kept agree with the model, and the pooled AUC-PR with scikit-learn."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from spots import CELL, SIDE, Spots, averager, run

from percuss.core import dense
from percuss.core.errors import ModelError
from percuss.core.model import Model, ModelInfo
from percuss.evaluate.heat_comparison import paired_gap


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("heat") / "run")


def scores_of(row):
    return np.frombuffer(row["scores"], "<f2").reshape(tuple(row["shape"]))


def pooled(table):
    truth = Spots().tensors()[1].numpy()
    scores = np.stack([scores_of(row) for _, row in table.set_index("id").loc[list(Spots().ids)].iterrows()])
    kept = truth != 255
    return average_precision_score(truth[kept], scores[kept].astype(float))


def test_the_clean_number_is_that_of_the_model_and_of_scikit_learn(finished):
    table = pd.read_parquet(finished.path / "dense.parquet")
    clean = table[table["attack"] == "clean"]
    images, truth = Spots().tensors()
    with torch.no_grad():
        logits = averager()(images)
    assert logits.shape == (8, 2, SIDE // CELL, SIDE // CELL)
    for number, (_, row) in enumerate(clean.iterrows()):
        wanted = (logits[number, 1] - logits[number, 0]).half().numpy()
        assert np.array_equal(scores_of(row), wanted)
        assert np.array_equal(np.frombuffer(row["truth"], np.uint8), truth[number].numpy().ravel())
    heat = finished.results.heat
    assert heat is not None and heat.cell == CELL and heat.slides == 4
    assert heat.clean.auc_pr.value == pytest.approx(pooled(clean)) and heat.clean.auc_pr.value > 0.9
    judged = truth[truth != 255]
    assert heat.null == pytest.approx(float((judged == 1).double().mean()))
    assert heat.clean.cells == len(judged)


def test_every_attack_and_state_has_a_point_that_scikit_learn_finds_too(finished):
    table = pd.read_parquet(finished.path / "dense.parquet")
    heat = finished.results.heat
    names = {"float": False, "stored": True}
    seen = 0
    for (attack, budget, state), part in table[table["attack"] != "clean"].groupby(["attack", "budget", "state"]):
        point = next(p for p in heat.points if (p.attack, p.budget, p.stored) == (attack, budget, names[state]))
        assert point.auc_pr.value == pytest.approx(pooled(part))
        if point.auc_pr.low is not None:  # where all draws are alike there is no interval
            assert point.auc_pr.low <= point.auc_pr.value <= point.auc_pr.high
        seen += 1
    assert seen == 3 * 3 * 2


def test_the_attack_lowers_auc_pr_and_noise_does_not(finished):
    found = {(p.attack, p.budget): p.auc_pr.value for p in finished.results.heat.points if p.stored}
    clean = finished.results.heat.clean.auc_pr.value
    assert found["pgd", "l2=2"] < found["pgd", "l2=0.5"] < clean
    assert found["worst", "l2=2"] <= min(found["pgd", "l2=2"], found["fgsm", "l2=2"])
    assert found["worst", "l2=2"] < 0.6 * clean < found["noise", "l2=2"]


def test_every_tile_is_attacked_as_far_as_the_loss_rises(finished):
    table = pd.read_parquet(finished.path / "dense.parquet")
    clean = table[table["attack"] == "clean"].set_index("id")["loss"]
    for (_, _), part in table[(table["attack"] == "pgd") & (table["state"] == "float")].groupby(["attack", "budget"]):
        assert (part.set_index("id")["loss"] > clean).all()  # tiles that decide wrongly at rest go on too
    sizes = table[(table["attack"] == "pgd") & (table["state"] == "float") & table["budget"].isin(["l2=0.5", "l2=2"])]
    wide = sizes.pivot(index="id", columns="budget", values="loss")
    assert (wide["l2=2"] > wide["l2=0.5"]).all()


def test_kept_pictures_are_what_the_model_says_of_the_stored_bytes(finished):
    rows = pd.read_parquet(finished.path / "rows.parquet")
    kept = rows[rows["image"] != ""]
    assert len(kept) == 16 and set(kept[kept["norm"] == "l2"]["budget"]) == {"l2=2"}  # the largest attempt
    for _, row in kept.iterrows():
        values = np.asarray(Image.open(finished.path / row["image"])).transpose(2, 0, 1)
        with torch.no_grad():
            logits = averager()(torch.from_numpy(values / 255).float().unsqueeze(0))
        chance = (logits[0, 1] - logits[0, 0]).double().sigmoid().numpy()
        heat = np.asarray(Image.open(finished.path / f"heat/{row['norm']}/{row['id']}.png"))
        assert np.abs(heat / 255 - chance).max() <= 0.5 / 255 + 1e-6
        marked = np.asarray(Image.open(finished.path / f"maps/{row['norm']}/{row['id']}.png"))
        assert np.array_equal(marked, logits[0].argmax(0).numpy())
    assert len(list((finished.path / "heat/clean").iterdir())) == 8


def test_slides_that_are_not_outlined_throughout_are_named(finished):
    assert finished.results.heat.not_exhaustive == ["slide1"]


def test_batch_size_changes_nothing(finished, tmp_path):
    again = run(tmp_path / "one", batch_size=1)
    first, second = (pd.read_parquet(item.path / "dense.parquet") for item in (finished, again))
    assert [scores_of(row).tolist() for _, row in first.iterrows()] == [
        scores_of(row).tolist() for _, row in second.iterrows()
    ]


def test_a_limit_is_judged_on_auc_pr(tmp_path):
    found = run(tmp_path / "limit", attacks=["fgsm"], budgets=["l2=2"], require=["l2=2:0.99"]).results
    (limit,) = found.requirements
    point = next(p for p in found.heat.points if p.attack == "worst" and not p.stored)
    assert limit["passed"] is False and limit["low"] == point.auc_pr.low and "AUC-PR" in limit["text"]


def test_a_model_of_other_cells_is_refused(tmp_path):
    wrong = averager()
    with pytest.raises(ModelError, match="cells of different sizes.*model 8 pixels, images 4"):
        info = ModelInfo("averager", "heatmap", ("normal", "tumour"), 3, weights="given", cell=8)
        run(tmp_path / "run", model=Model(wrong.network, info))


def test_a_tile_with_a_map_of_another_size_is_recorded_and_the_rest_goes_on(tmp_path):
    bad = Spots(faults={"tile2": {"target": np.zeros((SIDE, SIDE), np.uint8)}})
    found = run(tmp_path / "run", data=bad, attacks=["fgsm"], budgets=["l2=1"]).results
    assert found.data.n_bad == 1 and found.heat.clean.cells == 7 * 35
    assert "tile2" in found.data.bad[0]["id"] and dense.IGNORE == 255


def test_every_real_change_is_set_beside_noise_of_its_size(finished):
    table = pd.read_parquet(finished.path / "meaning.parquet")
    assert set(table["attack"]) == {"pgd", "fgsm"} and len(table) == 2 * 3 * 8 * 4
    found = {(m.attack, m.budget, m.measure): m for m in finished.results.heat.meaning}
    assert len(found) == 2 * 3 * 4
    slope = found["fgsm", "l2=2", "slope"]
    assert slope.change.value < slope.noise.value - 0.5  # one value per cell is smooth, its pixels shuffled are not


@pytest.mark.parametrize("kind", ["-masks", "-meaning"])
def test_a_lost_part_is_computed_again(finished, tmp_path, kind, monkeypatch):
    class Stop(Exception):
        pass

    def stop(*args, **given):
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr("percuss.pipeline.audit.attack_rows", stop)
        with pytest.raises(Stop):
            run(tmp_path / "run")
    lost = sorted((tmp_path / "run" / "parts").glob(f"attack-*{kind}.parquet"))
    lost[0].unlink()
    again = run(tmp_path / "run")
    assert again.results.heat == finished.results.heat


def test_a_finding_names_slides_with_tumour_left_out_and_few_slides(finished):
    found = {item.id: item for item in finished.results.findings}
    assert "slide1" in found["not-exhaustive"].message and "few-patients" in found
    assert "heat-does-not-fall" in found and "linf=4/255" in found["heat-does-not-fall"].message
    assert "single-step-beats-iterative" not in found and "heat-knows-nothing" not in found


def test_of_several_attacks_the_tile_whose_stored_map_has_the_largest_loss_is_kept(finished):
    table = pd.read_parquet(finished.path / "dense.parquet")
    stored = table[(table["state"] == "stored") & (table["budget"] == "l2=2") & (table["attack"] != "noise")]
    best = stored.sort_values("loss", ascending=False, kind="stable").drop_duplicates("id").set_index("id")["attack"]
    rows = pd.read_parquet(finished.path / "rows.parquet")
    kept = rows[(rows["image"] != "") & (rows["norm"] == "l2")].set_index("id")["attack"]
    assert kept.to_dict() == best.to_dict()


def test_two_attacks_of_a_run_are_set_against_each_other_on_the_same_tiles(finished):
    table = pd.read_parquet(finished.path / "dense.parquet")
    points = {(p.attack, p.budget): p for p in finished.results.heat.points if p.stored}
    first, second = points["noise", "l2=2"], points["pgd", "l2=2"]
    gap = paired_gap(table, first, second, seed=0)
    assert gap.value == pytest.approx(first.auc_pr.value - second.auc_pr.value)
    assert gap.low < gap.value < gap.high and "4 slides" in gap.method
    assert paired_gap(table, second, first, seed=0).value == pytest.approx(-gap.value)
