"""The inner attack: ball, modes, row by row; divergences; defences by name."""

import pytest
import torch
from torch import nn

from percuss.core.budget import Norm
from percuss.core.errors import BudgetError, UsageError
from percuss.core.model import Model, ModelInfo, is_right, wide_logits
from percuss.core.norms import distance
from percuss.core.seeds import ImageRandom
from percuss.defend.climbing import Climb, mode, true_slope
from percuss.defend.divergence import apart_slope, divergence
from percuss.defend.hardening import Ground, step_length
from percuss.defend.library import defences, make_defence

EPS = 0.1
IDS = [f"image {i}" for i in range(40)]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.head = nn.BatchNorm1d(64), nn.Dropout(0.3), nn.Linear(64, 2)

    def forward(self, images):
        return self.head(self.drop(self.norm(images.flatten(1))))


@pytest.fixture
def made():
    torch.manual_seed(1)
    return Model(Net(), ModelInfo("net", "classify", ("a", "b"), 1))


@pytest.fixture
def images():
    return torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def targets(made, images):
    """What the model says, but for every tenth image."""
    with torch.no_grad():
        said = made(images).argmax(1)
    said[::10] = 1 - said[::10]
    return said


@pytest.mark.parametrize("name", ["eval", "train"])
def test_the_attack_leaves_modes_and_running_statistics(made, images, name):
    made.train()
    made.network.head.eval()
    before = {key: value.clone() for key, value in made.state_dict().items()}
    with mode(made, name):
        assert made.network.norm.training == made.network.head.training == (name == "train")
        made(images)
    assert made.training and made.network.drop.training and not made.network.head.training
    assert all(torch.equal(value, made.state_dict()[key]) for key, value in before.items())


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2])
def test_inner_attacks_stay_in_the_ball_and_do_not_depend_on_batch_mates(made, images, targets, norm):
    climb = Climb(norm, 0.3, 3, step_length(0.3, 3, None))

    def attacked(rows):
        rng, slope = ImageRandom(0, [IDS[i] for i in rows], "x"), true_slope(targets[rows], "classify")
        return climb.attacked(made, images[rows], slope, start=climb.start(images[rows], rng))

    whole = attacked(list(range(20)))
    assert float(distance(norm, whole - images[:20]).max()) <= 0.3 * (1 + 1e-5)
    assert float(whole.min()) >= 0 and float(whole.max()) <= 1
    assert torch.allclose(attacked([5, 3]), whole[[5, 3]], atol=1e-6)


def test_survivors_withstand_every_iterate(made, images, targets):
    climb = Climb(Norm.LINF, 0.02, 10, 0.005)
    start = climb.start(images, ImageRandom(0, IDS, "x"))
    found = climb.survivors(made, images, targets, start=start)
    last = climb.attacked(made, images, true_slope(targets, "classify"), start=start)
    right = is_right(made(images), targets, "classify")
    # The model is linear, so the largest margin that a ball can undo is known.
    part, head = made.network.norm, made.network.head.weight.detach()
    reach = 0.02 * float((head.diff(dim=0) * (part.weight.detach() / (part.running_var + part.eps).sqrt())).abs().sum())
    margin = made(images).diff(dim=1).flatten() * (2 * targets - 1)
    assert not bool(found[::10].any()) and 0 < int(found.sum()) < int(right.sum())
    assert bool((found <= (right & is_right(made(last), targets, "classify"))).all())
    assert torch.equal(found[margin > reach], right[margin > reach])


@pytest.mark.parametrize(("outputs", "task"), [(1, "classify"), (3, "classify"), (3, "multilabel")])
def test_divergence_is_that_of_torch_and_its_slope_is_its_gradient(outputs, task):
    made = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 5, outputs, generator=made, dtype=torch.float64) * 3
    second.requires_grad_(True)
    found = divergence(first, second, task)
    if task == "classify":
        ours, theirs = wide_logits(first).log_softmax(1), wide_logits(second).log_softmax(1)
        assert torch.allclose(found, nn.functional.kl_div(theirs, ours, reduction="none", log_target=True).sum(1))
    else:
        law = torch.distributions.Bernoulli
        wanted = torch.distributions.kl_divergence(law(logits=first), law(logits=second)).mean(1)
        assert torch.allclose(found, wanted)
    (slope,) = torch.autograd.grad(found.sum(), second)
    ours = apart_slope(first, task)(second.detach())
    assert torch.allclose(ours / ours.norm(dim=1, keepdim=True), slope / slope.norm(dim=1, keepdim=True))


def test_step_of_the_paper_with_seven_steps():
    assert step_length(0.4, 7, None) == pytest.approx(0.1) and step_length(0.4, 20, None) == pytest.approx(0.1)
    assert step_length(0.4, 1, None) == pytest.approx(0.7) and step_length(0.4, 7, 0.01) == 0.01


def test_bad_names_settings_and_norms():
    ground = Ground(Norm.LINF, EPS)
    with pytest.raises(UsageError, match=r"unknown defence: pdg\. Allowed: pgd"):
        make_defence("pdg", ground, {})
    with pytest.raises(UsageError, match="the defence fast has no setting of this name: ratio"):
        make_defence("fast", ground, {"ratio": 0.5})
    for setting in ({"ratio": 0}, {"ratio": 1.1}, {"steps": 0}, {"step_size": -1}, {"batch_norm": "both"}):
        with pytest.raises(UsageError, match=f"the setting {next(iter(setting))} cannot be used"):
            make_defence("pgd", ground, setting)
    with pytest.raises(BudgetError, match="a defence cannot use this norm: l0"):
        make_defence("pgd", Ground(Norm.L0, 0.1), {})


def test_every_defence_has_its_page_with_its_settings(root):
    assert {"fast", "free", "pgd", "trades"} <= set(defences())
    for name, module in defences().items():
        page = (root / "docs" / "defences" / f"{name}.md").read_text(encoding="utf-8")
        assert [key for key in module.Settings.model_fields if f"`{key}`" not in page] == [], name
