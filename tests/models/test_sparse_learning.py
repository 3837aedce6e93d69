"""Learning the sparse detector's encoder: the share that was asked for, going on after a kill, fixed steps, errors."""

from dataclasses import replace

import pytest
import torch

from percuss.core.errors import ModelError, RunError
from percuss.core.teller import Silent
from percuss.models import sparse_learning
from percuss.models.code_memory import CodeMemory
from percuss.models.lca import encode, standardise
from percuss.models.lca_solvers import Solver
from percuss.models.sparse_learning import Plan, learn_encoder
from percuss.models.threshold_search import Wanted, find_size, threshold_of

PLAN = Plan(atoms=8, kernel=6, stride=2, active=0.05, updates=8, seed=0)


def tiles(count=6, side=32):
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(count, 3, side // 4, side // 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear")


def learned(path, plan=PLAN, images=None, progress=None):
    return learn_encoder(tiles() if images is None else images, plan, path=path, progress=progress or Silent())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return learned(tmp_path_factory.mktemp("whole") / "state.safetensors")


def test_the_share_that_was_asked_for_is_active(whole):
    units = standardise(tiles())[0]
    _, info = encode(units, whole.dictionary, threshold=whole.threshold, stride=2)
    assert 1 - float(info.sparsity.mean()) == pytest.approx(0.05, rel=0.1), "on all six tiles; four were searched"
    facts = whole.facts
    assert facts["threshold"] == {"kind": "soft", "size": whole.threshold.size, "width": 0.0}
    assert (
        facts["converged"] == 1.0 and facts["violation"] <= 1e-3 and facts["sparsity"] == pytest.approx(0.95, abs=0.01)
    )
    assert 0 < facts["energy_share"] < 1 and facts["images"] == 6 and facts["measured_on"] == 4
    assert [row["step"] for row in facts["history"]] == list(range(1, 9))


def test_learning_lowers_the_energy(tmp_path):
    plan = replace(PLAN, threshold=1.0)
    first = learned(tmp_path / "a", replace(plan, updates=0)).facts
    later = learned(tmp_path / "b", replace(plan, updates=16)).facts
    assert later["energy"] < 0.95 * first["energy"] and later["threshold"]["size"] == 1.0


@pytest.mark.parametrize("stop", [0, 3])
def test_a_killed_learning_ends_with_the_same_encoder(whole, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(sparse_learning, "EVERY", 0.0)

    class Kill(Silent):
        def __init__(self):
            self.left = stop

        def advance(self, count=1):
            if count and self.left == 0:
                raise KeyboardInterrupt
            self.left -= count

    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        learned(path, progress=Kill())
    found = learned(path)
    assert torch.equal(found.dictionary, whole.dictionary) and found.facts == whole.facts
    assert learned(path, images=tiles().flip(0)).facts == whole.facts, "a finished one is read, in any order"
    with pytest.raises(RunError, match="another learning"):
        learned(path, replace(PLAN, seed=1))


@pytest.mark.parametrize("kind", ["hard", "firm"])
def test_other_thresholds_are_found_too(kind):
    units = standardise(tiles(3))[0]
    atoms = torch.nn.functional.normalize(torch.randn(8, 3 * 36, generator=torch.Generator().manual_seed(0)))
    atoms = atoms.view(8, 3, 6, 6)
    size, share = find_size(units, atoms, Wanted(kind, 0.1, 2))
    assert share == pytest.approx(0.1, rel=0.1)
    rule = threshold_of(kind, size)
    assert rule.kind == kind and rule.width == (size if kind == "firm" else 0)
    _, info = encode(units, atoms, threshold=rule, stride=2)
    assert 1 - float(info.sparsity.mean()) == pytest.approx(share)


@pytest.mark.parametrize("factor", [0.01, 0.3, 0.77, 1.0, 1.3, 3.1, 1000.0])
def test_a_guess_however_far_off_ends_at_the_same_share(factor, whole):
    units = standardise(tiles(3))[0]
    guess = factor * whole.threshold.size
    size, share = find_size(units, whole.dictionary, Wanted("soft", 0.05, 2), guess=guess)
    assert share == pytest.approx(0.05, rel=0.031) and 0.8 < size / whole.threshold.size < 1.25


def test_an_encoder_of_so_many_steps_tells_that_it_does_not_converge(tmp_path):
    facts = learned(
        tmp_path / "s", replace(PLAN, updates=2, solver=Solver("lca", tolerance=0, steps=5, tau=20.0))
    ).facts
    assert facts["solver"] == {"name": "lca", "tolerance": 0, "steps": 5, "tau": 20.0} and facts["converged"] == 0


def test_what_cannot_be_found_is_told(tmp_path):
    flat = torch.full((2, 3, 32, 32), 0.5)
    with pytest.raises(ModelError, match="no atom sees anything"):
        learned(tmp_path / "flat", images=flat)
    with pytest.raises(ModelError, match=r"no threshold makes so many.*0.9 wanted"):
        learned(tmp_path / "many", replace(PLAN, active=0.9))


def test_a_threshold_that_leaves_no_coefficient_is_told(tmp_path):
    """Its code would be empty for every tile, and the head could learn nothing from it."""
    empty = replace(PLAN, threshold=1e6, updates=2)
    for _ in range(2):  # the second time the finished state is read
        with pytest.raises(ModelError, match=r"code is empty.*soft threshold 1e\+06.*smaller threshold="):
            learned(tmp_path / "state.safetensors", empty)


def test_a_memory_keeps_small_codes_until_it_is_full():
    def double(images):
        return torch.where(images > 0.9, 2 * images, torch.zeros_like(images))

    images = tiles(3) * torch.tensor([1.0, 1.0, 1.2]).view(3, 1, 1, 1)
    memory = CodeMemory(limit=10**6)
    assert torch.equal(memory.codes(images, double), double(images))
    assert torch.equal(memory.codes(images, lambda missing: pytest.fail("known")), double(images))
    sparse = 8 * int(torch.count_nonzero(double(images)))
    assert memory.bytes == sparse and len(memory) == 3 and memory.found == 3
    dense = CodeMemory(limit=images[0].numel() * 4)
    dense.codes(images, lambda given: given + 1)
    assert len(dense) == 1 and dense.bytes == dense.limit
    assert torch.equal(dense.codes(images, lambda given: given + 1), images + 1)
