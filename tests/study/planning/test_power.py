"""Formulas against published examples, exact enumeration and statsmodels."""

import math

import numpy as np
import pytest
from scipy.stats import binom, norm
from statsmodels.stats.power import normal_sample_size_one_tail

from percuss.core.errors import UsageError
from percuss.study.planning.power import (
    choice_formula,
    choice_power,
    choice_size,
    d_prime,
    held_to_margin,
    paired_power,
    paired_size,
    percent_correct,
    score_upper,
)


def test_tango_1998_contact_lenses():
    # 44 patients, one discordant pair, margin 0.1: Z = 1.709 (Tango 1998).
    z = (0.1 - 1 / 44) / math.sqrt(float(held_to_margin(1 / 44, 0, 0.1)) / 44)
    assert z == pytest.approx(1.709, abs=5e-4)


@pytest.mark.parametrize(
    ("harmful", "helpful", "margin"), [(0.1, 0.1, 0.1), (0.3, 0.05, 0.2), (0, 0.2, 0.05), (0, 0, 0.3)]
)
def test_the_restricted_variance_is_that_of_the_most_likely_table(harmful, helpful, margin):
    q = np.linspace(1e-9, (1 - margin) / 2 - 1e-9, 400_001)
    same = 1 - harmful - helpful
    likelihood = harmful * np.log(q + margin) + helpful * np.log(q) + same * np.log(1 - 2 * q - margin)
    best = q[likelihood.argmax()]
    assert float(held_to_margin(harmful, helpful, margin)) == pytest.approx(2 * best + margin - margin**2, abs=1e-5)


def test_margin_nought_is_connors_formula_by_hand_and_statsmodels():
    # Connor 1987: (z_a sqrt(psi) + z_b sqrt(psi - d^2))^2 / d^2
    by_hand = (1.959964 * math.sqrt(0.2) + 0.841621 * math.sqrt(0.19)) ** 2 / 0.01
    peer = normal_sample_size_one_tail(0.1, 0.8, 0.025, std_null=math.sqrt(0.2), std_alternative=math.sqrt(0.19))
    size = paired_size(0.2, 0.1, 0.0, alpha=0.025, power=0.8, test="score")
    assert size == math.ceil(by_hand) == math.ceil(peer) == 155


@pytest.mark.parametrize(("margin", "discordance"), [(0.1, 0.2), (0.1, 0.12), (0.0, 0.2)])
def test_alpha_holds_at_the_margin_by_enumeration(margin, discordance):
    """The score test's true size with 150 pairs, over all tables, is near alpha: what the sizes rest on."""
    n = 150
    ahead = np.arange(n + 1)[:, None]
    behind = np.arange(n + 1)[None, :]
    harmful, helpful = (discordance + margin) / 2, (discordance - margin) / 2
    chance = binom.pmf(ahead, n, harmful) * binom.pmf(behind, n - ahead, helpful / (1 - harmful))
    inside = ahead + behind <= n
    seen = (ahead - behind) / n
    spread = np.where(inside, held_to_margin(ahead / n, np.minimum(behind, n - ahead) / n, margin), 1.0) / n
    rejected = inside & (margin - seen > 0) & (margin - seen >= norm.isf(0.025) * np.sqrt(spread))
    assert 0.008 < chance[rejected].sum() < 0.035


def test_power_by_formula_is_near_the_exact_conditional_power():
    # McNemar, 0.32 against 0.08, 50 pairs, one-sided 0.05: the exact test has less power than the normal formula.
    counts = np.arange(51)
    exact = float((binom.pmf(counts, 50, 0.4) * binom.sf(binom.isf(0.05, counts, 0.5), counts, 0.8)).sum())
    formula = paired_power(50, 0.4, 0.24, margin=0.0, alpha=0.05, test="score")
    assert exact == pytest.approx(0.839, abs=1e-3) and exact < formula < exact + 0.06


@pytest.mark.parametrize(
    ("limit", "first", "always"), [(0.75, 26, 28), (0.70, 39, 43), (0.65, 68, 77), (0.60, 158, 164)]
)
def test_choice_sizes_are_those_from_which_on_the_power_holds(limit, first, always):
    enough = [n for n in range(1, 400) if choice_power(n, limit, 0.5, alpha=0.05) >= 0.8]
    assert enough[0] == first
    assert choice_size(limit, 0.5, alpha=0.05, power=0.8) == always
    assert enough[enough.index(always) :] == list(range(always, 400))


def test_choice_power_is_exact_and_symmetric():
    # Reject 0.75 with 26 trials where at most 15 are right.
    assert binom.cdf(15, 26, 0.75) <= 0.05 < binom.cdf(16, 26, 0.75)
    assert choice_power(26, 0.75, 0.5, alpha=0.05) == pytest.approx(binom.cdf(15, 26, 0.5))
    assert choice_power(26, 0.25, 0.5, alpha=0.05) == pytest.approx(choice_power(26, 0.75, 0.5, alpha=0.05))


def test_the_normal_formula_of_choices_is_that_of_statsmodels():
    peer = normal_sample_size_one_tail(0.1, 0.8, 0.05, std_null=0.5, std_alternative=math.sqrt(0.24))
    assert choice_formula(0.5, 0.6, alpha=0.05, power=0.8) == math.ceil(peer)
    assert choice_size(0.5, 0.505, alpha=0.05, power=0.8) == choice_formula(0.5, 0.505, alpha=0.05, power=0.8)


def test_d_prime_and_share_right_are_inverse():
    # Macmillan and Creelman: 75 % right in 2AFC is d' 0.95.
    assert d_prime(0.75) == pytest.approx(0.954, abs=5e-4) and percent_correct(0.0) == 0.5
    assert percent_correct(d_prime(0.9)) == pytest.approx(0.9)
    with pytest.raises(UsageError, match="above 0 and below 1"):
        d_prime(1.0)


def test_every_pair_harmful_leaves_all_possible():
    assert score_upper(7, 0, 7) == 1.0 and score_upper(0, 7, 7) < 0
