import json

import pytest
import torch

from percuss.models.spec import anew, load_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A plain model folder, trained once."""
    from typer.testing import CliRunner

    from percuss.cli.app import app

    home = tmp_path_factory.mktemp("plain") / "model"
    fixed = ["train", "--data", DATA, "--model", "timm:test_resnet", "--out", str(home), "--batch-size", "8"]
    assert CliRunner().invoke(app, [*fixed, "--epochs", "1", "--device", "cpu", "--quiet"]).exit_code == 0
    return home


DATA = "synthetic:tissue?n=40&size=32&patients=20&mpp=1.5"


@pytest.fixture
def harden(percuss, tmp_path, model):
    def run(*more, out="hard", start=None, defence="pgd"):
        fixed = ("--data", DATA, "--model", start or model, "--defence", defence, "--out", tmp_path / out)
        small = ("--epochs", "1", "--batch-size", "8", "--device", "cpu", "--check-steps", "2")
        return percuss("harden", *fixed, *small, *more)

    return run


def test_writes_a_model_folder_with_what_was_done(harden, tmp_path):
    done = harden("--budget", "linf=4grey", "--ratio", "0.25", "--steps", "2")
    assert done.exit_code == 0, done.stderr
    assert "hardening" in done.stderr and "robust" in done.stderr
    assert done.stdout.startswith("robust accuracy") and "next: percuss audit --data" in done.stdout
    record = json.loads((tmp_path / "hard" / "training.json").read_text())
    told = record["defence"]
    assert told["name"] == "pgd" and told["budget"] == "linf=4grey" and told["eps"] == pytest.approx(4 / 255)
    assert (told["clean_images"], told["adversarial_images"], told["ratio_used"]) == (18, 6, 0.25)
    assert told["settings"] == {
        "check_steps": 2,
        "choose": "robust",
        "step_size": None,
        "batch_norm": "eval",
        "steps": 2,
        "ratio": 0.25,
    }
    row = record["history"][0]
    assert {"val_accuracy", "robust_accuracy", "one_step_accuracy"} <= set(row)
    assert record["robust"]["val"]["robust_accuracy"] == row["robust_accuracy"] and record["findings"] == []
    assert record["robust"]["test"]["robust_accuracy"] <= record["test"]["accuracy"]
    assert set(record["before"]) == {"accuracy", "robust_accuracy", "one_step_accuracy"}
    assert load_model(tmp_path / "hard").info.weights == "trained"


@pytest.mark.parametrize("defence", ["trades", "free", "fast"])
def test_each_defence_runs_by_its_name(harden, defence):
    own = {"trades": ("--beta", "2", "--steps", "1"), "free": ("--replays", "2"), "fast": ("--batch-norm", "train")}
    done = harden("--quiet", "--json", *own[defence], defence=defence)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["defence"]["name"] == defence


def test_fresh_weights_are_not_those_of_the_model(model):
    given = load_model(model).state_dict()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = anew(model)
    assert fresh.info.weights == "random" and fresh.state_dict().keys() == given.keys()
    name = next(name for name, value in given.items() if value.dim() == 4)
    assert not torch.equal(fresh.state_dict()[name], given[name])


def test_fresh_trainings_begin_alike(harden):
    first, second = (json.loads(harden("--quiet", "--json", "--fresh", out=out).stdout) for out in ("a", "b"))
    assert first["before"] == second["before"] and first["defence"]["fresh"]


def test_wrong_use_ends_with_what_is_allowed(harden, model, tmp_path):
    for more, options, words in (
        ((), {"defence": "pdg"}, "unknown defence: pdg"),
        (("--beta", "1"), {}, "the defence pgd has no setting of this name: beta"),
        (("--ratio", "0"), {}, "the setting ratio cannot be used: 0"),
        (("--budget", "l0=5%"), {}, "a defence cannot use this norm: l0"),
        (("--budget", "linf=2"), {}, "larger than the whole range"),
        (("--fresh", "--pretrained"), {}, "--fresh excludes weights to start from"),
        ((), {"out": model}, "the hardened model would replace the given one"),
        ((), {"start": tmp_path / "none"}, "there is no such model folder"),
    ):
        done = harden(*more, **options)
        assert done.exit_code == 2 and words in " ".join(done.stderr.split()), done.stderr
    assert not (tmp_path / "hard").exists()


def test_a_plain_training_may_not_go_on_in_the_folder(harden, percuss, tmp_path, model):
    assert harden("--quiet").exit_code == 0
    options = ("--data", DATA, "--model", model, "--out", tmp_path / "hard", "--batch-size", "8", "--epochs", "1")
    done = percuss("train", *options, "--device", "cpu", "--quiet")
    assert done.exit_code == 2 and "differs in its settings" in done.stderr


def test_options_of_the_made_sets_reach_the_plan(harden, monkeypatch):
    from percuss.pipeline import training

    plans = []
    monkeypatch.setattr(training, "train", lambda plan, **_: plans.append(plan) or 1 / 0)
    given = ("--protocol", "paper", "--search", "exact", "--criterion", "mae", "--asks", "60", "--pattern-size", "0.02")
    harden("--steps", "9", "--whole-epochs", "--fresh", "--augmented", "sets", *given, defence="both")
    assert plans[0].defence.augmented == "sets" and plans[0].defence.fresh
    wanted = {"protocol": "paper", "search": "exact", "criterion": "mae", "asks": 60, "pattern_size": 0.02}
    assert plans[0].defence.settings == wanted | {"steps": 9, "whole_epochs": True, "check_steps": 2}
    monkeypatch.undo()
    done = harden("--whole-epochs", defence="pgd")
    assert done.exit_code == 2 and "whole_epochs" in done.stderr


def test_made_sets_are_for_segmenters(harden):
    done = harden(defence="layered")
    assert done.exit_code == 2 and "layered is not for this task" in done.stderr
