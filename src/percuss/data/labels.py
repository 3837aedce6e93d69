"""Class order and targets from the labels as written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from percuss.core.errors import DataError
from percuss.core.images import Task


def is_number(text: str) -> bool:
    """Whether a label is a whole number, as written in ASCII digits."""
    return text.isascii() and text.removeprefix("-").isdigit()


def class_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Distinct labels in index order: by number where all are numbers, else by name."""
    found = sorted(set(labels))
    return tuple(sorted(found, key=int)) if all(is_number(label) for label in found) else tuple(found)


def check_classes(classes: Sequence[str], task: Task, where: str) -> None:
    """DataError where there are too few classes to judge a decision."""
    if len(classes) < (2 if task == "classify" else 1):
        raise DataError(
            f"{where} has {'a single class' if classes else 'no class'}",
            value=", ".join(classes) or "none",
            allowed="at least two classes for classify, one label for multilabel",
            next_step="add the missing class, or point at the folder or table that holds them all",
        )


def target_of(labels: Sequence[str], classes: Sequence[str], task: Task) -> int | tuple[int, ...]:
    """Class index (classify: one label), or 0/1 per class (multilabel)."""
    if task == "classify":
        return list(classes).index(labels[0])
    return tuple(int(name in labels) for name in classes)
