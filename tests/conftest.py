"""What every test shares: one torch thread, the repository's root, the checkers and the real image sets."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def check() -> Callable[[str], ModuleType]:
    """Loads ``tests/checks/NAME.py`` by its path."""

    def load(name: str) -> ModuleType:
        full = f"percuss_check_{name}"
        if full not in sys.modules:
            spec = importlib.util.spec_from_file_location(full, ROOT / "tests" / "checks" / f"{name}.py")
            assert spec and spec.loader
            sys.modules[full] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[full])
        return sys.modules[full]

    return load


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the small real image sets; skips where there is none."""
    folder = Path(os.environ.get("PERCUSS_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real image sets: set PERCUSS_REAL_DATA to the folder that holds pcam_patches")
    return folder
