"""What percuss study create says of the study that it is about to make."""

import pytest

from percuss.core.budget import parse_budget
from percuss.core.images import PixelRange
from percuss.pipeline.study_design import Design, make_endpoints, words
from percuss.pipeline.study_options import StudyOptions
from percuss.study.design.order import OrderRules
from percuss.study.design.protocol import Protocol
from percuss.study.design.trials import Arm, Case

ARMS = (Arm(kind="original"), Arm(kind="adversarial", size="linf=8/255"))


def told(patients, *, margin=0.1, alpha=0.025, distance=3):
    """The lines on a study of as many cases as there are patients named."""
    options = StudyOptions(tasks=("diagnosis",), margin=margin, alpha=alpha)
    sizes = (parse_budget("linf=8/255"),)
    design = Design(options, ARMS, sizes, PixelRange(0.0, 255.0, 1.0, ""), ("normal", "tumour"), "tumour", 1)
    cases = tuple(
        Case(
            id=f"c{i}",
            truth="tumour",
            patient=patient,
            images={arm.name: f"{2 * i + n:064x}" for n, arm in enumerate(ARMS)},
        )
        for i, patient in enumerate(patients)
    )
    protocol = Protocol(
        title="t",
        run="a" * 64,
        seed=1,
        readers=1,
        cases=cases,
        arms=ARMS,
        tasks=("diagnosis",),
        rules=OrderRules(distance=distance),
        endpoints=make_endpoints(design),
        labels=("normal", "tumour"),
        positive="tumour",
    )
    return words(design, protocol)


@pytest.mark.parametrize(
    ("patients", "settings", "words"),
    [
        ([""] * 20, {}, "tumour, one reader: even if nothing is lost, 16.1 points of loss stay possible, more than"),
        ([""] * 20, {"alpha": 0.05}, "nothing is lost, 11.9 points"),
        ([""] * 20, {"margin": 0.2}, "16.1 points of loss stay possible, below the margin of 20 points"),
        (["a", "b"] * 10, {"margin": 0.05}, "tumour of 2 patients, one reader: even if nothing is lost, 16.1 to 65.8"),
        (["a", "b"] * 10, {"margin": 0.05}, "points of loss stay possible, more than the margin, so that one reader"),
        (["a", "b"] * 10, {"margin": 0.2}, "65.8 points of loss stay possible, on both sides of the margin of 20"),
        (["a", "b"] * 10, {"margin": 0.7}, "65.8 points of loss stay possible, below the margin of 70"),
    ],
)
def test_what_the_positive_cases_leave_possible_knows_patients_alpha_and_margin(patients, settings, words):
    assert words in told(patients, **settings)[-1]


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (1, "; one may be shown twice in a row"),
        (2, " one at least 1 trial of others"),
        (3, " one at least 2 trials of others"),
    ],
)
def test_the_distance_between_two_showings_is_told_in_words(distance, words):
    assert told([""] * 20, distance=distance)[1].endswith(words)
