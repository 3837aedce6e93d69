"""What a protocol's endpoints can show, before any answer."""

import dataclasses

import pytest

from percuss.core.errors import UsageError
from percuss.study.design.order import OrderRules
from percuss.study.design.protocol import Endpoint, Protocol, freeze
from percuss.study.design.public import public_of
from percuss.study.design.trials import Arm, Case
from percuss.study.planning.plan_study import Assumed, endpoints_reach, positives_in, study_record, study_text
from percuss.study.planning.positives import Positives
from percuss.study.results.decide import Sample, decide

SIZE = "linf=0.5/255"
ATTACKED = f"adversarial {SIZE}"
LOST = Endpoint(
    name="lost",
    role="primary",
    measure="true-positives",
    task="diagnosis",
    arm=ATTACKED,
    against="original",
    margin=0.1,
)
SEEN = Endpoint(name="seen", role="secondary", measure="detection", task="choice", arm=ATTACKED)
ALIKE = Endpoint(name="alike", role="secondary", measure="agreement", task="diagnosis", arm="original")
RATED = Endpoint(name="rated", role="secondary", measure="rating", task="manipulation", arm=ATTACKED)


def protocol(*, cases=20, positives=20, readers=1):
    made = tuple(
        Case(
            id=f"c{i}",
            truth="tumour" if i < positives else "normal",
            images={"original": f"{i:064x}", ATTACKED: f"{i + 1000:064x}"},
        )
        for i in range(cases)
    )
    return Protocol(
        title="Twenty pairs",
        run="a" * 64,
        seed=1,
        readers=readers,
        cases=made,
        arms=(Arm(kind="original"), Arm(kind="adversarial", size=SIZE)),
        tasks=("diagnosis", "manipulation", "choice"),
        copies=2,
        rules=OrderRules(distance=3),
        endpoints=(LOST, SEEN, ALIKE, RATED),
        labels=("normal", "tumour"),
        positive="tumour",
    )


def test_footes_twenty_pairs_leave_12_to_16_points():
    public = public_of(freeze(protocol()))
    lost, seen, alike, rated = endpoints_reach(public)
    text = study_text(public, (lost, seen, alike, rated), Assumed())
    assert (
        "200 trials per reader in 1 session, about 25 minutes at 10 seconds (diagnosis), 6 (manipulation), 6 (choice)"
        in text
    )
    assert "lost (primary): 20 pairs" in text and "11.9 to 16.1 points" in text
    assert lost.power is not None and lost.power < 0.5
    assert alike.agreement == pytest.approx(0.025 ** (1 / 20)) and "83.2 %" in text
    assert "told with its interval" in text and rated.reach is None
    assert seen.power is None and "80.9 % right (d' 1.24)" in text


def test_true_positives_are_counted_over_the_positive_cases_where_they_are_known():
    frozen = freeze(protocol(cases=40, positives=12))
    assert positives_in(frozen) == Positives(12, worth=12.0)
    public = public_of(frozen)
    assert [item.cases for item in endpoints_reach(public)] == [40, 40, 40, 40]
    assert [item.cases for item in endpoints_reach(public, positives=Positives(12))] == [12, 40, 40, 40]


def of_patients(sizes, **options):
    """A protocol whose first cases are of patients with so many cases each."""
    patients = [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]
    frozen = protocol(**options)
    cases = tuple(
        case.model_copy(update={"patient": patient})
        for case, patient in zip(frozen.cases, patients + [""] * (len(frozen.cases) - len(patients)), strict=True)
    )
    return frozen.model_copy(update={"cases": cases})


def test_cases_of_the_same_patients_leave_more_possible_and_it_is_the_bound_of_the_results():
    frozen = freeze(of_patients([10, 5, 5]))
    positives = positives_in(frozen)
    assert (positives.cases, positives.patients) == (20, 3)
    assert positives.worth == pytest.approx(20**2 / (100 + 25 + 25))
    samples = [Sample("R1", case.id, f"p {case.patient}", 1, 1.0, 1.0) for case in frozen.protocol.cases]
    decided = decide(samples, expected=20, alpha=0.025, scale="share")
    assert positives.left_possible(0.025) == pytest.approx(decided.value.high)
    public = public_of(frozen)
    found = endpoints_reach(public, positives=positives)
    text = study_text(public, found, Assumed())
    assert "The 20 cases are of 3 patients" in text and "where no answer changes, 59.0 points stay possible" in text
    record = study_record(public, found, Assumed())["endpoints"]
    assert (record[0]["patients"], record[1]["patients"]) == (3, None)
    assert record[0]["loss_left"] == pytest.approx(decided.value.high)


def test_patients_with_one_case_each_or_unknown_ones_change_nothing():
    for sizes in ([], [1] * 20, [1] * 5):
        positives = positives_in(freeze(of_patients(sizes)))
        assert positives == Positives(20, worth=20.0)
        public = public_of(freeze(protocol()))
        assert "patients" not in study_text(public, endpoints_reach(public, positives=positives), Assumed())


def test_without_a_positive_case_all_cases_count():
    assert positives_in(freeze(protocol(positives=0))) == Positives(20, worth=20.0)


def test_more_readers_show_more_unless_they_agree():
    one, three = (public_of(freeze(protocol(readers=readers))) for readers in (1, 3))
    agreeing = Assumed(case_share=0.9)
    alone, apart, alike = endpoints_reach(one)[0], endpoints_reach(three)[0], endpoints_reach(three, agreeing)[0]
    # By simulation where there are several readers, by a normal approximation with one.
    assert apart.power > alike.power - 0.03 and alike.power > alone.power - 0.03
    assert endpoints_reach(one, agreeing)[0] == alone
    with pytest.raises(UsageError, match="shares of case"):
        endpoints_reach(three, dataclasses.replace(agreeing, case_share=1.5))


def test_several_readers_who_never_differ_leave_what_the_results_leave():
    public = public_of(freeze(protocol(readers=3)))
    same = [Sample(f"R{r}", f"c{c}", f"c{c}", 1, 1.0, 1.0) for r in range(3) for c in range(20)]
    decided = decide(same, expected=20, alpha=0.025, scale="share").value
    lost = endpoints_reach(public)[0]
    assert lost.alike == pytest.approx(decided.high) and lost.alike > 0.16
    text = study_text(public, (lost,), Assumed())
    assert "take a case as one answer: where no answer changes, 16.1 points stay possible" in text
    assert f"{100 * lost.power:.1f} %, readers taken as random, by simulation" in text


def test_the_record_says_what_the_sentences_say():
    public = public_of(freeze(protocol()))
    found = endpoints_reach(public, Assumed(seconds=12))
    record = study_record(public, found, Assumed(seconds=12))
    assert (record["trials"], record["minutes"], record["protocol"]) == (200, 40.0, public.hash)
    lost = record["endpoints"][0]
    assert (lost["name"], lost["margin"], lost["cases"]) == ("lost", 0.1, 20)
    assert lost["size"]["shown"][0]["score_two_sided"] == pytest.approx(0.161, abs=5e-4)


def test_what_is_supposed_is_said_and_equal_words_stand_once():
    public = public_of(freeze(protocol(readers=2)))
    found = endpoints_reach(
        public.model_copy(update={"endpoints": (LOST, SEEN, SEEN.model_copy(update={"name": "b"}))})
    )
    text = study_text(public, found, Assumed())
    assert "sealed" not in study_text(public, endpoints_reach(public, positives=Positives(20)), Assumed())
    assert "reckoned over all 20 cases, since how many are positive is sealed (--secret)" in text
    assert "correlate by 0." in text
    assert "seen (secondary); b (secondary): 40 trials" in text and text.count("40 trials can exclude") == 1


def test_same_or_different_is_no_choice_of_two():
    public = public_of(freeze(protocol()))
    alone = SEEN.model_copy(update={"task": "same", "against": "identical"})
    (found,) = endpoints_reach(public.model_copy(update={"endpoints": (alone,)}))
    assert found.reach is None and found.power is None
