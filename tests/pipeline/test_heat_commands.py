"""Every command that is not an audit, on heat maps: it works, or refuses at once and says what to do."""

import csv
import json

import pytest
import torch
from spots import Spots, averager, run

import percuss
from percuss.attacks.smallest import smallest_change
from percuss.core.errors import DataError, UsageError
from percuss.data.spec import load_data
from percuss.defend.records import TrainData
from percuss.defend.settings import make_settings
from percuss.pipeline.audit import rebuild
from percuss.pipeline.explain import explain_run
from percuss.pipeline.fragility import smallest_flips
from percuss.pipeline.hardening import DefencePlan, defence
from percuss.pipeline.pack import pack
from percuss.pipeline.training import TrainPlan, train
from percuss.pipeline.triage import triage

SLIDES = "synthetic:slides?slides=5&side=256&size=64&mpp=2"
NETWORK = "factory:heat_models:local"
IMAGES, TRUTH = Spots().tensors()


def plan(name=None, *, data=SLIDES, own=None, **options):
    if name:
        given = {"check_steps": 1} | ({"steps": 1} if name in ("pgd", "segpgd", "trades") else {})
        options["defence"] = DefencePlan(name=name, budget="l2=0.3", settings=given | (own or {}))
    settings = make_settings(epochs=1, batch_size=8, device="cpu", lr=0.05)
    return TrainPlan(data=data, model=NETWORK, allow_code=True, settings=settings, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("commands") / "run", attacks=["fgsm"])


def given():
    return {"data": Spots(), "model": averager()}


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda path, out: triage(path, **given()), "a truth for every cell, which triage does not judge"),
        (lambda path, out: explain_run(path, **given()), "which explain does not judge"),
        (lambda path, out: smallest_flips(path, **given()), "which a search of smallest flips does not judge"),
    ],
)
def test_what_judges_whole_images_is_refused(finished, tmp_path, what, words):
    before = sorted(path.name for path in finished.path.iterdir())
    with pytest.raises(DataError, match=f"{words}.*percuss audit, universal, transfer, survive and compare judge heat"):
        what(finished.path, tmp_path / "out")
    assert sorted(path.name for path in finished.path.iterdir()) == before and not (tmp_path / "out").exists()


def test_a_pack_of_heat_maps_is_refused(finished, tmp_path):
    with pytest.raises(UsageError, match="one class per image: heatmap.*heat maps before and after"):
        pack(finished.path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_report_is_rebuilt_with_the_same_numbers(finished):
    first = json.loads((finished.path / "results.json").read_text())
    (finished.path / "report.html").unlink()
    rebuild(finished.path)
    assert json.loads((finished.path / "results.json").read_text()) == first
    assert "Heat maps" in (finished.path / "report.html").read_text()


def test_an_attack_takes_a_plain_network_of_one_logit_for_each_cell():
    network = averager().network
    ours = percuss.attack("pgd", network, IMAGES, TRUTH, "l2=1", steps=3)
    theirs = percuss.attack("pgd", averager(), IMAGES, TRUTH, "l2=1", steps=3)
    assert torch.equal(ours, theirs) and float((ours - IMAGES).flatten(1).norm(dim=1).max()) <= 1 + 1e-5
    # Told of nothing else, a network of one logit for each pixel has cells of one pixel.
    fine = torch.zeros(len(IMAGES), *IMAGES.shape[2:], dtype=torch.uint8)
    fine[:, :12] = 1
    moved = percuss.attack("fgsm", torch.nn.Conv2d(3, 1, 1), IMAGES, fine, "linf=2/255")
    assert not torch.equal(moved, IMAGES)


def test_targets_that_are_not_of_cells_are_refused():
    with pytest.raises(DataError, match="targets cannot be used"):
        percuss.attack("pgd", averager(), IMAGES, torch.zeros(len(IMAGES), 24, 24, dtype=torch.uint8), "l2=1")


def test_the_smallest_change_brings_each_map_to_its_bar():
    found = smallest_change(averager(), IMAGES[:4], TRUTH[:4], "l2", steps=40)
    assert found.attack == "narrow" and bool(found.success.all())
    from percuss.core.dense import quality

    with torch.no_grad():
        after = quality(averager()(found.images).argmax(1), TRUTH[:4], 2)
    assert bool((after < 0.5).all()) and bool((found.sizes > 0).all())


def test_folds_leave_whole_slides_out(tmp_path):
    images = load_data(SLIDES)
    home = {entry.id: entry.group for entry in images.entries}
    done = train(plan(folds=2), out=tmp_path / "model")
    with (done.path / "folds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and [row["repeat"] for row in rows[2:]] == ["mean", "sd"]
    assert all(0 <= float(row["auc_pr"]) <= 1 and 0 < float(row["null"]) < 1 for row in rows[:2])
    mean = sum(float(row["auc_pr"]) for row in rows[:2]) / 2
    assert done.record["folds"]["auc_pr"]["mean"] == pytest.approx(mean) == pytest.approx(float(rows[2]["auc_pr"]))
    from percuss.pipeline.trainsets import divide, fold_divisions

    seen = []
    for _, part in fold_divisions(divide(SLIDES, 0), 2, 1, seed=0):
        uses = [{home[name] for name in ids} for ids in (part.train, part.val, part.test)]
        assert all(uses) and not (uses[0] & uses[1] or uses[0] & uses[2] or uses[1] & uses[2])
        seen += part.test
    assert len(seen) == len(set(seen)) and {home[name] for name in divide(SLIDES, 0).test}.isdisjoint(
        home[name] for name in seen
    )


@pytest.mark.parametrize("name", ["pgd", "fast"])
def test_a_hardened_detector_tells_its_auc_pr_under_attack(tmp_path, name):
    done = train(plan(name), out=tmp_path / "model")
    record = json.loads((done.path / "training.json").read_text())
    robust, best = record["robust"], record["history"][record["best_epoch"] - 1]
    assert robust["val"]["robust_auc_pr"] == best["robust_auc_pr"] <= best["val_auc_pr"]
    assert robust["test"]["robust_auc_pr"] <= record["test"]["auc_pr"]
    assert {"auc_pr", "robust_auc_pr", "one_step_auc_pr"} <= set(record["before"])
    with (done.path / "history.csv").open(newline="") as file:
        assert {"val_auc_pr", "robust_auc_pr", "one_step_auc_pr"} <= set(next(csv.reader(file)))


@pytest.mark.parametrize("name", ["layered", "hypothesis", "both"])
def test_defences_that_are_not_for_heat_maps_are_refused_before_anything_is_written(tmp_path, name):
    detector = "percuss:denoising_detector?epochs=1"
    with pytest.raises(UsageError, match="needs a trained model|is not for this task: heatmap"):
        train(plan(name).model_copy(update={"model": detector}), out=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_validation_slides_without_tumour_are_refused_unless_the_loss_chooses():
    images = load_data(SLIDES, split="train")
    own, bare = (images.collect(images.ids) for _ in range(2))
    bare.targets[bare.targets == 1] = 0
    with pytest.raises(UsageError, match="cells of one kind alone"):
        defence(plan("pgd").defence, TrainData(own, bare), 0, task="heatmap")
    chosen = plan("pgd", own={"choose": "loss"}).defence
    assert defence(chosen, TrainData(own, bare), 0, task="heatmap").settings.choose == "loss"


def test_an_attack_in_python_goes_on_where_a_map_is_wrong_from_the_start():
    nothing = averager()
    with torch.no_grad():
        nothing.network.bias -= 20.0  # every cell is called normal
    wrong = TRUTH.eq(1).flatten(1).any(1)
    moved = (percuss.attack("pgd", nothing, IMAGES, TRUTH, "l2=1", steps=5) - IMAGES).flatten(1).norm(dim=1)
    assert bool((moved[wrong] > 0.5).all())
    still = percuss.attack("pgd", nothing, IMAGES, TRUTH, "l2=1", steps=5, early_stop=True)
    assert torch.equal(still[wrong], IMAGES[wrong])
