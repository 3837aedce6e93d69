"""A slide sixteen times as large is read whole in the same memory (benchmarks/slide_memory.py at small sizes)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tiffslide")
SCRIPT = Path(__file__).parents[3] / "benchmarks" / "slide_memory.py"


def test_memory_is_flat_in_the_size_of_the_slide():
    command = [sys.executable, str(SCRIPT), "--sides", "3072,12288", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    small, large = json.loads(done.stdout)
    assert large["pixels"] > 15 * small["pixels"]
    # The larger one is 432 MiB of pixels.
    assert large["grown_mib"] < small["grown_mib"] + 40
    assert large["grown_mib"] < 160
