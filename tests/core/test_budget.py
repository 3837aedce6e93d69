"""Budget texts: what they mean, how they print, what is refused with which hint."""

import math

import pytest

from percuss.core.budget import Norm, parse_budget, parse_budgets
from percuss.core.errors import BudgetError
from percuss.core.images import PixelRange


@pytest.mark.parametrize(
    ("text", "norm", "eps"),
    [
        ("linf=2/255", Norm.LINF, 2 / 255),
        ("linf=0.01", Norm.LINF, 0.01),
        ("l2=25", Norm.L2, 25),
        ("l2=rms:0.01", Norm.L2, 0.01 * math.sqrt(3 * 8 * 8)),
        ("l1=10", Norm.L1, 10),
        ("l1=mad:0.5/255", Norm.L1, 0.5 / 255 * 192),
        ("l0=20%", Norm.L0, 0.2),
        ("l0=0.2", Norm.L0, 0.2),
        ("none", Norm.NONE, math.inf),
    ],
)
def test_meaning_and_text(text, norm, eps):
    budget = parse_budget(text)
    assert budget.norm is norm and str(budget) == text
    assert budget.eps((3, 8, 8)) == pytest.approx(eps)
    assert parse_budget(str(budget)) == budget


def test_native_units_need_their_unit():
    assert parse_budget("linf=2grey").eps((1, 4, 4), PixelRange()) == pytest.approx(2 / 255)
    assert parse_budget("linf=10HU").eps((1, 4, 4), PixelRange(-1350, 150, 1, "HU")) == pytest.approx(10 / 1500)
    with pytest.raises(BudgetError, match="needs images in HU"):
        parse_budget("linf=10HU").eps((1, 4, 4), PixelRange())
    with pytest.raises(BudgetError, match="needs images in grey level"):
        parse_budget("linf=1grey").eps((1, 4, 4))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("linff=1/255", "unknown norm: linff.*linf"),
        ("linf=-1/255", "finite size above zero"),
        ("linf=0", "finite size above zero"),
        ("l2=inf", "not a number"),
        ("linf=8", "did you mean linf=8/255"),
        ("linf=300/255", "Next: did you mean a size of at most 1"),
        ("l0=150%", "larger than the whole range"),
        ("linf=rms:0.1", "unknown measure"),
        ("l2=5%", "unit % does not fit"),
        ("l1=3grey", "unit grey does not fit"),
        ("none=1", "takes no size"),
        ("l2=", "not a number"),
        ("linf=1/0", "not a number"),
    ],
)
def test_refusals(text, words):
    with pytest.raises(BudgetError, match=words) as caught:
        parse_budget(text)
    assert caught.value.value is not None and caught.value.next_step


def test_lists_are_sorted_without_repeats():
    assert [str(b) for b in parse_budgets("linf=2/255,1/255,2/255")] == ["linf=1/255", "linf=2/255"]
    assert [str(b) for b in parse_budgets("none")] == ["none"]


@pytest.mark.parametrize("text", ["linf=2/255,l2=1", "linf=2/255,linf=8/255"])
def test_a_list_that_names_its_norm_again_says_how_it_is_written(text):
    with pytest.raises(BudgetError, match="several norms or equal signs") as caught:
        parse_budgets(text)
    assert "linf=2/255,..." in str(caught.value)


def test_ranges_are_spread_in_equal_ratios():
    found = parse_budgets("linf=0.25/255:8/255:6")
    assert [str(b) for b in found] == [f"linf={size}/255" for size in ("0.25", "0.5", "1", "2", "4", "8")]
    assert [str(b) for b in parse_budgets("l2=rms:0.001:0.1:3")] == ["l2=rms:0.001", "l2=rms:0.01", "l2=rms:0.1"]
    assert [str(b) for b in parse_budgets("l0=1%:4%:3")] == ["l0=1%", "l0=2%", "l0=4%"]
    assert len(parse_budgets("linf=0.25/255:8/255:6,16/255")) == 7


@pytest.mark.parametrize("text", ["8/255:1/255:4", "1/255:8:4", "1/255:8/255:1", "0:1/255:4", "1/255:2/255:2000"])
def test_ranges_that_are_none_are_refused(text):
    with pytest.raises(BudgetError, match="a range of sizes cannot be used.*FROM:TO:NUMBER"):
        parse_budgets(f"linf={text}")
