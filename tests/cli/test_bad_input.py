"""Every kind of bad input through the commands: code 2, one block of words, no traceback, nothing written."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

both = pytest.mark.parametrize("command", ["audit", "train"])


@both
@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nan", "not finite|NaN or inf"),
        ("infinite", "not finite|NaN or inf"),
        ("wide", r"wrong shape: \(\d+, 4\) Allowed: logits \[\d+, 2 or 1\] for classes \('dark', 'light'\)"),
        ("pair", "wrong shape: tuple"),
        ("detached", "no gradient reaches"),
        ("broken", r"the network fails on images of shape \(\d+, 1, 16, 16\): RuntimeError: layer 7 broke"),
        ("missing", "no attribute 'missing'"),
    ],
)
def test_models(bad, command, model, words):
    said = bad(command, model=model)
    assert re.search(words, said), said


def test_constant_model(bad):
    assert "no gradient reaches the input" in bad("audit", model="constant")


@both
def test_wrong_channel_count(bad, tmp_path, command):
    for name in "ab":
        for i in range(5):
            (tmp_path / "rgb" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (40 * i, 99, 9)).save(tmp_path / "rgb" / name / f"{i}.png")
    said = bad(command, data=f"folder:{tmp_path / 'rgb'}", model="grey_only")
    assert "expected input" in said and "?channels=" in said


@both
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_weights_that_do_not_fit(bad, tmp_path, command, suffix):
    path, weights = tmp_path / f"w.{suffix}", {"weight": torch.zeros(5)}
    torch.save(weights, path) if suffix == "pt" else save_file(weights, path)
    assert "the weights do not fit the network" in bad(command, "--weights", path)
    assert "does not exist" in bad(command, "--weights", tmp_path / "none.pt")


@both
def test_output_folder_of_another_kind(bad, tmp_path, command):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.docx").write_text("mine")
    assert "thesis.docx" in bad(command) or "something else" in bad(command)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.docx"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--attack", "pdg"), "unknown attack: pdg Allowed: pgd"),
        (("--budget", "linff=1/255"), "unknown norm: linff Allowed: linf"),
        (("--budget", "linf=-1/255"), "finite size above zero: linf=-1/255"),
        (("--budget", "linf=0"), "finite size above zero"),
        (("--budget", "linf=nan"), "is not a number: nan"),
        (("--budget", "linf=8"), "did you mean linf=8/255?"),
        (("--budget", "l2=1e9"), "larger than any change of images of shape (1, 16, 16) can be: l2=1e9"),
        (("--budget", "l1=257"), "l1 up to 256 in [0, 1] units"),
        (("--budget", "l0=300%"), "larger than the whole range"),
        (("--seed", "-1"), "the option seed is out of range: -1 Allowed: 0 to"),
        (("--limit", "0"), "the option limit is too small: 0 Allowed: 1 or more"),
    ],
)
def test_attacks_budgets_and_numbers(bad, more, words, tmp_path):
    assert words in bad("audit", *more)
    assert not (tmp_path / "out").exists()


def test_label_that_the_model_does_not_have(bad, percuss, images, tmp_path):
    made = percuss("train", "--data", images, "--model", "timm:test_resnet", "--out", tmp_path / "m", "--epochs", "1")
    assert made.exit_code == 0, made.stderr
    for name in ("dark", "purple"):
        (tmp_path / "other" / name).mkdir(parents=True)
        Image.new("L", (16, 16), 99).save(tmp_path / "other" / name / "0.png")
    said = bad("audit", data=f"folder:{tmp_path / 'other'}", model=tmp_path / "m")
    assert "a label is not in the model: purple Allowed: the model's classes: dark, light" in said


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            ("--curve", "linf=8/255:0.25/255:8"),
            "a range of sizes cannot be used: 8/255:0.25/255:8 Allowed: FROM:TO:NUMBER",
        ),
        (("--curve", "linf=0.25/255:8/255"), "for several sizes write --curve linf=FROM:TO:NUMBER"),
        (("--curve", "linf=0.25/255:8/255:x"), "for several sizes write --curve linf=FROM:TO:NUMBER"),
        (("--curve", "0.25:8:8"), "unknown norm: 0.25:8:8 Allowed: l0, l1, l2, linf, none"),
        (("--suite", "strong"), "unknown suite: strong Allowed: standard, as_autoattack"),
        (
            ("--suite", "standard", "--effort", "most"),
            "effort cannot be used: most Allowed: quick, standard or thorough",
        ),
        (("--checks", "maybe"), "checks cannot be used: maybe Allowed: off, quick, standard or thorough"),
        (("--rounding", "yes"), "rounding cannot be used: yes Allowed: none or native"),
        (("--protocol", "new"), "protocol cannot be used: new Allowed: corrected or paper"),
        (("--require", "linf=2/255:1.5"), "the least robust accuracy: linf=2/255:1.5 Allowed: 0 to 1 behind the colon"),
        (("--require", "linf=3/255:0.5"), "must name a budget that is tested: linf=3/255 Allowed: linf=2/255"),
        (("--fail-on", "bad"), "unknown value of --fail-on: bad Allowed: warning, severe"),
        (("--attack", "ddn"), "the attack ddn does not know this norm: linf Allowed: l2, none"),
        (("--attack", "sigma_zero"), "the attack sigma_zero does not know this norm: linf Allowed: l0"),
        (("--device", "tpu"), "the device cannot be used: tpu"),
        (("--region", "none.png"), "no such region: none.png"),
    ],
)
def test_what_is_known_before_anything_runs(bad, more, words, tmp_path):
    assert words in bad("audit", *more)
    assert not (tmp_path / "out").exists()


@both
@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            "factory:spoilt_models:raises",
            r"the factory failed: factory:spoilt_models:raises \(ValueError: no such width",
        ),
        ("factory:spoilt_models:words", "the factory returned no network: str"),
        ("factory:no_such_module:net", "cannot be imported"),
        ("timm:resnt18", "timm has no such model: resnt18 Allowed: resnet18"),
        ("resnet18", "there is no such model folder: resnet18 .* write timm:resnet18 or torchvision:resnet18"),
    ],
)
def test_models_that_cannot_be_made(bad, command, model, words, tmp_path):
    said = bad(command, model=(model,))
    assert re.search(words, said), said


@both
def test_an_output_folder_that_cannot_be_made(bad, tmp_path, command):
    (tmp_path / "out").write_text("a file")
    assert "Next: give" in bad(command) and (tmp_path / "out").read_text() == "a file"


@pytest.mark.parametrize(
    "command", [("survive",), ("explain",), ("triage",), ("report",), ("compare", "."), ("pack", "--out", "pack")]
)
def test_commands_on_a_folder_that_holds_no_run(percuss, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    done = percuss(command[0], tmp_path / "empty", *command[1:])
    assert done.exit_code == 2 and done.stderr.startswith("percuss: "), (done.stdout, done.stderr)
    assert "holds no run" in done.stderr and "Next: name the --out folder of percuss audit" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_ends_with_3_and_the_same_command_goes_on(images, bad, tmp_path):
    command = [sys.executable, "-c", RUN]
    command += ["audit", "--data", images, "--model", "factory:spoilt_models:sound", "--allow-code", "--threads", "1"]
    command += ["--out", str(tmp_path / "out"), "--attack", "pgd", "--steps", "3", "--restarts", "300"]
    home = {**os.environ, "PYTHONPATH": str(tmp_path / "code")}
    running = subprocess.Popen([*command, "--budget", "linf=1/255,2/255"], env=home, stderr=subprocess.PIPE, text=True)
    try:
        begun = time.monotonic()
        while not list((tmp_path / "out").glob("parts/clean-*.parquet")) and time.monotonic() - begun < 40:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 3, said
    assert "interrupted" in said and "same command again to go on" in said and "Traceback" not in said


# Where the tests run in the background of a shell, interrupts are ignored from birth: they are heeded here.
RUN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); sys.argv[0] = 'percuss'; "
    "from percuss.cli.app import main; main()"
)
