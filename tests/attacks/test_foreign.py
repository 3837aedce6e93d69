"""Somebody else's attack under our engine: counted, measured, repeatable; its faults are named and never counted."""

import sys

import numpy as np
import pytest
import torch

import percuss
from percuss.attacks.engine import run_attack
from percuss.attacks.foreign import adopt
from percuss.core import catalogue
from percuss.core.budget import parse_budget
from percuss.core.errors import AttackError, PercussError
from percuss.testing.attacks import check_alone, check_honest, check_repeats, check_within
from percuss.testing.exact import KINDS, examples, linear_model

LINF, L2 = "linf=0.1", "l2=0.8"


def step(model, images, targets, eps=0.1):
    """FGSM as anybody writes it."""
    images.requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(model(images), targets)
    (slope,) = torch.autograd.grad(loss, images)
    return (images + eps * slope.sign()).clamp(0, 1)


def run(attack, text=LINF, kind="three", count=4, **settings):
    model = linear_model(kind)
    attack = adopt(attack) if callable(attack) else attack
    return run_attack(attack, model, examples(model, count), [parse_budget(text)], settings=settings)


def test_a_callable_gives_what_ours_gives():
    assert torch.equal(run(step).images[LINF], run("fgsm", early_stop=False).images[LINF])
    rows = run(step).outcomes
    assert all(row.attack == "step" and row.success for row in rows)
    assert [(row.gradient_evaluations, row.model_evaluations) for row in rows] == [(1, 1)] * 4


def test_public_call_takes_callables_and_names():
    model = linear_model("three")
    data = examples(model)
    found = percuss.attack(step, model, data.images, data.targets, LINF)
    assert float((found - data.images).abs().max()) == pytest.approx(0.1, abs=1e-6)
    pytest.importorskip("torchattacks", reason="torchattacks is not installed")
    again = percuss.attack("torchattacks:FGSM", model, data.images, data.targets, LINF)
    assert torch.equal(found, again)


def test_callables_are_told_what_they_ask_for():
    heard = {}

    def nosy(model, images, targets, *, eps, norm, seed, target_classes, size=3):
        heard.update(eps=eps, norm=norm, seed=seed, aim=target_classes, size=size)
        return images

    run(nosy, L2, target=1, size=5)
    assert heard["eps"] == pytest.approx(0.8) and heard["norm"] == "l2" and heard["size"] == 5
    assert 0 <= heard["seed"] < 2**32 and heard["aim"].tolist() == [1]
    with pytest.raises(AttackError, match="takes no target_classes"):
        run(step, target=1)
    with pytest.raises(AttackError, match="no setting sise"):
        run(nosy, sise=5)


@pytest.mark.parametrize(
    ("name", "text", "settings"),
    [
        ("foolbox:LinfPGD", LINF, {"steps": 5}),
        ("foolbox:L2DeepFoolAttack", "l2=3", {}),
        ("foolbox:SaltAndPepperNoiseAttack", "l2=3", {"steps": 5}),
        ("torchattacks:PGD", LINF, {"alpha": 0.02}),
        ("torchattacks:APGD", L2, {"steps": 5}),
        ("advlib:ddn", L2, {"steps": 20}),
        ("advlib:pgd_linf", LINF, {"steps": 5}),
        ("advlib:fmn", "l1=8", {"steps": 20}),
    ],
)
def test_named_attacks_keep_the_contract(name, text, settings):
    pytest.importorskip("adv_lib" if name[0] == "a" else name.partition(":")[0], reason="peers are not installed")
    attack = catalogue.function("attacks", name)

    def within(target, batch, budget, *, rng):
        """With few steps."""
        return attack(target, batch, budget, rng=rng, **settings)

    within.on_own_model = True
    budget = parse_budget(text)
    for kind in set(KINDS) - {"labels"}:
        check_within(within, kind, budget)
    check_repeats(within, budget)
    check_alone(within, budget)
    check_honest(catalogue.function("attacks", name) if text == LINF else step_of_ours)


def step_of_ours(target, batch, budget, *, rng):
    """Stands in where check_honest, which is linf, does not fit."""
    return catalogue.function("attacks", "fgsm")(target, batch, budget, rng=rng)


@pytest.mark.parametrize(
    ("name", "cost", "settings"),
    [
        ("foolbox:LinfPGD", (5, 6), {"steps": 5}),  # it looks at its last images
        ("torchattacks:PGD", (5, 5), {"steps": 5}),
        ("torchattacks:Square", (0, None), {"n_queries": 20}),
        ("advlib:pgd_linf", (5, 5), {"steps": 5}),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_cost_is_counted_by_hooks(name, cost, settings, together):
    pytest.importorskip("adv_lib" if name[0] == "a" else name.partition(":")[0], reason="peers are not installed")
    for row in run(name, "linf=0.001", together=together, **settings).outcomes:
        assert row.gradient_evaluations == cost[0]
        assert row.model_evaluations == cost[1] or (cost[1] is None and row.model_evaluations > 5)


def test_passes_of_odd_sizes_are_shared_and_sum_up():
    def odd(model, images, targets):
        for _ in range(2):
            model(images[:3])
        inputs = torch.cat([images, images[:1]]).requires_grad_(True)
        model(inputs).sum().backward()
        return images

    rows = run(odd, together=True).outcomes
    assert sum(row.model_evaluations for row in rows) == 11 and sum(row.gradient_evaluations for row in rows) == 5
    assert {row.model_evaluations for row in rows} == {2, 3}


@pytest.mark.parametrize("attack", [3, "none", len, lambda model, images: images, lambda **all_of_it: None])
def test_what_is_no_attack_is_refused(attack):
    model = linear_model("two")
    data = examples(model)
    with pytest.raises((AttackError, PercussError), match="no attack|unknown attack"):
        percuss.attack(attack, model, data.images, data.targets, LINF)


@pytest.mark.parametrize(
    ("name", "text", "settings", "words"),
    [
        ("foolbox:LinfPDG", LINF, {}, "foolbox has no such attack: LinfPDG. Allowed: LinfPGD"),
        ("torchattacks:PGDL2", LINF, {}, "PGDL2 does not work under this norm: linf=0.1. Allowed: l2"),
        ("advlib:ddn", "linf=0.1", {}, "does not work under this norm"),
        ("cleverhans:PGD", LINF, {}, "unknown source of attacks: cleverhans:PGD. Allowed: foolbox:NAME"),
        ("foolbox:", LINF, {}, "unknown source of attacks"),
        ("foolbox:LinfPGD", LINF, {"confidence": 0.9}, "takes no confidence or keep"),
        ("torchattacks:PGD", LINF, {"keep": "last"}, "takes no confidence or keep"),
        ("torchattacks:PGD", LINF, {"epochs": 3}, "has no setting epochs"),
    ],
)
def test_what_cannot_be_is_refused(name, text, settings, words):
    pytest.importorskip("foolbox", reason="peers are not installed")
    with pytest.raises(AttackError, match=words):
        run(name, text, **settings)


def test_several_labels_are_refused_by_name_and_taken_by_callables():
    pytest.importorskip("torchattacks", reason="torchattacks is not installed")
    with pytest.raises(AttackError, match="takes one class per image: multilabel"):
        run("torchattacks:PGD", kind="labels")

    def labels(model, images, targets, eps):
        images.requires_grad_(True)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(images), targets)
        return (images + eps * torch.autograd.grad(loss, images)[0].sign()).clamp(0, 1)

    assert all(row.success for row in run(labels, kind="labels").outcomes)


@pytest.mark.parametrize("name", ["foolbox:LinfPGD", "torchattacks:PGD", "advlib:pgd_linf"])
def test_a_wanted_class_is_passed_on(name):
    pytest.importorskip("adv_lib" if name[0] == "a" else name.partition(":")[0], reason="peers are not installed")
    rows = run(name, "linf=0.3", kind="seven", target=2, steps=40).outcomes
    assert {row.prediction for row in rows if row.success and row.clean_prediction != "2"} == {"2"}


def test_a_library_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(AttackError, match="the library foolbox cannot be imported.*pip install foolbox"):
        run("foolbox:LinfPGD")


def test_a_factory_needs_the_flag(tmp_path, monkeypatch):
    body = "ran = []\nran.append(1)\ndef still(model, images, targets):\n    return images\n"
    (tmp_path / "their_attack.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    model = linear_model("two")
    data = examples(model)
    name = "factory:their_attack:still"
    with pytest.raises(AttackError, match="runs code of its own.*--allow-code"):
        percuss.attack(name, model, data.images, data.targets, LINF)
    assert "their_attack" not in sys.modules
    found = percuss.attack(name, model, data.images, data.targets, LINF, allow_code=True)
    assert torch.equal(found, data.images)
    for wrong in ("factory:their_attack:lost", "factory:no_such_module:f"):
        with pytest.raises(AttackError, match="factory cannot be imported"):
            percuss.attack(wrong, model, data.images, data.targets, LINF, allow_code=True)


def test_ours_stay_ours():
    function = catalogue.function("attacks", "pgd")
    assert adopt(function) is function


def test_a_smallest_change_beyond_the_budget_is_no_breach():
    pytest.importorskip("adv_lib", reason="adv-lib is not installed")
    swept = run("advlib:ddn", "l2=0.01", steps=20)
    assert swept.notes == [] and not any(row.success for row in swept.outcomes)


def test_numpy_and_float64_are_taken():
    def by_numpy(model, images, targets, eps=0.1):
        return step(model, images, targets, eps).detach().numpy().astype(np.float64)

    assert torch.equal(run(by_numpy).images[LINF], run(step).images[LINF])


def test_global_randomness_is_seeded_and_put_back():
    def random(model, images, targets, eps):
        noise = torch.rand(images.shape) + float(np.random.rand())  # noqa: NPY002
        return (images + noise.sub(1).clamp(-eps, eps)).clamp(0, 1)

    model, budget = linear_model("three"), [parse_budget(LINF)]
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = run_attack(adopt(random), model, examples(model), budget).images[LINF]
    after = float(torch.rand(())), float(np.random.rand())  # noqa: NPY002
    assert torch.equal(first, run_attack(adopt(random), model, examples(model), budget).images[LINF])
    check_alone(adopt(random), parse_budget(LINF))
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    assert after == (float(torch.rand(())), float(np.random.rand()))  # noqa: NPY002
