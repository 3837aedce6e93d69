"""Hardening of heat maps: judged by AUC-PR under attack, which chooses the epoch and rises over the plain model's."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from percuss.core.budget import Norm
from percuss.core.dense import cross_entropy
from percuss.core.errors import UsageError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.core.teller import Silent
from percuss.defend.climbing import Climb, mode
from percuss.defend.hardening import Ground
from percuss.defend.heat_judging import area, check_choice
from percuss.defend.library import make_defence
from percuss.defend.records import Epoch, TrainData
from percuss.defend.settings import make_settings
from percuss.defend.training import fit

EPS, CELL, SIDE = 0.04, 4, 16


def tiles(count, first=0):
    """Tumour is darker by much in a noisy channel, and by a trifle in a clean one: the second is what attacks undo."""
    rng = np.random.default_rng(first)
    truth = (rng.random((count, SIDE // CELL, SIDE // CELL)) < 0.3).astype(np.uint8)
    dark = np.kron(truth, np.ones((CELL, CELL)))
    loud = 0.6 - 0.2 * dark + rng.normal(0, 0.3, dark.shape)
    faint = 0.5 - 0.05 * dark + rng.normal(0, 0.005, dark.shape)
    truth[:, 0, 0] = 255
    images = torch.from_numpy(np.stack([loud, faint], 1).clip(0, 1)).float()
    ids = [f"tile{first + i}" for i in range(count)]
    return Tensors(ids, images, torch.from_numpy(truth), [None] * count, PixelRange(), scored=True)


def model():
    torch.manual_seed(0)
    info = ModelInfo("cells", "heatmap", ("normal", "tumour"), 2, weights="given", cell=CELL)
    return Model(nn.Conv2d(2, 1, CELL, stride=CELL), info)


DATA = TrainData(tiles(48), tiles(16, 100))
GROUND = Ground(Norm.LINF, EPS, 0)


def trained(out, name=None, *, epochs=10, data=DATA, **settings):
    made = model()
    recipe = None if name is None else make_defence(name, GROUND, settings)
    chosen = make_settings(epochs=epochs, batch_size=8, device="cpu", lr=0.2, schedule="none")
    return made, fit(made, data, chosen, out=out, progress=Silent(), recipe=recipe)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("plain"))


def judge():
    return make_defence("pgd", GROUND, {"check_steps": 5})


@pytest.mark.parametrize("name", ["pgd", "segpgd", "trades", "free", "fast"])
def test_auc_pr_under_attack_rises_over_the_plain_model(tmp_path, plain, name):
    start = judge().judge(plain[0], DATA.val, batch_size=8)
    made, result = trained(tmp_path, name, check_steps=5, **({"steps": 3} if "pgd" in name else {}))
    after = judge().judge(made, DATA.val, batch_size=8)
    assert after["robust_auc_pr"] > start["robust_auc_pr"] + 0.15
    best = result.history[result.best_epoch - 1]
    assert best.robust_auc_pr == max(row.robust_auc_pr for row in result.history)
    assert best.robust_auc_pr == pytest.approx(after["robust_auc_pr"])
    assert result.before.robust_auc_pr is not None and result.before.val_auc_pr is not None


def test_plain_training_reports_the_area_too(plain):
    made, result = plain
    with torch.no_grad():
        logits = made(DATA.val.images)
    kept = DATA.val.targets != 255
    wanted = average_precision_score(DATA.val.targets[kept] == 1, (logits[:, 1] - logits[:, 0])[kept])
    assert result.history[result.best_epoch - 1].val_auc_pr == pytest.approx(wanted) and wanted > 0.8
    assert result.history[0].robust_auc_pr is None


def test_the_judged_maps_are_those_of_highest_cross_entropy():
    made, part = model(), tiles(4, 7)
    climb = Climb(Norm.LINF, EPS, 3, EPS / 2)
    start = torch.zeros_like(part.images)
    with mode(made, "eval"):
        held = climb.hardest(made, part.images, part.targets, start=start)
        clean = made(part.images).detach()
    assert (cross_entropy(held, part.targets) > cross_entropy(clean, part.targets)).all()
    # The network is linear and local: a cell's worst is known, all its pixels moved by eps against its truth.
    reach = made.network.weight.detach().abs().sum() * EPS
    signs = torch.where(part.targets == 1, -1.0, 1.0)
    room = (held - clean)[:, 1] * signs
    assert bool((room[part.targets != 255] <= reach + 1e-4).all())


def test_unjudged_cells_do_not_count():
    logits, truth = torch.zeros(1, 2, 1, 4), torch.tensor([[[1, 0, 0, 255]]], dtype=torch.uint8)
    logits[0, 1, 0] = torch.tensor([2.0, 1.0, 3.0, 9.0])
    assert area(logits, truth) == pytest.approx(0.5)
    assert area(logits, torch.zeros_like(truth)) is None and area(logits, truth * 0 + 1) is None


def test_cells_of_one_kind_choose_no_epoch():
    part = tiles(2)
    part.targets[part.targets == 1] = 0
    with pytest.raises(UsageError, match="cells of one kind alone.*--choose loss"):
        check_choice(part)
    check_choice(tiles(2))


def test_the_area_decides_and_the_clean_one_between_equals():
    rows = [
        Epoch(1, 0.1, 1.0, 1.0, 0.9, 1.0, 0.9, 0.9, robust_dice=0.9, robust_auc_pr=r, val_auc_pr=v)
        for r, v in ((0.3, 0.9), (0.4, 0.5), (0.4, 0.6))
    ]
    scores = [judge().score(row) for row in rows]
    assert scores[2] < scores[1] < scores[0]


@pytest.mark.parametrize(("fallen", "ends"), [(0.1, True), (0.3, False)])
def test_a_collapse_is_seen_in_the_area(fallen, ends):
    areas = {"robust": (0.6, fallen), "one_step": (0.7, 0.6)}
    given = [{f"{name}_auc_pr": values[i] for name, values in areas.items()} for i in (0, 1)]
    rows = [Epoch(i + 1, 0.1, 1.0, 1.0, 0.5, 1.0, 0.5, 0.5, **more) for i, more in enumerate(given)]
    found = make_defence("fast", GROUND, {}).ending(rows)
    assert (found is not None) == ends and (found is None or "AUC-PR" in found.message)


@pytest.mark.parametrize("name", ["layered", "hypothesis", "both"])
def test_defences_of_masks_of_many_classes_are_refused(name):
    with pytest.raises(UsageError, match=f"defence {name} is not for this task: heatmap.*--defence pgd"):
        make_defence(name, GROUND, {}).check_task("heatmap")
