"""A set of several labels seen as one question: does the image have this label?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from percuss.core.errors import DataError, nearest
from percuss.core.images import Case, Entry, ImageSet


class OneLabel(ImageSet):
    """The same images with two classes, ``no NAME`` and ``NAME``.

    Args:
        whole: a set of several labels.
        label: the name of one of them.

    Raises:
        DataError: a set of classes, or a label that it does not have.
    """

    def __init__(self, whole: ImageSet, label: str) -> None:
        if whole.task != "multilabel":
            raise DataError(
                "only one of several labels can be chosen",
                value=f"{whole.spec} has classes",
                next_step="leave out --label; --set pgd.target=2 leads to a chosen class",
            )
        if label not in whole.classes:
            raise DataError("no such label", value=label, allowed=nearest(label, whole.classes))
        self.whole, self.label, self.place = whole, label, whole.classes.index(label)
        entries = [replace(entry, target=self._bit(entry)) for entry in whole.entries]
        super().__init__(f"{whole.spec} ({label})", "classify", (f"no {label}", label), entries)
        self.dropped = whole.dropped

    def read(self, case_id: str) -> Case:
        """The case with 0 or 1 as its target."""
        case = self.whole.read(case_id)
        return replace(case, target=int(np.asarray(case.target)[self.place]))

    def fingerprint(self, case_id: str) -> str:
        """That of the whole set, with the label."""
        return f"{self.whole.fingerprint(case_id)} {self.label}"

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> OneLabel:
        """The same question for some of the images."""
        return OneLabel(self.whole.subset(split=split, ids=ids), self.label)

    def _bit(self, entry: Entry) -> int:
        return int(np.asarray(entry.target)[self.place])
