"""Every attack of the catalogue keeps the contract; the paper's rule and the noise do what their pages say."""

import pytest
import torch

from percuss.attacks.engine import run_attack
from percuss.core.budget import parse_budget
from percuss.core.catalogue import entries
from percuss.testing.attacks import BUDGETS, check_attack
from percuss.testing.exact import examples, linear_model

# What these attacks take by themselves would take long here.
FEWER = {"square": {"queries": 60}, "as_autoattack": {"steps": 4, "queries": 10}, "standard": {"effort": "quick"}}
FEWER |= {"segsuite": {"effort": "quick"}, "narrow": {"steps": 12}, "layered": {"steps": 4}}
FEWER |= {name: {"steps": 8} for name in ("remove", "hallucinate", "segpgd", "cospgd")}
FEWER |= {
    name: {"steps": 8}
    for name in ("implicit", "unrolled", "straight_through", "one_step", "sparse_code", "rescaled_fgsm")
}
FEWER |= {"unrolled": {"steps": 5, "iterations": 10}, "codesuite": {"effort": "quick"}, "code_noise": {"draws": 3}}
# The suite is nine attacks, each of which is tried within every norm by itself.
ONE = {"codesuite": ("l2=0.3",)}


@pytest.mark.parametrize("name", sorted(entries("attacks")))
def test_contract(name):
    check_attack(name, ONE.get(name, BUDGETS), settings=FEWER.get(name))


def test_the_catalogue_holds_the_promised_attacks():
    assert {"fgsm", "bim", "pgd", "noise", "foote"} <= set(entries("attacks"))


def test_foote_first_step_is_the_raw_gradient():
    model = linear_model("two")
    data = examples(model)
    settings = {"steps": 1, "step_size": 0.01, "early_stop": False, "keep": "last"}
    found = run_attack("foote", model, data, [parse_budget("none")], settings=settings).images["none"]
    inputs = data.images.clone().requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(model(inputs), data.targets, reduction="sum")
    (slope,) = torch.autograd.grad(loss, inputs)
    assert torch.allclose(found, (data.images + 0.01 * slope).clamp(0, 1), atol=1e-6)


def test_foote_needs_a_gradient_that_pgd_does_not():
    model = linear_model("two", scale=1e4)
    data = examples(model)
    budget = [parse_budget("linf=0.3")]
    with pytest.raises(Exception, match="no gradient"):  # softmax underflows: all zero, refused rather than "robust"
        run_attack("foote", model, data, budget)
    assert all(row.success for row in run_attack("pgd", model, data, budget).outcomes)


@pytest.mark.parametrize(("text", "size"), [("linf=0.01", "linf"), ("l2=0.2", "l2"), ("l1=1", "l1")])
def test_noise_has_the_full_size(text, size):
    model = linear_model("two")
    data = examples(model)
    data.images = data.images * 0.5 + 0.25
    data.targets = model(data.images).argmax(1).detach()
    row = run_attack("noise", model, data, [parse_budget(text)]).outcomes[0]
    assert getattr(row, size) == pytest.approx(row.eps, rel=1e-3)
    assert row.gradient_evaluations == 0 and row.model_evaluations >= 1
