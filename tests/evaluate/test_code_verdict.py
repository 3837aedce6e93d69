"""The plain sentence on sparse codes: masked where the attack on the code leaves far more than one through it."""

import pytest

from percuss.core.results import HeatPoint, Interval
from percuss.evaluate.code_verdict import code_verdict


def point(attack, value, budget="l2=25", *, stored=False, half=0.02, prevalence=0.25):
    def around(x):
        return Interval(
            value=x, low=None if x is None else x - half, high=None if x is None else x + half, n=8, method=""
        )

    return HeatPoint(
        attack=attack,
        norm="l2",
        budget=budget,
        eps=float(budget.split("=")[1]),
        stored=stored,
        auc_pr=around(value),
        auc_pr_binned=value,
        trapezoid=value,
        by_slide=around(value),
        prevalence=prevalence,
        cells=1000,
    )


CLEAN = point("clean", 0.885)


def test_an_attack_on_the_code_that_leaves_much_more_is_told():
    points = [
        point("sparse_code", 0.795, "l2=3"),
        point("implicit", 0.462, "l2=3"),
        point("straight_through", 0.779, "l2=3"),
    ]
    points += [point("sparse_code", 0.317), point("implicit", 0.139), point("noise", 0.1)]
    (found,) = code_verdict(points, clean=CLEAN)
    assert found.id == "code-masks-gradient" and found.severity == "warning"
    assert "At l2=3 " in found.message and "0.795 (0.775 to 0.815)" in found.message and "0.462" in found.message
    assert found.evidence == {"budget": "l2=3", "on_code": 0.795, "through": 0.462, "attack": "implicit"}


def test_below_the_null_map_is_said():
    (found,) = code_verdict([point("sparse_code", 0.6), point("implicit", 0.139)], clean=CLEAN)
    assert "a map without knowledge reaches (0.250)" in found.message


@pytest.mark.parametrize(
    ("on", "through", "half"),
    [(0.5, 0.47, 0.001), (0.5, 0.55, 0.001), (0.5, 0.3, 0.15)],  # a narrow gap, a negative one, wide intervals
)
def test_what_is_no_gap_is_not_masking(on, through, half):
    points = [point("sparse_code", on, half=half), point("implicit", through, half=half)]
    (found,) = code_verdict(points, clean=CLEAN)
    assert found.id == "code-not-masking" and found.severity == "info"


def test_the_lowest_attack_through_the_code_counts_also_pgd():
    points = [point("sparse_code", 0.8), point("unrolled", 0.78), point("pgd", 0.4)]
    (found,) = code_verdict(points, clean=CLEAN)
    assert found.id == "code-masks-gradient" and found.evidence["attack"] == "pgd"


@pytest.mark.parametrize(
    "points",
    [
        [],
        [point("sparse_code", 0.8)],
        [point("implicit", 0.2)],
        [point("sparse_code", 0.8), point("pgd", 0.2)],  # a code that is not sparse has no gradient of its own
        [point("sparse_code", 0.8), point("implicit", 0.2, "l2=3")],
        [point("sparse_code", None), point("implicit", 0.2)],
    ],
)
def test_nothing_is_said_of_what_was_not_compared(points):
    assert code_verdict(points, clean=CLEAN) == []


def test_images_as_computed_count_where_there_are_both():
    points = [point("sparse_code", 0.8), point("implicit", 0.78)]
    points += [point("sparse_code", 0.8, stored=True), point("implicit", 0.1, stored=True)]
    assert code_verdict(points, clean=CLEAN)[0].id == "code-not-masking"


def test_a_paired_difference_tells_what_touching_intervals_do_not():
    points = [point("sparse_code", 0.5, half=0.15), point("implicit", 0.3, half=0.15)]
    surely = Interval(value=0.2, low=0.15, high=0.25, n=8, method="")
    (found,) = code_verdict(points, clean=CLEAN, paired=lambda first, second: surely)
    assert found.id == "code-masks-gradient" and "on the same tiles is 0.200 (0.150 to 0.250)" in found.message
    perhaps = Interval(value=0.2, low=-0.01, high=0.4, n=8, method="")
    (found,) = code_verdict(points, clean=CLEAN, paired=lambda first, second: perhaps)
    assert found.id == "code-not-masking" and "(-0.010 to 0.400)" in found.message
