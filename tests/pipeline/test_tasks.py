"""Sets with a class at every pixel are refused by runs on disk, in words, before anything is made."""

import pytest

import percuss
from percuss.core.errors import DataError

MAPS = "synthetic:patterns?n=12&size=64"


@pytest.mark.parametrize("block", ["audit", "train", "universal"])
def test_class_maps_are_refused_with_a_way_on(block, tmp_path):
    given = {"data": MAPS, "model": "percuss:unet_avramidis", "out": tmp_path / "run"}
    if block == "universal":
        given["budget"] = "linf=2/255"
    with pytest.raises(DataError, match=r"a class at every pixel.*percuss\.attack and percuss\.curve"):
        getattr(percuss, block)(**given)
