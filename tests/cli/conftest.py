"""Images on disk, a model factory beside them, and a way to call the command line."""

import textwrap

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

FACTORY = """
    import torch
    from torch import nn


    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([-20.0, 20.0]))

        def forward(self, images):
            return (images.mean((1, 2, 3)) - 0.5)[:, None] * self.weight


    def bright(*args, **options):
        return Mean()
"""


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


    def raises(*args, **options):
        raise ValueError("no such width")


    def words(*args, **options):
        return "a model"


    def grey_only(*args, **options):
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture
def percuss():
    """Calls ``percuss ARGUMENTS`` and gives the result with exit_code, stdout and stderr."""
    from percuss.cli.app import app

    torch.manual_seed(0)
    return lambda *arguments: CliRunner().invoke(app, [str(item) for item in arguments])


@pytest.fixture
def images(tmp_path):
    """Twelve grey images of two classes, dark and bright, some close to the border between them."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 105), ("light", 150)):
        home = tmp_path / "images" / name
        home.mkdir(parents=True)
        for i in range(6):
            shift = 4 * i if name == "dark" else -4 * i
            values = rng.integers(level + shift - 3, level + shift + 3, (16, 16), dtype=np.uint8)
            Image.fromarray(values).save(home / f"{i}.png")
    return f"folder:{tmp_path / 'images'}"


@pytest.fixture
def factory(tmp_path, monkeypatch):
    """A spec of a model that calls an image light where its mean is above one half."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "bright_model.py").write_text(textwrap.dedent(FACTORY))
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.chdir(tmp_path)
    return "factory:bright_model:bright"


@pytest.fixture
def bad(percuss, images, tmp_path, monkeypatch):
    """Runs a command that must fail, and gives its words on one line."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "spoilt_models.py").write_text(textwrap.dedent(MODELS))
    monkeypatch.syspath_prepend(str(tmp_path / "code"))

    def run(command, *more, data=images, model="sound", kept=False):
        spec = f"factory:spoilt_models:{model}" if isinstance(model, str) else model
        spec = spec[0] if isinstance(spec, tuple) else spec  # a whole spec
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
