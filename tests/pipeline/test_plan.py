import tomllib

import pytest

from percuss.core.budget import Norm
from percuss.core.errors import AttackError, BudgetError, PercussError, UsageError
from percuss.pipeline.context import threat_model
from percuss.pipeline.plan import DEFAULT_ATTACKS, make_plan
from percuss.pipeline.requirements import judge, parse_requirement

SPECS = {"data": "folder:x", "model": "timm:resnet18"}


def test_defaults_and_toml_read_back():
    plan = make_plan(**SPECS)
    assert plan.attacks == DEFAULT_ATTACKS and set(plan.by_norm()) == {Norm.LINF, Norm.L2}
    again = make_plan(**tomllib.loads(plan.toml()))
    assert plan.usual and not again.usual and again.model_copy(update={"usual": True}) == plan
    assert again.identity() == plan.identity()


@pytest.mark.parametrize(
    ("attacks", "goal"),
    [("remove,hallucinate,noise", "one class removed"), ("remove,pgd", "any wrong"), ("noise", "any wrong")],
)
def test_the_assumed_goal_is_that_of_the_attacks(attacks, goal):
    assert threat_model(make_plan(**SPECS, attacks=attacks))["goal"].startswith(goal)


def test_lists_and_commas_are_taken_once():
    plan = make_plan(**SPECS, attacks=["pgd,fgsm", "pgd"], budgets=["linf=1/255,2/255", "linf=2/255"])
    assert plan.attacks == ("pgd", "fgsm") and plan.budgets == ("linf=1/255", "linf=2/255")


def test_settings_reach_the_attacks_that_know_them():
    plan = make_plan(**SPECS, attacks="pgd,fgsm", steps=7, restarts=2, settings={"pgd": {"step_size": 0.01}})
    assert plan.attack_settings("pgd") == {"step_size": 0.01, "steps": 7, "restarts": 2}
    assert plan.attack_settings("fgsm") == {"restarts": 2}


def test_identity_holds_what_decides_the_rows_and_nothing_else():
    base = make_plan(**SPECS)
    same = make_plan(**SPECS, batch_size=3, threads=2, require="linf=2/255:0.5")
    assert same.identity() == base.identity()
    for change in ({"seed": 1}, {"attacks": "pgd"}, {"budgets": "l2=1"}, {"steps": 3}, {"protocol": "paper"}):
        assert make_plan(**SPECS, **change).identity() != base.identity(), change


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"attacks": "pdg"}, PercussError, "unknown attack: pdg. Allowed: pgd"),
        ({"attacks": " "}, UsageError, "no attack is named"),
        ({"budgets": "lnf=1/255"}, BudgetError, "unknown norm: lnf. Allowed: linf"),
        ({"budgets": "linf=-1/255"}, BudgetError, "finite size above zero"),
        ({"budgets": "linf=8"}, BudgetError, "larger than the whole range.*8/255"),
        ({"budgets": []}, UsageError, "no budget"),
        ({"limit": 0}, UsageError, "limit is too small: 0"),
        ({"batch_size": 0}, UsageError, "batch_size is too small"),
        ({"steps": 3, "attacks": "fgsm"}, UsageError, "none of the attacks takes steps"),
        ({"restarts": 0}, AttackError, "restarts is too small"),
        ({"confidence": 1.5}, AttackError, "not a probability"),
        ({"protocol": "best"}, UsageError, "protocol cannot be used: best"),
        ({"stepz": 3}, UsageError, "unknown option: stepz. Allowed: .*steps"),
        ({"settings": {"bim": {}}}, UsageError, "not run: bim"),
        ({"settings": {"pgd": {"stepz": 1}}}, AttackError, "no setting stepz"),
        ({"effort": "standard"}, UsageError, "none of the attacks takes an effort: pgd, fgsm, noise"),
        ({"effort": "hard", "curve": "l2=0.1:1:3"}, UsageError, "effort cannot be used: hard"),
        ({"curve": "linf=8/255:1/255:3"}, BudgetError, "a range of sizes"),
        ({"suite": "standart"}, UsageError, "unknown suite: standart. Allowed: standard"),
        ({"checks": "some"}, UsageError, "checks cannot be used: some"),
        ({"require": "linf=2/255"}, UsageError, "a budget, a colon"),
        ({"require": "linf=2/255:1.5"}, UsageError, "a budget, a colon"),
        ({"require": "linf=3/255:0.5"}, UsageError, "a budget that is tested: linf=3/255"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(options, error, text):
    with pytest.raises(error, match=text):
        make_plan(**SPECS, **options)


def test_requirement_text():
    assert parse_requirement("l2=rms:0.01:60%", ["l2=rms:0.01"]) == ("l2=rms:0.01", 0.6)


def test_requirement_is_judged_by_the_lower_end(finished):
    point = next(p for p in finished.results.curves if p.attack == "worst" and p.budget == "linf=1/255")
    low = point.robust_accuracy.low
    passed, failed = judge([f"linf=1/255:{low - 0.001}", f"linf=1/255:{low + 0.001}"], finished.results.curves)
    assert passed["passed"] and not failed["passed"] and failed["low"] == low
    assert judge(["l1=3:0.5"], finished.results.curves)[0]["passed"] is None


def test_curve_names_attacks_and_sizes():
    plan = make_plan(**SPECS, curve="linf=1/255:4/255:3", effort="quick")
    assert plan.attacks == ("curve", "noise") and plan.budgets == ("linf=1/255", "linf=2/255", "linf=4/255")
    assert plan.attack_settings("curve")["effort"] == "quick" and "effort" not in plan.attack_settings("noise")
    both = make_plan(**SPECS, curve=["l2=0.1:1:2"], budgets="linf=1/255", attacks="curve,pgd")
    assert both.attacks == ("curve", "pgd") and both.budgets == ("linf=1/255", "l2=0.1", "l2=1")


def test_a_suite_names_attacks_and_raises_the_checks():
    plan = make_plan(**SPECS, suite="standard", effort="thorough")
    assert plan.attacks == ("standard", "noise") and plan.checks == "standard"
    assert plan.attack_settings("standard")["effort"] == "thorough"
    more = make_plan(**SPECS, suite="as_autoattack", attacks="fgsm", checks="off")
    assert more.attacks == ("as_autoattack", "noise", "fgsm") and more.checks == "off"
    assert make_plan(**SPECS).checks == "quick"
