"""Which attacks go on, which are given up and which are made again."""

import torch

from percuss.attacks.effort import EFFORTS, Effort
from percuss.attacks.moves import Place
from percuss.attacks.prospects import Prospects
from percuss.attacks.slots import SPAN, Slots
from percuss.core.budget import Norm
from percuss.core.norms import Room
from percuss.testing.exact import linear_model

THREE, TWO = linear_model("three"), linear_model("two")


def slots(now, rise, *, step=6, size=1):
    """Attacks whose margin is ``now`` and rises by ``rise`` a step."""
    now, rise = torch.tensor(now, dtype=torch.float64), torch.tensor(rise, dtype=torch.float64)
    images = torch.full((len(now), 1, 2, 2), 0.5)
    held = Slots.at(torch.arange(len(now)), torch.full((len(now),), size), Place.at(images, Room.of(images), Norm.L2))
    for _ in range(step):
        held = held.moved(held.place)
    for back in range(SPAN, -1, -1):
        held = held.seen(now - back * rise)
    return held


CLEAN = torch.tensor([-4.0, -4.0, -4.0], dtype=torch.float64)


def test_far_ones_are_given_up_near_ones_go_on():
    found = Prospects.of(Effort(hope=25.0, further=20), Norm.L2, THREE)
    held = slots([-2.0, -2.0, -2.0], [0.2, 0.05, 0.0])  # 10, 40 and endlessly many steps to go
    assert found.in_vain(held, CLEAN).tolist() == [False, True, True]
    assert found.further(held).tolist() == [20, 0, 0]


def test_nothing_is_given_up_before_the_trial_is_over():
    held = slots([-2.0, -2.0, -2.0], [0.2, 0.05, 0.0], step=4)
    assert not Prospects.of(Effort(), Norm.L2, THREE).in_vain(held, CLEAN).any()


def test_nearly_over_is_not_given_up_and_is_tried_again():
    found = Prospects.of(Effort(again=1, nearly=0.03), Norm.L2, THREE)
    held = slots([-0.1, -0.2, -0.1], [0.0, 0.0, 0.01])
    assert found.in_vain(held, CLEAN).tolist() == [False, True, False]
    assert found.more(held, CLEAN, top=7).tolist() == [1, 0, 1]
    assert not Prospects.of(EFFORTS["quick"], Norm.L2, THREE).more(held, CLEAN, top=7).any()


def test_at_the_largest_size_another_attack_is_made_unless_it_is_far_off():
    held = slots([-2.0, -2.0, -2.0], [0.2, 0.05, 0.001])  # 10, 40, 2000
    assert Prospects.of(Effort(), Norm.L2, THREE).more(held, CLEAN, top=1).tolist() == [1, 1, 0]
    assert Prospects.of(Effort(), Norm.L2, TWO).more(held, CLEAN, top=1).tolist() == [1, 0, 0]
    assert not Prospects.of(Effort(), Norm.L2, THREE).more(held, CLEAN, top=2).any()


def test_norms_whose_steps_have_no_length_are_left_alone():
    held = slots([-2.0, -2.0, -2.0], [0.2, 0.05, 0.0])
    for norm in (Norm.L1, Norm.L0, Norm.NONE):
        found = Prospects.of(Effort(), norm, THREE)
        assert not found.in_vain(held, CLEAN).any() and not found.further(held).any()
        assert found.more(held, CLEAN, top=1).tolist() == [1, 1, 1]
