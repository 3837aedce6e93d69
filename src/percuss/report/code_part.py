"""The code that a network judges, as the report shows it: its kernels, and what one image's code is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from percuss.core.errors import RunError
from percuss.report.sections import as_source

#: Where an audit leaves what it saw of the code.
TOLD = "code/told.json"


@dataclass(frozen=True)
class CodePicture:
    """An embedded picture with what it shows; ``side`` is its wanted width on the page in CSS pixels."""

    source: str
    caption: str
    side: int


@dataclass(frozen=True)
class CodePart:
    """What the section on the code shows."""

    kind: str
    facts: list[tuple[str, str]]
    words: list[str]
    kernels: CodePicture
    case: str
    pictures: list[CodePicture]


def code_part(folder: Path) -> CodePart | None:
    """The section of a run whose network has a code; None for others. RunError where its files are damaged."""
    found = read_code(folder)
    if found is None:
        return None
    kernels = found["kernels"]
    try:
        return CodePart(
            kind=str(found["kind"]),
            facts=[(str(name), str(value)) for name, value in found["facts"]],
            words=[str(text) for text in found["words"]],
            kernels=CodePicture(_source(folder, kernels["file"]), str(kernels["caption"]), int(kernels["width"])),
            case=str(found["image"]),
            pictures=[
                CodePicture(_source(folder, item["file"]), str(item["caption"]), 196) for item in found["pictures"]
            ],
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise RunError(f"{folder / TOLD} cannot be used", value=repr(error), next_step=_AGAIN) from error


_AGAIN = "run percuss audit again in a new folder"


def read_code(folder: Path) -> dict[str, Any] | None:
    """What a run tells of its network's code, as ``pipeline.code_pictures`` wrote it; None where it has none."""
    path = folder / TOLD
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read", value=error, next_step=_AGAIN) from error
    if not isinstance(found, dict):
        raise RunError(f"{path} cannot be used", value=type(found).__name__, next_step=_AGAIN)
    return found


def _source(folder: Path, file: Any) -> str:
    return as_source((folder / "code" / str(file)).read_bytes())
