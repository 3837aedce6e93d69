"""Flaws of the published protocols, each shown on a toy model: what was published, and what is done instead.

The table in docs/reproduce.md lists every flaw with its test; here are those that no other file shows.
"""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from percuss.attacks.engine import run_attack
from percuss.core.budget import parse_budget
from percuss.core.errors import UsageError
from percuss.core.images import Entry, Tensors
from percuss.core.model import Model
from percuss.core.norms import Norm, distance
from percuss.data.spec import load_data
from percuss.data.splits import make_splits
from percuss.defend.settings import make_settings
from percuss.evaluate.clean import clean_performance
from percuss.evaluate.intervals import Clusters
from percuss.pipeline.recipe import open_recipe, values_of
from percuss.pipeline.training import TrainPlan, train
from percuss.pipeline.universal import universal
from percuss.testing.exact import examples, linear_model

TISSUE = "synthetic:tissue?n=60&size=32&patients=20&mpp=1.5"


def flips(name, model, data, budget, *, seed=0, batch_size=32, **settings):
    """Which images an attack flips, bool ``[N]``, and as stored."""
    done = run_attack(name, model, data, [parse_budget(budget)], seed=seed, batch_size=batch_size, settings=settings)
    return tuple(np.array([getattr(row, key) for row in done.outcomes]) for key in ("success", "success_stored"))


def test_the_best_restart_of_a_whole_batch_is_weaker_than_that_of_each_image():
    """Published: of all restarts the one that flips most images of the batch. Here: any restart, image by image."""
    model = linear_model("seven")
    data = examples(model, 32)
    size, draws = "l0=15%", {"draws": 1}
    each = np.stack([flips("noise", model, data, size, seed=seed, **draws)[0] for seed in range(6)])
    whole, any_ = each.sum(1).max(), each.any(0).sum()
    assert whole < any_
    six = flips("noise", model, data, size, restarts=6, **draws)[0]
    assert six.sum() > whole
    # The best of a batch would depend on what else is in the batch.
    assert (flips("noise", model, data, size, restarts=6, batch_size=5, **draws)[0] == six).all()


def test_a_softmax_before_the_attacks_own_weakens_its_gradients():
    """Published: probabilities are taken for logits. Here models end in logits, and an alarm tells probabilities."""
    sure = linear_model("two", scale=6.0)
    data = examples(sure, 24)
    doubled = Model(nn.Sequential(sure.network, nn.Softmax(1)), sure.info)
    images = data.images.clone().requires_grad_(True)
    sizes = []
    for model in (sure, doubled):
        loss = nn.functional.cross_entropy(model(images), data.targets, reduction="sum")
        sizes.append(torch.autograd.grad(loss, images)[0].abs().flatten(1).sum(1))
    close = sizes[0] > 1e-3
    assert close.any() and (sizes[1][close] < sizes[0][close]).all()
    raw = [flips("foote", model, data, "l2=0.8", steps=20, step_size=0.05)[0].sum() for model in (sure, doubled)]
    assert raw[1] < raw[0]


def test_raw_gradients_fail_on_a_sure_model_where_pgd_succeeds():
    """Published: raw gradients. Here pgd stands beside them, whose steps do not depend on the gradient's length."""
    sure = linear_model("two", scale=60.0)
    data = examples(sure, 24)
    raw, steps = (flips(name, sure, data, "linf=24/255", steps=20)[0].sum() for name in ("foote", "pgd"))
    assert raw < steps / 2 and steps >= 20


def test_a_change_below_one_grey_level_does_not_survive_rounding():
    """Published: success at 0.5 of 255, as float. Here success as stored stands beside it."""
    model = linear_model("two", shape=(3, 64, 64))
    data = examples(model, 24, shape=(3, 64, 64))
    as_float, as_stored = flips("fgsm", model, data, "linf=0.499/255")
    assert as_float.sum() >= 4 and as_stored.sum() == 0


def test_one_scale_for_a_whole_batch_breaks_the_limit_of_single_images():
    """Published code: the change of a batch is scaled by the batch's own mean. Here every image has its limit."""
    model = linear_model("two", scale=2.0)
    data = examples(model, 12)
    budget = parse_budget("l2=rms:2/255")
    limit = budget.eps(data.images.shape[1:], data.range)
    change = torch.randn(data.images.shape, generator=torch.Generator().manual_seed(0))
    change *= torch.linspace(0.1, 3, 12).view(-1, 1, 1, 1)
    joint = change * (2 / 255) / change.square().mean().sqrt()
    assert (distance(Norm.L2, joint) > limit * 1.2).any() and (distance(Norm.L2, joint) < limit / 2).any()
    done = run_attack("foote", model, data, [budget], settings={"steps": 20})
    assert all(row.l2 <= limit * (1 + 1e-5) for row in done.outcomes)
    one = Tensors(data.ids[:1], data.images[:1], data.targets[:1], data.groups[:1], data.range)
    alone = run_attack("foote", model, one, [budget], settings={"steps": 20}).outcomes[0]
    assert (alone.success, alone.confidence) == (done.outcomes[0].success, done.outcomes[0].confidence)


def test_images_that_were_wrong_before_are_no_success():
    """Not said by the paper: whether they count. With the true labels as aim they would all be successes."""
    model = linear_model("two")
    data = examples(model, 20)
    wrong = replace(data, targets=torch.cat([1 - data.targets[:5], data.targets[5:]]))
    done = run_attack("fgsm", model, wrong, [parse_budget("linf=1/255")]).outcomes
    missed = [row.prediction != row.label for row in done]
    assert sum(missed) >= 5 + sum(row.success for row in done) and not any(row.success for row in done[:5])


def test_splits_by_image_flatter_where_patients_are_alike():
    """Published: images are divided one by one. Labels here say nothing but whose image it is."""
    rng = np.random.default_rng(0)
    patients, kind = np.repeat(np.arange(60), 6), rng.integers(0, 2, 60)
    seen = rng.normal(size=(60, 5))[patients] + 0.1 * rng.normal(size=(360, 5))
    scores = {}
    for by in ("image", "patient"):
        entries = [
            Entry(str(i), int(kind[p]), group=f"p{p}" if by == "patient" else None) for i, p in enumerate(patients)
        ]
        split = np.array(
            [entry.split for entry in make_splits(entries, {"train": 0.6, "val": 0.1, "test": 0.3}, seed=0)]
        )
        train_, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
        nearest = train_[((seen[test][:, None] - seen[train_]) ** 2).sum(2).argmin(1)]
        scores[by] = float((kind[patients[nearest]] == kind[patients[test]]).mean())
    assert scores["image"] > 0.95 and scores["patient"] < 0.7


def test_an_image_has_the_same_values_whatever_else_is_in_the_set():
    """Published code: lowest to highest value of a whole set becomes 0 to 1, train and test apart."""
    whole, few = load_data(TISSUE), load_data(TISSUE, split="test")
    name = few.ids[0]
    assert torch.equal(whole.collect([name]).images, few.collect([name]).images)
    stretched = []
    for images in (whole, few):
        values = images.collect(images.ids)
        low, high = float(values.images.min()), float(values.images.max())
        stretched.append((values.images[values.ids.index(name)] - low) / (high - low))
    assert not torch.equal(*stretched)


def test_the_epoch_chosen_on_the_test_images_flatters_and_is_a_finding(tmp_path):
    """Published: early stopping and the choice of the epoch by the test set. Here by a validation split."""
    found = {}
    for select in ("val", "test"):
        settings = make_settings(epochs=6, batch_size=8, lr=0.02, schedule="none", device="cpu", threads=1)
        plan = TrainPlan(data=TISSUE, model="timm:test_resnet", select=select, settings=settings)
        found[select] = train(plan, out=tmp_path / select).record
    losses = {select: [row["val_loss"] for row in record["history"]] for select, record in found.items()}
    assert losses["val"] != losses["test"]
    for select, record in found.items():
        assert record["best_epoch"] == 1 + int(np.argmin(losses[select]))
    # The loss on the test images, of the epoch that each way keeps: choosing on them cannot lose.
    assert min(losses["test"]) <= losses["test"][found["val"]["best_epoch"] - 1]
    assert [item["id"] for item in found["test"]["findings"]] == ["test-chose-the-epoch"]
    assert found["val"]["findings"] == [] and found["test"]["val"] == found["test"]["test"]


def test_there_must_be_test_images_to_choose_on(tmp_path):
    for split in ("train", "val"):
        for name, level in (("dark", 80), ("light", 180)):
            home = tmp_path / "images" / split / name
            home.mkdir(parents=True)
            for i in range(3):
                Image.new("L", (32, 32), level + i).save(home / f"{split}{i}.png")
    plan = TrainPlan(data=f"folder:{tmp_path / 'images'}", model="timm:test_resnet", select="test", grey_inside=True)
    with pytest.raises(UsageError, match="no test split"):
        train(plan, out=tmp_path / "run")


def test_one_change_for_positives_flips_none_of_the_others(tissue, judged, tmp_path):
    """Published: the change is made and judged on positives alone, which it drives to one side; so are the others."""
    done = universal(
        judged, data=tissue, budget="linf=10/255", epochs=3, only="tumour", method="sgd", out=tmp_path / "run"
    )
    rates = {item.name: item.success for item in done.tallies if item.split == "test"}
    assert rates["tumour"].value > 0.8 and rates["normal"].value == 0
    assert rates["all"].value < rates["tumour"].value


def test_always_answering_the_commonest_class_is_seen_in_balanced_accuracy():
    """Published: plain accuracy of .832 and .818 where the commonest class makes .804."""
    truth = np.array([0] * 80 + [1] * 20)
    assert (truth == 0).mean() == 0.8
    rows = pd.DataFrame({"label": truth.astype(str), "prediction": "0", "correct": truth == 0})
    rows = rows.assign(score_0=1.0, score_1=0.0)
    summary = clean_performance(rows, ("none", "some"), "classify", clusters=Clusters.of([""] * 100, 0))
    assert summary.accuracy.value == 0.8 and summary.balanced_accuracy.value == 0.5


def test_sizes_name_their_scale():
    """Published: sizes without a scale. A third of the range of 1 and a third of a grey level differ by 255."""
    data = load_data(TISSUE)
    first = data.collect(data.ids[:1])
    shape, pixels = first.images.shape[1:], first.range
    of_one, of_255, native = (
        parse_budget(text).eps(shape, pixels) for text in ("linf=0.32", "linf=0.32/255", "linf=0.32grey")
    )
    assert of_one == pytest.approx(255 * of_255) and native == pytest.approx(of_255)


def test_protocols_of_the_recipes_differ_where_the_table_says():
    def differ(name):
        pair = [values_of(open_recipe(name), protocol=p, quick=False, given={}) for p in ("corrected", "paper")]
        return {key: (pair[0][key], pair[1][key]) for key in pair[0] if pair[0][key] != pair[1][key]}

    joel, foote, attention = differ("joel"), differ("foote"), differ("wasserman")
    assert joel["harden_ratio"] == (0.5, 1.0) and joel["select"] == joel["calibrate"] == ("val", "test")
    assert joel["triage_attack"] == ("curve", "pgd")
    assert foote["attacks"][1] == ["foote", "noise"] and "pgd" in foote["attacks"][0]
    assert "fixed" in attention["forms"][0] and attention["forms"][1] == ["none", "paper"]
    assert len(attention["seeds"][0]) >= 3 and attention["seeds"][1] == [0]
    (attack,) = [step for step in open_recipe("joel").steps if step.id == "attack"]
    assert attack.options["protocol"] == "$protocol"


def test_the_table_of_flaws_names_tests_that_exist(root):
    text = (root / "docs" / "reproduce.md").read_text(encoding="utf-8")
    part = text.partition("## Flaws and what is done about them")[2].partition("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")][2:]
    sources = "".join(path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE))
    assert len(rows) >= 30
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        names = re.findall(r"`(test_\w+)`", cells[-1])
        assert len(cells) == 4 and all(cells) and names, row
        assert set(names) <= known, (row, set(names) - known)
