import json

import pytest

SIZES = ("--attack", "fgsm", "--budget", "linf=1/255,8/255")


@pytest.fixture
def audit(percuss, images, factory, tmp_path):
    def run(*more, data=images, model=factory, out="run", allow=("--allow-code",)):
        return percuss(
            "audit", "--data", data, "--model", model, "--out", tmp_path / out, *SIZES, "--quiet", *allow, *more
        )

    return run


def test_writes_the_run_and_says_where(percuss, images, factory, tmp_path):
    done = percuss("audit", "--data", images, "--model", factory, "--out", tmp_path / "run", "--allow-code", *SIZES)
    assert done.exit_code == 0, done.stderr
    assert (
        "Without any attack it is right on" in done.stdout
        and f"report: {tmp_path / 'run' / 'report.html'}" in done.stdout
    )
    assert "clean pass over 12 images" in done.stderr
    for name in ("report.html", "results.json", "per_image.csv"):
        assert (tmp_path / "run" / name).stat().st_size > 100


def test_json_is_the_results_alone(audit, tmp_path):
    done = audit("--json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "run" / "results.json").read_text())
    assert done.stderr == ""


def test_curve_and_effort_reach_the_attack(percuss, images, factory, tmp_path):
    given = ("--data", images, "--model", factory, "--out", tmp_path / "run", "--allow-code", "--json")
    done = percuss("audit", *given, "--curve", "linf=1/255:16/255:5", "--effort", "quick", "--quiet")
    found = json.loads(done.stdout)
    assert {(p["attack"], p["budget"]) for p in found["curves"] if p["attack"] == "curve"} == {
        ("curve", f"linf={size}/255") for size in (1, 2, 4, 8, 16)
    }
    values = [p["robust_accuracy"]["value"] for p in found["curves"] if p["attack"] == "curve"]
    assert values == sorted(values, reverse=True)


def test_quiet_says_nothing(audit):
    done = audit()
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_requirement_decides_the_exit_code(audit):
    assert audit("--require", "linf=1/255:0.1").exit_code == 0
    done = audit("--require", "linf=8/255:0.99")
    assert done.exit_code == 1 and "the run fails on: robust accuracy within linf=8/255 at least 0.99" in done.stderr


def test_fail_on_findings(audit):
    assert audit("--fail-on", "severe").exit_code in (0, 1)
    done = audit("--fail-on", "sever")
    assert done.exit_code == 2 and "--fail-on: sever" in done.stderr


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--attack", "pdg"), "unknown attack: pdg"),
        (("--budget", "lnf=1/255"), "unknown norm: lnf"),
        (("--budget", "linf=-2/255"), "finite size above zero"),
        (("--budget", "linf=8"), "did you mean linf=8/255"),
        (("--split", "tests"), "no split tests"),
        (("--protocol", "best"), "protocol cannot be used"),
        (("--weights", "w.pt", "--pretrained"), "exclude each other"),
        (("--device", "moon"), "device cannot be used: moon"),
    ],
)
def test_wrong_use_is_one_block_and_code_2(audit, more, words, tmp_path):
    done = audit(*more)
    assert done.exit_code == 2 and done.stdout == ""
    assert words in " ".join(done.stderr.split()) and done.stderr.startswith("percuss: ")
    assert "Traceback" not in done.stderr and not (tmp_path / "run").exists()


def test_verbose_shows_the_traceback(audit):
    done = audit("--attack", "pdg", "--verbose")
    assert done.exit_code == 2 and "Traceback" in done.stderr


def test_missing_folder_and_code_without_permission(audit):
    done = audit(data="folder:nowhere")
    assert done.exit_code == 2 and "nowhere" in done.stderr
    done = audit(allow=())
    assert done.exit_code == 2 and "--allow-code" in done.stderr


def test_missing_option_is_wrong_use(percuss):
    done = percuss("audit", "--data", "folder:x")
    assert done.exit_code == 2 and "--model" in done.stderr


def test_folder_of_another_run(audit):
    assert audit().exit_code == 0
    done = audit("--seed", "1")
    assert done.exit_code == 2 and "seed was 0, is now 1" in " ".join(done.stderr.split())


def test_interrupt_can_be_resumed(audit, monkeypatch):
    from percuss.pipeline import audit as pipeline

    def stop(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "attack_part", stop)
    done = audit()
    assert done.exit_code == 3 and "same command again" in done.stderr
    monkeypatch.undo()


def test_report_is_made_anew(audit, percuss, tmp_path):
    assert audit().exit_code == 0
    (tmp_path / "run" / "report.html").unlink()
    done = percuss("report", tmp_path / "run")
    assert done.exit_code == 0 and (tmp_path / "run" / "report.html").exists()
    assert percuss("report", tmp_path).exit_code == 2


def test_a_setting_of_one_attack_reaches_it(percuss, images, factory, tmp_path):
    given = ("--data", images, "--model", factory, "--out", tmp_path / "run", "--allow-code", "--json", "--quiet")
    chosen = ("--attack", "fgsm,bim", "--budget", "linf=1/255", "--set", "bim.steps=3", "--set", "bim.keep=last")
    done = percuss("audit", *given, *chosen)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["attacks"] == [{"name": "fgsm"}, {"name": "bim", "steps": 3, "keep": "last"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fgsm", "a setting cannot be read: fgsm Allowed: ATTACK.NAME=VALUE"),
        ("steps=3", "a setting cannot be read: steps=3"),
        ("fgsm.victim=2", "the attack fgsm has no setting victim"),
        ("pgd.steps=2", "settings for an attack that is not run: pgd"),
    ],
)
def test_a_setting_that_cannot_be_used(audit, text, words):
    done = audit("--set", text)
    assert done.exit_code == 2 and words in " ".join(done.stderr.split())
