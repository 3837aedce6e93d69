"""Simulated answers keep their shares and correlations, and the planned tests hold their alpha."""

import numpy as np
import pytest
from scipy.stats import binomtest

from percuss.core.errors import UsageError
from percuss.study.planning.simulated_power import Model, Simulated, answers, simulate

PAIRS = {"values": (1, -1, 0), "test": "score", "alpha": 0.025}


def test_answers_have_the_shares_and_correlations_asked_for():
    model = Model(shares=(0.2, 0.1, 0.7), null=0.1, below=True, case_share=0.3, reader_share=0.1, **PAIRS)
    found = answers(model, (4000, 12, 5), np.random.default_rng(0)).astype(float)
    assert [(found == value).mean() for value in (1, -1, 0)] == pytest.approx([0.2, 0.1, 0.7], abs=0.006)
    apart = found - 0.1
    spread = 0.3 - 0.01
    assert (apart[:, :, 0] * apart[:, :, 1]).mean() / spread == pytest.approx(0.3, abs=0.03)
    assert (apart[:, 0] * apart[:, 1]).mean() / spread == pytest.approx(0.1, abs=0.03)
    assert (apart[:, 0, 0] * apart[:, 1, 1]).mean() == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("readers", "case_share", "reader_share"), [(1, 0.0, 0.0), (3, 0.0, 0.0), (3, 0.4, 0.0), (8, 0.2, 0.01)]
)
def test_a_loss_at_the_margin_is_rejected_about_as_often_as_alpha(readers, case_share, reader_share):
    settings = PAIRS | {"case_share": case_share, "reader_share": reader_share}
    model = Model(shares=(0.15, 0.05, 0.8), null=0.1, below=True, **settings)
    found = simulate(model, 150, readers, draws=10_000, seed=2)
    assert 0.010 <= found.power <= 0.042


def test_readers_taken_for_fixed_though_they_differ_break_alpha():
    """Why the reader share must not be left out: without it, the test takes a few readers for all."""
    drawn = Model(shares=(0.15, 0.05, 0.8), null=0.1, below=True, case_share=0.0, reader_share=0.04, **PAIRS)
    worth = answers(drawn, (3000, 150, 4), np.random.default_rng(1)).mean(axis=(1, 2))
    naive = np.sqrt((0.2 - 0.01) / 600)
    assert ((worth - 0.1) / naive < -1.96).mean() > 0.1


def test_the_wald_test_is_the_bolder():
    shares = {"shares": (0.11, 0.01, 0.88), "null": 0.1, "below": True}
    score = simulate(Model(**shares, **PAIRS), 40, 1, draws=20_000)
    wald = simulate(Model(**shares, **(PAIRS | {"test": "wald"})), 40, 1, draws=20_000)
    assert wald.power > 0.04 > score.power


def test_draws_in_parts_are_all_counted():
    model = Model(shares=(0.05, 0.05, 0.9), null=0.1, below=True, case_share=0.1, **PAIRS)
    assert simulate(model, 4000, 9, draws=250, seed=0).draws == 250


@pytest.mark.parametrize(("cases", "readers", "draws"), [(1, 1, 500), (20, 0, 500), (20, 1, 50)])
def test_too_little_to_simulate_is_refused(cases, readers, draws):
    with pytest.raises(UsageError, match="cannot be simulated"):
        simulate(Model(shares=(0.1, 0.1, 0.8), null=0.1, below=True, **PAIRS), cases, readers, draws=draws)


def test_shares_that_no_mixture_has_are_refused():
    model = Model(shares=(0.1, 0.1, 0.8), null=0.1, below=True, case_share=0.5, reader_share=0.2, **PAIRS)
    with pytest.raises(UsageError, match="square roots"):
        simulate(model, 20, 3)


@pytest.mark.parametrize(("share", "draws"), [(0.8, 4000), (0.0, 200), (1.0, 200), (0.5, 100)])
def test_the_interval_of_a_simulation_is_the_exact_one_of_its_draws(share, draws):
    found = Simulated(share, 0.01, draws).interval
    peer = binomtest(round(share * draws), draws).proportion_ci(0.95, method="exact")
    assert found == pytest.approx((peer.low, peer.high))
