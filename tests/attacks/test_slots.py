"""Images under attack: what the rise of the margin says of the steps to go."""

import math

import torch

from percuss.attacks.moves import Place
from percuss.attacks.slots import SPAN, Slots, joined, part
from percuss.core.budget import Norm
from percuss.core.norms import Room


def slots(count=2):
    images = torch.full((count, 1, 2, 2), 0.5)
    place = Place.at(torch.zeros_like(images), Room.of(images), Norm.L2)
    return Slots.at(torch.arange(count), torch.full((count,), 3), place)


def after(*margins):
    held = slots(len(margins[0]))
    for row in margins:
        held = held.seen(torch.tensor(row, dtype=torch.float64))
    return held


def test_steps_to_go_are_exact_where_the_margin_rises_evenly():
    held = after([-10.0, -4.0], [-9.0, -3.0], [-8.0, -2.0], [-7.0, -1.0])
    assert held.needed().tolist() == [7.0, 1.0]


def test_unknown_before_the_span_is_over_is_no_reason_to_give_up():
    held = after(*[[-10.0, -4.0]] * SPAN)
    assert held.needed().tolist() == [0.0, 0.0]
    assert not math.isinf(held.needed()[0])


def test_no_rise_means_no_end():
    assert math.isinf(after(*[[-1.0]] * (SPAN + 1)).needed()[0])
    assert math.isinf(after([-1.0], [-1.1], [-1.2], [-1.3]).needed()[0])


def test_a_step_that_lowers_the_margin_halves_the_next_ones():
    held = after([-3.0, -3.0], [-2.0, -3.5], [-2.5, -3.0], [-2.6, -2.0])
    assert held.shrink.tolist() == [0.25, 0.5]


def test_beginning_anew_forgets_some_alone():
    held = after([-3.0, -3.0], [-2.0, -3.5])
    held = held.moved(held.place).begun_anew(torch.tensor([True, False]), torch.tensor([2, 3]))
    assert held.step.tolist() == [0, 1] and held.size.tolist() == [2, 3] and held.shrink.tolist() == [1, 0.5]
    assert held.trail[0].isinf().all() and held.trail[1, -1] == -3.5


def test_parts_join_to_the_whole():
    held = after([-3.0, -1.0, 2.0], [-2.0, 0.0, 1.0])
    whole = joined(part(held, 0, 1), part(held, 1))
    assert whole.row.tolist() == [0, 1, 2] and torch.equal(whole.trail, held.trail)
    assert torch.equal(whole.shrink, held.shrink)
