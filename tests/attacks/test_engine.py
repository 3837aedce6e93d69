"""The engine: carries, counts, freezes, re-measures, survives small memory, refuses broken models."""

import math

import pytest
import torch

from percuss.attacks.check import check_model
from percuss.attacks.engine import run_attack
from percuss.attacks.target import Attempt
from percuss.attacks.tensors import attack
from percuss.core.budget import parse_budget, parse_budgets
from percuss.core.errors import AttackError, ModelError, NoGradientError, PercussError
from percuss.core.images import Tensors
from percuss.core.model import Model, ModelInfo
from percuss.core.norms import distance
from percuss.core.outcome import Outcome
from percuss.testing.exact import examples, linear_model


def wrapped(forward, parameters=True):
    """A two-class model around a function of images."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(108, 2) if parameters else None

        def forward(self, x):
            return forward(self.layer, x.flatten(1))

    torch.manual_seed(0)
    return Model(Net(), ModelInfo("test", "classify", ("a", "b"), 3))


def test_larger_budgets_carry_and_never_lose_a_flip():
    model = linear_model("seven")
    data = examples(model, 12)
    swept = run_attack("pgd", model, data, parse_budgets("linf=0.1,0.4/255,0.02,0.05,0.3"))
    assert len(swept.outcomes) == 60 and isinstance(swept.outcomes[0], Outcome)
    flips = torch.tensor([row.success for row in swept.outcomes]).view(5, 12).int()
    stored = torch.tensor([row.success_stored for row in swept.outcomes]).view(5, 12).int()
    assert bool((flips.diff(dim=0) >= 0).all()) and bool((stored.diff(dim=0) >= 0).all())
    carried = [row for row in swept.outcomes if row.carried]
    assert carried and all(row.success for row in carried)
    assert any(row.gradient_evaluations == 0 for row in carried)
    assert all(row.gradient_evaluations > 0 for row in swept.outcomes if row.correct and not row.success)


def test_rows_are_measured_on_the_images_given_back():
    model = linear_model("three")
    data = examples(model)
    for text in ("linf=0.05", "l2=0.4", "l1=3", "l0=15%"):
        swept = run_attack("pgd", model, data, [parse_budget(text)])
        images = swept.images[text]
        for i, row in enumerate(swept.outcomes):
            change = images[i : i + 1] - data.images[i : i + 1]
            assert getattr(row, row.norm) == pytest.approx(float(distance(parse_budget(text).norm, change)))
            assert row.success == (int(model(images[i : i + 1]).argmax()) != int(data.targets[i]))
            saved = swept.stored[text][i : i + 1]
            assert row.success_stored == (int(model(saved).argmax()) != int(data.targets[i]))


def test_early_stop_saves_work_and_flipped_images_leave():
    model = linear_model("two")
    data = examples(model)
    quick = run_attack("pgd", model, data, [parse_budget("linf=0.5")]).outcomes
    whole = run_attack("pgd", model, data, [parse_budget("linf=0.5")], settings={"early_stop": False}).outcomes
    assert all(row.success and row.gradient_evaluations < 20 for row in quick)
    assert all(row.gradient_evaluations == 20 for row in whole)


def test_a_float_flip_that_would_not_store_goes_on():
    model = linear_model("two")
    data = examples(model)
    rows = run_attack("pgd", model, data, [parse_budget("linf=0.3")]).outcomes
    assert all(row.success and row.success_stored for row in rows)
    half = run_attack("pgd", model, data, [parse_budget("linf=0.49/255")]).outcomes
    assert not any(row.success_stored for row in half)


def test_confidence_is_reached_and_targets_are_hit():
    model = linear_model("three", scale=3)
    data = examples(model)
    sure = run_attack("pgd", model, data, [parse_budget("linf=0.5")], settings={"confidence": 0.95}).outcomes
    assert all(row.confidence >= 0.95 for row in sure)
    aimed = run_attack("pgd", model, data, [parse_budget("linf=0.5")], settings={"target": 2}).outcomes
    assert all(row.prediction == "2" for row in aimed)
    assert all(not row.success for row in aimed if row.label == "2")
    labels = linear_model("labels")
    data = examples(labels)
    aimed = run_attack("pgd", labels, data, [parse_budget("linf=0.5")], settings={"target": (1, 0, 1)}).outcomes
    assert all(row.prediction == "101" for row in aimed)


def test_restarts_only_add():
    model = linear_model("seven")
    data = examples(model, 12)
    one, three = (
        run_attack("noise", model, data, [parse_budget("l0=15%")], settings={"draws": 1, "restarts": n}).outcomes
        for n in (1, 3)
    )
    assert all(b.success >= a.success for a, b in zip(one, three, strict=True))
    assert sum(row.model_evaluations for row in three) > sum(row.model_evaluations for row in one)


def test_model_and_data_are_left_as_they_were():
    model = linear_model("two")
    model.train()
    next(model.parameters()).requires_grad_(False)
    data = examples(model)
    kept, flags = data.images.clone(), [p.requires_grad for p in model.parameters()]
    settings = {"steps": 3}
    run_attack("pgd", model, data, [parse_budget("l2=1")], settings=settings)
    assert model.training and flags == [p.requires_grad for p in model.parameters()]
    assert torch.equal(kept, data.images) and settings == {"steps": 3}
    assert all(p.grad is None for p in model.parameters())


def test_small_memory_halves_the_batch():
    inner = linear_model("two")
    sizes = []

    class Tight(torch.nn.Module):
        def forward(self, x):
            sizes.append(len(x))
            if len(x) > 3:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
            return inner(x)

    model = Model(Tight(), inner.info)
    data = examples(inner)
    swept = run_attack("pgd", model, data, [parse_budget("linf=0.3")], batch_size=8)
    plain = run_attack("pgd", inner, data, [parse_budget("linf=0.3")])
    assert torch.allclose(swept.images["linf=0.3"], plain.images["linf=0.3"], atol=1e-6)
    assert swept.notes == [
        "out of memory with 8 images; went on with 4",
        "out of memory with 4 images; went on with 2",
    ]


def test_other_errors_are_not_taken_for_memory():
    def broken(layer, x):
        raise RuntimeError("shapes differ")

    with pytest.raises(ModelError, match="the network fails on images of shape.*RuntimeError: shapes differ"):
        run_attack("pgd", wrapped(broken), examples(linear_model("two")), [parse_budget("linf=0.3")])


@pytest.mark.parametrize(
    "forward",
    [
        lambda layer, x: layer(x.detach()),
        lambda layer, x: layer((x * 255).round() / 255),
        lambda layer, x: layer(x).detach(),
        lambda layer, x: layer(torch.zeros_like(x) + x.sum() * 0),
    ],
    ids=["detached input", "rounded input", "detached output", "constant"],
)
def test_a_model_without_gradient_is_refused(forward):
    model = wrapped(forward)
    data = examples(linear_model("two"))
    with torch.no_grad():
        data.targets = model(data.images).argmax(1)
    with pytest.raises(NoGradientError, match="no gradient reaches the input"):
        run_attack("pgd", model, data, [parse_budget("linf=0.1")])
    with pytest.raises(NoGradientError, match="no gradient reaches the input"):
        check_model(model, data.images, data.targets)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_refused(value):
    model = wrapped(lambda layer, x: layer(x) * value)
    data = examples(linear_model("two"))
    with pytest.raises(ModelError, match="logits hold NaN or infinity"):
        run_attack("fgsm", model, data, [parse_budget("linf=0.1")])
    with pytest.raises(ModelError, match="logits hold NaN or infinity") as caught:
        check_model(model, data.images, data.targets)
    assert not isinstance(caught.value, NoGradientError)


def test_wrong_output_shape_is_refused():
    model = wrapped(lambda layer, x: torch.cat([layer(x), layer(x)], 1))
    data = examples(linear_model("two"))
    with pytest.raises(ModelError, match="output has the wrong shape"):
        check_model(model, data.images, data.targets)


def test_a_random_forward_is_a_finding():
    model = wrapped(lambda layer, x: layer(x + torch.randn_like(x)))
    data = examples(linear_model("two"))
    findings = check_model(model, data.images, data.targets)
    assert [(f.id, f.severity) for f in findings] == [("nondeterministic-forward", "severe")]
    assert check_model(linear_model("two"), data.images, data.targets) == []


def test_silent_images_are_a_finding():
    def half(layer, x):
        alive = (torch.arange(len(x)) % 2 == 0).float().unsqueeze(1)
        return layer(x) * alive + (1 - alive) * torch.tensor([1.0, 0.0])

    data = examples(linear_model("two"))
    assert [f.id for f in check_model(wrapped(half), data.images, data.targets)] == ["zero-gradients"]


@pytest.mark.parametrize(
    ("name", "settings", "error", "words"),
    [
        ("pdg", {}, PercussError, "unknown attack: pdg. Allowed: pgd"),
        ("pgd", {"step": 3}, AttackError, "pgd has no setting step. Allowed: steps?"),
        ("pgd", {"steps": 0}, AttackError, "steps is too small: 0"),
        ("pgd", {"step_size": -1}, AttackError, "step_size is too small"),
        ("pgd", {"target": 9}, AttackError, "target is no class: 9. Allowed: 0 to 1"),
        ("pgd", {"restarts": 0}, AttackError, "restarts is too small"),
        ("pgd", {"keep": "first"}, AttackError, "setting keep: first"),
        ("pgd", {"confidence": 2}, AttackError, "not a probability: 2"),
        ("noise", {"draws": 0}, AttackError, "draws is too small"),
        ("foote", {"steps": 0}, AttackError, "must be above 0"),
    ],
)
def test_wrong_settings(name, settings, error, words):
    model = linear_model("two")
    with pytest.raises(error, match=words):
        run_attack(name, model, examples(model), [parse_budget("linf=0.1")], settings=settings)


def test_norms_are_not_mixed():
    model = linear_model("two")
    with pytest.raises(AttackError, match="budgets of one norm"):
        run_attack("pgd", model, examples(model), [parse_budget("linf=0.1"), parse_budget("l2=1")])
    with pytest.raises(AttackError, match="have no size"):
        run_attack("pgd", model, examples(model), [parse_budget("l1=1")], settings={"step_size": 0.1})


def test_an_empty_batch_gives_no_rows():
    model = linear_model("two")
    data = examples(model)
    none = Tensors([], data.images[:0], data.targets[:0], [], data.range)
    assert run_attack("pgd", model, none, [parse_budget("linf=0.1")]).outcomes == []


def test_tensors_in_tensors_out():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, 1)).train()
    images = examples(linear_model("two")).images
    targets = (net(images).flatten() > 0).long()
    found = attack("pgd", net, images, targets, "linf=0.2", seed=1, steps=5)
    assert found.shape == images.shape and float((found - images).abs().max()) <= 0.2 + 1e-6
    assert torch.equal(found, attack("pgd", net, images, targets, "linf=0.2", seed=1, steps=5, batch_size=3))
    assert net.training and all(part.training for part in net)


def test_an_attack_may_be_a_function():
    def still(target, batch, budget, *, rng):
        return Attempt(batch.images)

    model = linear_model("two")
    swept = run_attack(still, model, examples(model), [parse_budget("linf=0.1")])
    assert {row.attack for row in swept.outcomes} == {"still"} and not any(row.success for row in swept.outcomes)
