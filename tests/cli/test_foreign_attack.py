import json

import pytest

THEIRS = """
def dim(model, images, targets, eps, share=1.0):
    return (images - share * eps * (2 * targets.view(-1, 1, 1, 1) - 1)).clamp(0, 1)


def far(model, images, targets, eps):
    return dim(model, images, targets, 3 * eps)
"""


@pytest.fixture
def audit(percuss, images, factory, tmp_path):
    (tmp_path / "code" / "their_attacks.py").write_text(THEIRS)

    def run(*more, allow=("--allow-code",)):
        sizes = ("--budget", "linf=8/255", "--quiet", "--json")
        return percuss("audit", "--data", images, "--model", factory, "--out", tmp_path / "run", *sizes, *allow, *more)

    return run


@pytest.mark.parametrize("name", ["torchattacks:PGD", "foolbox:LinfPGD", "advlib:pgd_linf"])
def test_attacks_of_other_libraries_run_by_name(audit, name):
    pytest.importorskip("adv_lib" if name[0] == "a" else name.partition(":")[0], reason="peers are not installed")
    done = audit("--attack", f"{name},fgsm")
    assert done.exit_code == 0, done.stderr
    curves = {point["attack"]: point for point in json.loads(done.stdout)["curves"]}
    assert curves["fgsm"]["robust_accuracy"]["value"] <= curves[name]["robust_accuracy"]["value"] < 1


def test_an_attack_of_the_users_own(audit, tmp_path):
    done = audit("--attack", "factory:their_attacks:dim,fgsm")
    assert done.exit_code == 0, done.stderr
    curves = {point["attack"]: point for point in json.loads(done.stdout)["curves"]}
    assert curves["factory:their_attacks:dim"]["robust_accuracy"] == curves["fgsm"]["robust_accuracy"]


def test_one_that_leaves_its_budget_flips_nothing(audit):
    done = audit("--attack", "factory:their_attacks:far")
    assert done.exit_code == 0, done.stderr
    results = json.loads(done.stdout)
    assert {row["success_rate"]["value"] for row in results["curves"]} == {0.0}
    (finding,) = [item for item in results["findings"] if item["id"] == "foreign-breach"]
    assert "far left its budget linf=8/255: size 0.094" in finding["message"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("foolbox:LinfPDG", "Allowed: LinfPGD"), ("torchattack:PGD", "unknown source of attacks: torchattack:PGD")],
)
def test_misspelt_names_are_refused_before_the_run(audit, name, words, tmp_path):
    pytest.importorskip("foolbox", reason="foolbox is not installed")
    done = audit("--attack", name)
    assert done.exit_code == 2 and words in done.stderr and not (tmp_path / "run").exists()
