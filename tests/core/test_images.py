"""ImageSet: stacking, spreading, and what happens to images that do not fit."""

import numpy as np
import pytest
import torch

from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, PixelRange


class Tiny(ImageSet):
    """A set held in memory; ids in ``broken`` cannot be read."""

    def __init__(self, cases, task="classify", classes=("a", "b"), broken=()):
        entries = [
            Entry(c.id, c.target if isinstance(c.target, int) else tuple(c.target), "test", c.group) for c in cases
        ]
        super().__init__("tiny", task, classes, entries)
        self.cases, self.broken = {c.id: c for c in cases}, set(broken)

    def read(self, case_id):
        self.entry(case_id)
        if case_id in self.broken:
            raise DataError("the image cannot be read", value=case_id)
        return self.cases[case_id]

    def fingerprint(self, case_id):
        return case_id

    def subset(self, split=None, ids=None):
        return Tiny([c for c in self.cases.values() if ids is None or c.id in ids], self.task, self.classes)


def case(name, target=0, shape=(1, 4, 4), value=7, pixels=None, rng=None):
    return Case(name, np.full(shape, value, np.uint8) if pixels is None else pixels, rng or PixelRange(), target)


def test_unit_is_exact_on_the_native_grid():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    got = case("x", pixels=values).unit()
    assert got.dtype == torch.float32
    assert torch.equal((got * 255).round().to(torch.uint8), torch.from_numpy(values))


def test_native_units_map_to_the_window():
    got = case("ct", pixels=np.array([[[-1350.0, -600.0, 150.0]]]), rng=PixelRange(-1350, 150, 1, "HU")).unit()
    assert got.flatten().tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_an_image_is_named(value):
    with pytest.raises(DataError, match="image bad holds NaN or infinite pixels"):
        case("bad", pixels=np.full((1, 2, 2), value)).unit()


def test_values_beyond_the_declared_range_are_refused():
    with pytest.raises(DataError, match=r"image wide leaves its declared range: 0 to 4000.*\?bits=12"):
        case("wide", pixels=np.array([[[0, 4000]]], dtype=np.uint16)).unit()


def test_bad_and_odd_images_are_listed_and_the_rest_is_kept():
    cases = [case(f"i{i}", i % 2) for i in range(5)] + [case("odd", 1, shape=(1, 5, 5))]
    got = Tiny(cases, broken=["i3"]).collect([c.id for c in cases])
    assert got.ids == ["i0", "i1", "i2", "i4"]
    assert [b.id for b in got.bad] == ["i3", "odd"]
    assert "most are (1, 4, 4)" in got.bad[1].reason
    assert got.targets.tolist() == [0, 1, 0, 0]


def test_tensors_raises_where_collect_records():
    with pytest.raises(DataError, match="1 of 2 images cannot be used"):
        Tiny([case("a"), case("b")], broken=["b"]).tensors()


def test_multilabel_targets_are_vectors():
    cases = [case(n, np.array(t)) for n, t in (("a", [0, 1]), ("b", [1, 1]))]
    _, targets = Tiny(cases, task="multilabel").tensors()
    assert targets.tolist() == [[0, 1], [1, 1]]


def test_a_limit_gives_every_class_its_share_and_grows_by_adding():
    cases = [case(f"i{i:02d}", 0 if i < 16 else 1) for i in range(20)]
    tiny = Tiny(cases)
    four, six = tiny.spread(4), tiny.spread(6)
    assert sorted(tiny.entry(i).target for i in four) == [0, 0, 1, 1]
    assert set(four) < set(six)
    assert list(six) == sorted(six)
    with pytest.raises(DataError, match="at least 1"):
        tiny.spread(0)


def test_an_unknown_id_names_its_neighbours():
    with pytest.raises(DataError, match=r"no such image in the set: i1x.*i1"):
        Tiny([case("i1"), case("i2")]).read("i1x")


def test_levels_of_common_depths():
    assert PixelRange().levels == 255
    assert PixelRange(0, 65535).levels == 65535
    assert PixelRange(-1350, 150, 1, "HU").levels == 1500
