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
