"""Balanced copies, shares of an epoch, and turns by any angle."""

import pytest
import torch

from percuss.core.errors import UsageError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model, ModelInfo
from percuss.defend.pool import Drawn, Pool
from percuss.defend.settings import make_settings
from percuss.defend.training import TrainData, fit
from percuss.defend.turning import draw_turns, turned
from percuss.pipeline.progress import Progress

TARGETS = torch.tensor([0] * 20 + [1] * 3 + [2] * 7)
IDS = [f"image {i}" for i in range(30)]


def settings(**options):
    return make_settings(**{"augment": "rotate180zoom", "device": "cpu", "batch_size": 8, "epochs": 2} | options)


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def test_each_class_is_filled_up_evenly_and_none_is_cut():
    pool = Pool.of(TARGETS, settings(balance=10))
    counts = torch.bincount(pool.rows, minlength=30)
    assert torch.bincount(TARGETS[pool.rows]).tolist() == [20, 10, 10]
    for name in range(3):
        own = counts[name == TARGETS]
        assert int(own.max()) - int(own.min()) <= 1 and int(own.min()) >= 1
    # Every copy of an image has a number of its own, and one of them is the image itself.
    pairs = set(zip(pool.rows.tolist(), pool.copies.tolist(), strict=True))
    assert len(pairs) == 40 and {(row, 0) for row in range(30)} <= pairs


def test_copies_are_the_same_in_every_epoch_and_images_stay():
    chosen = settings(balance=10)
    pool, images = Pool.of(TARGETS, chosen), torch.rand(30, 3, 8, 8, generator=drawn())
    batch = torch.arange(len(pool.rows))

    def once(part, seed):
        rows = pool.rows[part]
        names = [IDS[row] for row in rows.tolist()]
        own = Drawn(names, images[rows], TARGETS[rows])
        return pool.augmented(own, part, settings=chosen, generator=drawn(seed)).images

    found = once(batch, 1)
    assert torch.equal(found, once(batch, 2)) and torch.equal(found[30:35], once(batch[30:35], 3))
    still = (found == images[pool.rows]).flatten(1).all(1)
    assert torch.equal(still, pool.copies == 0)
    several = [found[(pool.rows == row) & (pool.copies > 0)] for row in range(20, 23)]
    assert all(len(part) >= 2 and not torch.equal(part[0], part[1]) for part in several)


def test_without_balance_each_epoch_draws_anew():
    chosen = settings()
    pool, images = Pool.of(TARGETS, chosen), torch.rand(30, 1, 8, 8, generator=drawn())
    batch = torch.arange(30)
    own = Drawn(IDS, images, TARGETS)
    one, two = (pool.augmented(own, batch, settings=chosen, generator=drawn(s)).images for s in (1, 2))
    assert not torch.equal(one, two) and not bool((one == images).flatten(1).all(1).any())


def test_an_epoch_takes_its_share_and_all_images_come_up():
    chosen = settings(epoch_share=0.1)
    pool = Pool.of(TARGETS, chosen)
    orders = [pool.order(chosen, drawn(epoch)) for epoch in range(100)]
    assert {len(order) for order in orders} == {3} and len(torch.cat(orders).unique()) == 30
    assert sorted(pool.order(settings(), drawn()).tolist()) == list(range(30))


def model():
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(4, 3))
    return Model(network, ModelInfo("net", "classify", ("a", "b", "c"), 1))


def data():
    images = torch.rand(30, 1, 8, 8, generator=drawn()) * 0.5 + TARGETS.view(-1, 1, 1, 1) * 0.2
    part = Tensors(IDS, images.clamp(0, 1), TARGETS, [None] * 30, PixelRange())
    return TrainData(part, part)


def test_a_training_sees_the_copies(tmp_path, monkeypatch):
    seen = []
    held = Pool.augmented

    def counting(self, images, batch, **more):
        seen.extend(TARGETS[self.rows[batch]].tolist())
        return held(self, images, batch, **more)

    monkeypatch.setattr(Pool, "augmented", counting)
    fit(model(), data(), settings(balance=20, epochs=1), out=tmp_path / "a", progress=Progress())
    assert torch.bincount(torch.tensor(seen)).tolist() == [20, 20, 20]


def test_a_small_gain_is_no_gain_under_min_delta(tmp_path):
    options = {"epochs": 12, "patience": 3, "lr": 1e-3, "augment": "none", "optimiser": "sgd", "schedule": "none"}
    strict = fit(model(), data(), settings(min_delta=5.0, **options), out=tmp_path / "a", progress=Progress())
    loose = fit(model(), data(), settings(**options), out=tmp_path / "b", progress=Progress())
    assert strict.best_epoch == 1 and len(strict.history) == 4 and strict.stopped_early
    assert loose.best_epoch > 1 and len(loose.history) > 4


def test_settings_that_cannot_be_honoured():
    with pytest.raises(UsageError, match=r"balance cannot be used: 10.*only with --augment"):
        make_settings(balance=10)
    for wrong in ({"epoch_share": 0}, {"epoch_share": 1.1}, {"min_delta": -1}, {"balance": 0, "augment": "flips"}):
        with pytest.raises(UsageError, match=f"option {next(iter(wrong))} cannot be used"):
            make_settings(**wrong)
    with pytest.raises(UsageError, match="balance needs images of one class each"):
        Pool.of(torch.zeros(4, 3), settings(balance=10))


def test_left_alone_they_are_no_part_of_the_identity():
    whole = make_settings().identity()
    assert whole == make_settings(epoch_share=1.0, min_delta=0.0).identity()
    assert len({whole, make_settings(epoch_share=0.5).identity(), make_settings(min_delta=0.1).identity()}) == 3


def test_a_turn_keeps_a_round_picture_and_moves_what_points():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    ring = torch.exp(-((torch.hypot(rows - 31.5, columns - 31.5) - 12) ** 2) / 8).expand(40, 1, 64, 64)
    bar = ((rows - 31.5).abs() < 3).float().expand(40, 1, 64, 64)
    found, crossed = (turned(images, drawn(), name="rotate180zoom") for images in (ring, bar))
    # A ring stays a ring of nearly the same mass wherever it is turned; zoom changes it by a tenth each way.
    mass = found.sum((1, 2, 3)) / ring.sum((1, 2, 3))
    assert 0.75 < float(mass.min()) < float(mass.max()) < 1.3
    heights = (crossed[:, 0].amax(2) > 0.5).sum(1)
    assert int(heights.min()) < 20 and int(heights.max()) == 64, "some bars lie, some stand"


@pytest.mark.parametrize("augment", ["flips", "rotate20", "rotate20shift", "rotate180zoom"])
def test_class_maps_move_with_their_images(augment):
    # Large squares of each class, and images that show the class as their grey level.
    maps = torch.randint(0, 4, (12, 4, 4), generator=drawn(), dtype=torch.uint8)
    maps = maps.repeat_interleave(16, 1).repeat_interleave(16, 2)
    own = Drawn(IDS[:12], maps.unsqueeze(1).float() / 4, maps)
    found = Pool.of(maps, settings(augment=augment)).augmented(
        own, torch.arange(12), settings=settings(augment=augment), generator=drawn(1)
    )
    assert found.targets.dtype == torch.uint8 and not torch.equal(found.targets, maps)
    judged = found.targets != 255
    same = (found.images[:, 0] * 4).round() == found.targets
    # Between two squares an image is a mixture, so only there may the two disagree.
    assert float(same[judged].double().mean()) > (0.999 if augment == "flips" else 0.9)
    assert bool(judged.all()) if augment == "flips" else 0.6 < float(judged.double().mean()) < 1


def test_what_turns_into_a_map_from_outside_is_not_judged():
    images, maps = torch.ones(30, 1, 16, 16), torch.full((30, 16, 16), 2, dtype=torch.uint8)
    maps[:, 4, 4] = 255
    found = draw_turns(images.shape, drawn(), name="rotate180zoom").maps(maps)
    assert set(found.unique().tolist()) == {2, 255} and bool((found == 255).flatten(1).any(1).all())
