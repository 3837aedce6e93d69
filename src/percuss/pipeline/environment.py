"""Where a run happens: versions, device, threads."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from collections.abc import Iterator

import torch

from percuss.core.errors import UsageError


def version() -> str:
    """The version of Percuss."""
    return importlib.metadata.version("percuss")


def pick_device(name: str) -> torch.device:
    """``auto`` takes a GPU where there is one; UsageError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            "the device cannot be used", value=name, allowed="auto, cpu, cuda", next_step="give --device cpu"
        ) from error
    return device


def describe(device: torch.device) -> dict[str, str]:
    """Versions and machine, as text by name."""
    found = {"python": platform.python_version()}
    for package in ("percuss", "torch", "torchvision", "timm", "numpy"):
        found[package] = importlib.metadata.version(package)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return found | {
        "os": platform.platform(),
        "device": f"{device.type} ({name})",
        "threads": str(torch.get_num_threads()),
    }


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Within, torch uses so many threads (None leaves them)."""
    before = torch.get_num_threads()
    try:
        if count is not None:
            torch.set_num_threads(count)
        yield
    finally:
        torch.set_num_threads(before)
