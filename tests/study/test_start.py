"""The server of a study starts without what it does not need."""

from __future__ import annotations

import subprocess
import sys


def test_the_server_does_without_torch() -> None:
    heavy = ("torch", "pandas", "scipy")
    asked = f"import sys, percuss.study.app.server; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
