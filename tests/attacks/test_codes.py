"""Attacks on a code and through it, on a small sparse code whose values and gradients are known exactly."""

import pytest
import torch
from torch.nn import functional

from percuss.attacks.codes import EMPTY_CODE
from percuss.attacks.engine import run_attack
from percuss.attacks.straight_through import MODES
from percuss.core.budget import parse_budget
from percuss.core.errors import AttackError
from percuss.core.images import PixelRange, Tensors
from percuss.core.latent import GRADIENTS, Coder, SparseCoder
from percuss.core.losses import cross_entropy
from percuss.core.model import Model, ModelInfo
from percuss.testing.codes import PatchCode, PlainCode, code_model
from percuss.testing.exact import cell_flips, cell_model, examples

ALL = {"early_stop": False}
LAST = ALL | {"keep": "last"}


@pytest.fixture(scope="module")
def coded():
    model = code_model()
    return model, examples(model)


def plain():
    return Model(PlainCode(), ModelInfo("plain", "heatmap", ("normal", "tumour"), 3, cell=2))


def attacked(name, model, batch, text="l2=0.5", **settings):
    swept = run_attack(name, model, batch, [parse_budget(text)], settings=ALL | settings)
    return swept.images[text], swept


def loss(model, images, batch):
    with torch.no_grad():
        return cross_entropy(model(images), batch.targets, "heatmap")


def directions(network, batch):
    """The head's gradient in the code, and the code, by hand: (sigmoid - truth) times the head's weights."""
    with torch.no_grad():
        code = network.code(batch.images)
        slope = torch.sigmoid(network.judge(code)) - batch.targets.unsqueeze(1)
    return code, slope * network.head.view(1, -1, 1, 1)


def test_the_small_code_is_the_solution(coded):
    network, batch = coded[0].network, coded[1]
    code = network.code(batch.images).detach()
    rest = batch.images - network.rebuild(code, batch.images)
    drive = functional.unfold(rest, 2, stride=2).transpose(1, 2) @ network.dictionary.T
    active = code.flatten(2).transpose(1, 2) > 0
    assert 0.1 < active.float().mean() < 0.9
    assert torch.allclose(drive[active], torch.full_like(drive[active], network.size), atol=1e-5)
    assert float(drive[~active].max()) <= network.size + 1e-5
    assert isinstance(network, SparseCoder) and isinstance(PlainCode(), Coder)
    assert not isinstance(PlainCode(), SparseCoder)


def test_its_exact_gradient_is_that_of_finite_differences(coded):
    network, batch = PatchCode().double(), coded[1]
    images = batch.images.double()[:2].requires_grad_(True)
    (slope,) = torch.autograd.grad(network(images).sum(), images)
    way, small = torch.randn(images.shape, generator=torch.Generator().manual_seed(1)).double(), 1e-7
    with torch.no_grad():
        gap = (network(images + small * way).sum() - network(images - small * way).sum()) / (2 * small)
    assert float((slope * way).sum()) == pytest.approx(float(gap), rel=1e-5)


def test_the_gradients_differ_and_leave_the_code_alone(coded):
    network, batch = coded[0].network, coded[1]
    found = {}
    for mode in GRADIENTS:
        with network.gradients(mode):
            images = batch.images.clone().requires_grad_(True)
            code = network.code(images)
            (found[mode],) = torch.autograd.grad(network.judge(code).sum(), images)
        assert torch.allclose(code, network.code(batch.images), atol=1e-6)
    assert network.gradient == "implicit"
    exact = found["implicit"].flatten()
    near = {mode: float(functional.cosine_similarity(exact, other.flatten(), 0)) for mode, other in found.items()}
    assert near["unrolled"] > 0.9 > near["one_step"]
    with network.gradients("unrolled", steps=1000):
        images = batch.images.clone().requires_grad_(True)
        (long,) = torch.autograd.grad(network(images).sum(), images)
    assert torch.allclose(long.flatten(), exact, atol=1e-3)


@pytest.mark.parametrize("name", ["sparse_code", "rescaled_fgsm", "code_noise"])
@pytest.mark.parametrize("text", ["l2=0.05", "l2=0.5", "l2=3"])
def test_the_change_has_the_size_of_the_budget_after_clipping(coded, name, text):
    model, batch = coded
    found, swept = attacked(name, model, batch, text, keep="last")
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    clipped = ((found == 0) | (found == 1)) & (found != batch.images)
    assert bool(clipped.any()) or text != "l2=3"
    for row in swept.outcomes:
        assert row.l2 == pytest.approx(row.eps, abs=1e-3)


def test_one_step_on_the_code_is_what_the_paper_writes(coded):
    model, batch = coded
    code, slope = directions(model.network, batch)
    active = code > 0
    count = active.flatten(1).sum(1).view(-1, 1, 1, 1)
    length = (slope * active).flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    after = (code + 0.01 * count.sqrt() * slope * active / length).clamp_min(0)
    change = model.network.rebuild(after, batch.images) - model.network.rebuild(code, batch.images)
    change = (0.01 * change / change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).detach()
    inside = ((batch.images + change).clamp(0, 1) == batch.images + change).flatten(1).all(1)
    assert int(inside.sum()) >= 2
    found, swept = attacked("sparse_code", model, batch, "l2=0.01", steps=1, step_size=0.01, keep="last")
    assert torch.allclose((found - batch.images)[inside], change[inside], atol=1e-6)
    assert any("length of the change before" in note and "steps of 0.01" in note for note in swept.notes)


@pytest.mark.parametrize("rule", ["l2", "sign"])
def test_only_active_units_move_and_none_below_zero(coded, rule, monkeypatch):
    model, batch = coded
    seen, own = [], PatchCode.rebuild
    monkeypatch.setattr(PatchCode, "rebuild", lambda self, code, like: seen.append(code) or own(self, code, like))
    attacked("sparse_code", model, batch, rule=rule, steps=30, step_size=0.05)
    after, before = torch.cat(seen[::2]), torch.cat(seen[1::2])
    assert torch.equal(before, model.network.code(batch.images))
    assert not bool(after[before == 0].any()) and float(after.min()) == 0
    assert bool((after != before)[before > 0].float().mean() > 0.5)


def test_the_change_hurts_and_the_printed_sign_helps(coded):
    model, batch = coded
    before = loss(model, batch.images, batch)
    hurt, _ = attacked("sparse_code", model, batch, keep="last", step_size=0.01)
    helped, swept = attacked("sparse_code", model, batch, keep="last", step_size=0.01, sign_as_printed=True)
    assert (loss(model, hurt, batch) > before).all()
    assert (loss(model, helped, batch) < before).all()
    assert any("helps the model" in note for note in swept.notes)
    kept, _ = attacked("sparse_code", model, batch, sign_as_printed=True)  # no better image is found, so none is kept
    assert torch.equal(kept, batch.images)


def test_the_best_of_the_grid_is_kept(coded):
    model, batch = coded
    best, _ = attacked("sparse_code", model, batch)
    for length in (0.001, 0.003, 0.01, 0.05):
        one, _ = attacked("sparse_code", model, batch, step_size=length)
        assert (loss(model, best, batch) >= loss(model, one, batch) - 1e-9).all()


def test_the_exact_gradient_beats_the_attack_on_the_code_and_that_beats_noise(coded):
    model, batch = coded
    ways = ("implicit", "sparse_code", "code_noise")
    exact, code, noise = (loss(model, attacked(name, model, batch, "l2=0.3")[0], batch) for name in ways)
    assert (exact > code).all() and (code > noise).all() and (noise > loss(model, batch.images, batch)).all()


def test_the_stand_in_of_one_step_is_the_weakest_way_through(coded):
    model, batch = coded
    near, one = (attacked("straight_through", model, batch, "l2=0.3", mode=mode)[0] for mode in MODES)
    own, _ = attacked("one_step", model, batch, "l2=0.3", steps=60)
    assert float(loss(model, near, batch).mean()) > float(loss(model, own, batch).mean())
    assert float(loss(model, near, batch).mean()) > float(loss(model, one, batch).mean())


def test_starting_from_the_code_is_never_weaker_than_the_code(coded):
    model, batch = coded
    first, _ = attacked("sparse_code", model, batch, steps=30)
    then, swept = attacked("implicit", model, batch, start="code", code_steps=30, steps=5)
    assert (loss(model, then, batch) >= loss(model, first, batch) - 1e-7).all()
    assert any("length of the change" in note for note in swept.notes)


def test_each_attack_uses_its_gradient(coded, monkeypatch):
    model, batch = coded
    used, own = [], PatchCode.gradients
    monkeypatch.setattr(
        PatchCode, "gradients", lambda self, mode, **more: used.append((mode, more)) or own(self, mode, **more)
    )
    attacked("implicit", model, batch, steps=1, cg_steps=60)
    attacked("unrolled", model, batch, steps=1, iterations=7)
    for mode in MODES:
        attacked("straight_through", model, batch, steps=1, mode=mode)
    assert used == [("implicit", {"cg_steps": 60}), ("unrolled", {"steps": 7}), ("straight", {}), ("one_step", {})]
    assert model.network.gradient == "implicit" and model.network.settings == {}


def test_images_without_an_active_unit_stay_and_are_named(coded):
    model, batch = coded
    images = torch.cat([torch.full_like(batch.images[:1], 0.5), batch.images[1:2]])
    with torch.no_grad():
        targets = model(images).argmax(1)
    mixed = Tensors(["flat", "other"], images, targets, [None, None], PixelRange())
    for name in ("sparse_code", "code_noise"):
        found, swept = attacked(name, model, mixed)
        assert torch.equal(found[0], images[0])
        assert f"flat: {EMPTY_CODE}" in swept.notes and not any("other: " in note for note in swept.notes)


def test_another_code_has_no_active_set():
    model = plain()
    batch = examples(model)
    found, swept = attacked("sparse_code", model, batch)
    assert (loss(model, found, batch) > loss(model, batch.images, batch)).all()
    assert any("not sparse" in note for note in swept.notes)


@pytest.mark.parametrize(
    ("name", "settings", "text", "words"),
    [
        ("sparse_code", {}, "linf=0.1", "l2: its change"),
        ("rescaled_fgsm", {}, "linf=0.1", "use pgd, which knows every norm"),
        ("code_noise", {}, "none", "does not know this norm"),
        ("sparse_code", {"rule": "l1"}, "l2=1", "l2, sign"),
        ("sparse_code", {"steps": 0}, "l2=1", "1 or more"),
        ("sparse_code", {"step_size": 0.0}, "l2=1", "above 0"),
        ("rescaled_fgsm", {"steps": 0}, "l2=1", "1 or more"),
        ("rescaled_fgsm", {"step_size": -1.0}, "l2=1", "above 0"),
        ("code_noise", {"draws": 0}, "l2=1", "1 or more"),
        ("code_noise", {"spread": 0.0}, "l2=1", "above 0"),
        ("implicit", {"start": "zero"}, "l2=1", "random, clean, code"),
        ("implicit", {"start": "code"}, "linf=0.1", "does not know this norm"),
        ("straight_through", {"mode": "all"}, "l2=1", "active_set, one_step"),
    ],
)
def test_what_has_no_meaning_is_refused(coded, name, settings, text, words):
    with pytest.raises(AttackError, match=words):
        attacked(name, *coded, text, **settings)


@pytest.mark.parametrize("name", ["sparse_code", "code_noise", "codesuite", "implicit", "unrolled", "straight_through"])
def test_models_without_such_a_code_are_refused(name):
    model = cell_model()
    with pytest.raises(AttackError, match=f"{name} does not fit this model.*rescaled_fgsm attack every model"):
        attacked(name, model, examples(model), "l2=1")


@pytest.mark.parametrize("name", ["implicit", "unrolled", "straight_through"])
def test_a_code_without_a_choice_of_gradients_is_refused(name):
    model = plain()
    with pytest.raises(AttackError, match=r"gradients\(mode\)"):
        attacked(name, model, examples(model), "l2=1")


def test_one_step_of_fgsm_has_three_values():
    model = cell_model()
    batch = examples(model)
    batch.images = batch.images * 0.5 + 0.25
    found, _ = attacked("rescaled_fgsm", model, batch, "l2=0.4", steps=1, keep="last")
    change = found - batch.images
    each = 0.4 / change[0].numel() ** 0.5  # of a linear model no gradient is 0, so two of the three are seen
    assert torch.allclose(change.abs(), torch.full_like(change, each), atol=1e-6)


def test_many_steps_of_fgsm_leave_the_ball_and_come_back(coded):
    model, batch = coded
    found, swept = attacked("rescaled_fgsm", model, batch, "l2=0.3")
    assert (loss(model, found, batch) > loss(model, batch.images, batch)).all()
    assert all(row.gradient_evaluations == 100 for row in swept.outcomes)


def test_pgd_turns_exactly_the_cells_that_can_turn():
    model = cell_model()
    batch = examples(model)
    found, _ = attacked("pgd", model, batch, "linf=0.05", steps=40)
    with torch.no_grad():
        said = model(found).argmax(1)
    flips = cell_flips(model, batch, 0.05)
    assert torch.equal(said != batch.targets, flips) and 0.1 < flips.float().mean() < 0.9
