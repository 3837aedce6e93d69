"""What a study of a given size can show: Foote's 20 pairs by each assumption, and closed forms."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from percuss.core.errors import UsageError
from percuss.study.planning.plan_text import shown_text
from percuss.study.planning.power import paired_power, score_upper
from percuss.study.planning.reach import shown, upper_share


def test_twenty_pairs_without_a_harmful_flip_leave_12_to_17_points_possible():
    none, one = shown(20, discordance=0.1), shown(20, discordance=0.1, helpful=1)
    assert none.exact_one_sided == pytest.approx(1 - 0.05 ** (1 / 20)) == pytest.approx(0.139, abs=5e-4)
    assert none.exact_two_sided == pytest.approx(1 - 0.025 ** (1 / 20)) == pytest.approx(0.168, abs=5e-4)
    # Tango without discordant pairs: z^2 / (n + z^2)
    assert none.score_two_sided == pytest.approx(3.841459 / 23.841459, abs=1e-6)
    assert one.score_two_sided == pytest.approx(0.119, abs=5e-4)
    assert shown(20, discordance=0.1, harmful=1).score_two_sided == pytest.approx(0.236, abs=5e-4)


def test_the_sentences_name_every_figure():
    text = shown_text(shown(20, discordance=0.1))
    assert all(part in text for part in ("13.9 %", "16.8 %", "16.1 points", "exclude a loss of", "d' "))
    assert "find no loss, however" in shown_text(shown(5, discordance=0.05))


@given(st.integers(5, 400), st.integers(1, 400), st.floats(0.02, 0.9))
@settings(max_examples=50, deadline=None)
def test_more_pairs_show_more(pairs, more, discordance):
    small, large = shown(pairs, discordance=discordance), shown(pairs + more, discordance=discordance)
    assert large.exact_one_sided < small.exact_one_sided < small.exact_two_sided
    assert large.score_two_sided < small.score_two_sided
    for name in ("margin", "loss"):
        before, after = getattr(small, name), getattr(large, name)
        assert before is None or after < before
    if small.margin is not None:
        reached = paired_power(pairs, discordance, 0.0, margin=small.margin, alpha=0.025, test="score")
        assert reached == pytest.approx(0.8, abs=1e-6)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
@settings(max_examples=60, deadline=None)
def test_one_more_harmful_flip_leaves_more_possible(pair):
    hits, n = pair
    assert upper_share(hits, n) < upper_share(hits + 1, n) <= 1
    assert score_upper(hits, 0, n) < score_upper(hits + 1, 0, n) <= 1


def test_too_few_trials_show_nothing_about_choices():
    found = shown(1, discordance=0.2)
    assert (found.limit, found.limit_d_prime, found.detected) == (None, None, None)
    assert "exclude no share right" in shown_text(found)


@pytest.mark.parametrize("counts", [(0, 0, 0), (20, -1, 0), (20, 15, 6), (10, 0, 11)])
def test_counts_that_do_not_add_up_are_refused(counts):
    with pytest.raises(UsageError, match="do not fit"):
        shown(counts[0], discordance=0.1, harmful=counts[1], helpful=counts[2])


@pytest.mark.parametrize("change", [{"discordance": 0.0}, {"alpha": 0.6}, {"power": 1.0}])
def test_shares_out_of_range_are_refused(change):
    with pytest.raises(UsageError, match="out of range"):
        shown(20, **({"discordance": 0.1} | change))
