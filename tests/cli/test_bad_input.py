"""Every kind of bad input through the commands: code 2, one block of words, no traceback, nothing written."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

MODELS = """
    import torch
    from torch import nn


    class Mean(nn.Module):
        def __init__(self, spoil):
            super().__init__()
            self.weight, self.spoil = nn.Parameter(torch.tensor([-20.0, 20.0])), spoil

        def forward(self, images):
            return self.spoil((images.mean((1, 2, 3)) - 0.5)[:, None] * self.weight)


    def fails(logits):
        raise RuntimeError("layer 7 broke")


    kinds = {
        "sound": lambda z: z,
        "nan": lambda z: z * float("nan"),
        "infinite": lambda z: z / 0,
        "wide": lambda z: torch.cat([z, z], 1),
        "pair": lambda z: (z, z),
        "detached": lambda z: z.detach(),
        "constant": lambda z: 0 * z,
        "broken": fails,
    }
    for name, spoil in kinds.items():
        globals()[name] = lambda *args, spoil=spoil, **options: Mean(spoil)


    def grey_only(*args, **options):
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture
def bad(percuss, images, tmp_path, monkeypatch):
    """Runs a command that must fail, and gives its words on one line."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "spoilt_models.py").write_text(textwrap.dedent(MODELS))
    monkeypatch.syspath_prepend(str(tmp_path / "code"))

    def run(command, *more, data=images, model="sound", kept=False):
        spec = f"factory:spoilt_models:{model}" if isinstance(model, str) else model
        fixed = ["--data", data, "--model", spec, "--out", tmp_path / "out", "--allow-code", "--device", "cpu"]
        if command == "audit":
            fixed += [] if "--attack" in more else ["--attack", "fgsm"]
            fixed += [] if "--budget" in more else ["--budget", "linf=2/255"]
        else:
            fixed += ["--epochs", "1"]
        done = percuss(command, *fixed, *more, "--quiet")
        assert done.exit_code == 2 and done.stdout == "", (done.exit_code, done.stdout, done.stderr)
        assert done.stderr.startswith("percuss: ") and "Traceback" not in done.stderr
        assert "fault of Percuss" not in done.stderr and "  Next: " in done.stderr and " at 0x" not in done.stderr
        assert kept or not (tmp_path / "out" / "results.json").exists()
        assert kept or not (tmp_path / "out" / "model.json").exists()
        return " ".join(done.stderr.split())

    return run


both = pytest.mark.parametrize("command", ["audit", "train"])


@both
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda home: None, "does not exist"),
        (lambda home: home.mkdir(), "holds no images"),
        (lambda home: picture(home / "a" / "0.png"), "has a single class: a"),
        (
            lambda home: [picture(home / name / f"{i}.png", b"x") for name in "ab" for i in range(4)],
            "no known image format",
        ),
        (lambda home: [picture(home / name / f"{i}.png", cut=60) for name in "ab" for i in range(4)], "truncated"),
    ],
    ids=["missing", "empty", "single class", "unreadable", "truncated"],
)
def test_folders(bad, tmp_path, command, make, words):
    make(tmp_path / "home")
    assert words in bad(command, data=f"folder:{tmp_path / 'home'}")


def picture(path, content=None, cut=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(0, 255, (16, 16), dtype=np.uint8)
    Image.fromarray(values).save(path)
    path.write_bytes(content or path.read_bytes()[:cut])


@both
@pytest.mark.parametrize("spec", ["csv:{}/t.csv", "medmnist:{}/x.npz"])
def test_missing_tables_and_sets(bad, tmp_path, command, spec):
    assert "does not exist" in bad(command, data=spec.format(tmp_path))


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
    for name, copy in (("dark", "dark"), ("light", "purple")):
        picture(tmp_path / "other" / copy / f"{name}.png")
    said = bad("audit", data=f"folder:{tmp_path / 'other'}", model=tmp_path / "m")
    assert "a label is not in the model: purple Allowed: the model's classes: dark, light" in said


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
