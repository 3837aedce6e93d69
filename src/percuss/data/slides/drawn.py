"""What a file of outlines holds before anything is decided: curves with their names and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from percuss.core.errors import DataError, nearest

#: What a group of outlines may stand for.
KINDS = ("tumour", "cut-out", "ignore")
#: Groups whose meaning is known, in lower case: of CAMELYON16, and of files that ASAP's users write.
KNOWN = {
    "_0": "tumour",
    "_1": "tumour",
    "_2": "cut-out",
    "tumor": "tumour",
    "tumour": "tumour",
    "metastases": "tumour",
    "exclusion": "cut-out",
}


@dataclass(frozen=True)
class Curve:
    """A closed curve of a file.

    Attributes:
        name: how errors call it.
        group: its group as written in the file.
        points: x (column) and y (row) in pixels of the slide's largest level, float64 ``[N, 2]``.
        cut_out: the file itself marks it as a hole, whatever its group.
    """

    name: str
    group: str
    points: np.ndarray[Any, np.dtype[np.float64]]
    cut_out: bool = False


@dataclass(frozen=True)
class Drawn:
    """Curves of a file, and what was left out of it or settled by a rule, a few words each."""

    curves: tuple[Curve, ...]
    notes: tuple[str, ...] = ()


def read_groups(texts: Iterable[str]) -> dict[str, str]:
    """``NAME=tumour|cut-out|ignore`` of each text; UsageError-like DataError where one has another form."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, kind = text.rpartition("=")
        if not equals or kind not in KINDS:
            raise DataError(
                "a group of outlines must be declared with what it stands for",
                value=text,
                allowed=", ".join(f"NAME={kind}" for kind in KINDS),
                next_step="for instance --group Stroma=ignore",
            )
        if found.setdefault(name, kind) != kind:
            raise DataError("a group of outlines is declared twice", value=f"{name}: {found[name]} and {kind}")
    return found


def kind_of(curve: Curve, groups: Mapping[str, str], *, source: str) -> str:
    """``tumour``, ``cut-out`` or ``ignore``: as declared, else as known; DataError for a group that is neither."""
    declared = groups.get(curve.group, KNOWN.get(curve.group.strip().lower()))
    if declared is None:
        shown = curve.group or "(no name)"
        raise DataError(
            f"{source} holds outlines of a group whose meaning is not known",
            value=shown,
            allowed=f"groups known: {', '.join(KNOWN)}; nearest: {nearest(curve.group, {*KNOWN, *groups})}",
            next_step=f'say what it stands for: --group "{curve.group}=tumour", "{curve.group}=cut-out" or '
            f'"{curve.group}=ignore"',
        )
    return "cut-out" if curve.cut_out and declared == "tumour" else declared
