"""Sets of class maps: background alone is refused, validation is drawn from classes and groups."""

import numpy as np
import pytest

from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.pipeline import trainsets
from percuss.pipeline.trainsets import Division, divide, read


class Maps(ImageSet):
    """Maps of the class that the entry names, everything else background."""

    def read(self, case_id):
        entry = self.entry(case_id)
        target = np.zeros((8, 8), np.uint8)
        target[:2] = entry.target if isinstance(entry.target, int) else entry.target[-1]
        target[7] = 255
        return Case(case_id, np.zeros((3, 8, 8), np.uint8), PixelRange(), target, group=entry.group)

    def fingerprint(self, case_id):
        return case_id

    def subset(self, split=None, ids=None):
        return self


def maps(targets):
    entries = [Entry(f"I{i:03d}", target, "train", f"P{i // 2}") for i, target in enumerate(targets)]
    return Maps("maps", "segment", ("background", "a", "b"), entries)


def test_training_maps_of_background_alone_are_refused():
    empty, full = maps([0] * 6), maps([0, 0, 0, 2])
    for images, fine in ((empty, False), (full, True)):
        division = Division(images, "maps", images.ids, (), ())
        if fine:
            assert len(read(division, images.ids, "training").ids) == 4
            continue
        read(division, images.ids, "validation")
        with pytest.raises(DataError, match=r"hold the background alone: 6 images\. Allowed: pixels of a, b"):
            read(division, images.ids, "training")


@pytest.mark.parametrize("targets", [[0] * 40, [(0, 1), (0,), (0, 1, 2), 0] * 10])
def test_validation_is_drawn_groups_whole(monkeypatch, targets):
    images = maps(targets)
    monkeypatch.setattr(trainsets, "load_data", lambda spec: images)
    whole = divide("maps", 0)
    group = {entry.id: entry.group for entry in images.entries}
    assert 4 <= len(whole.val) <= 8 and not {group[i] for i in whole.val} & {group[i] for i in whole.train}
    assert sorted((*whole.train, *whole.val)) == sorted(images.ids) and whole.images is images


def test_one_slide_cannot_be_trained_on_and_validated(monkeypatch):
    """Many tiles of one group are no two groups; the message says so."""
    images = Maps(
        "maps", "heatmap", ("normal", "tumour"), [Entry(f"T{i}", (0, i % 2), "train", "S") for i in range(40)]
    )
    monkeypatch.setattr(trainsets, "load_data", lambda spec: images)
    with pytest.raises(DataError, match="40 training images, groups kept whole: 1.*two groups"):
        divide("maps", 0)
