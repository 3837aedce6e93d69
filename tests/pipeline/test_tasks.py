"""Commands that judge whole images refuse sets with a class at every pixel, in words, before anything is made."""

import pytest
from spots import Spots

from percuss.core.errors import DataError
from percuss.data.spec import load_data
from percuss.pipeline.tasks import refuse_maps


def test_class_maps_are_refused_with_a_way_on():
    with pytest.raises(DataError, match=r"a class at every pixel, which triage does not judge.*percuss audit"):
        refuse_maps(load_data("synthetic:patterns?n=12&size=64"), "triage")
    refuse_maps(load_data("synthetic:tissue?n=12&size=96"), "triage")


def test_heat_maps_are_refused_with_what_judges_them():
    with pytest.raises(DataError, match=r"a truth for every cell, which explain does not judge.*judge heat maps"):
        refuse_maps(Spots(), "explain")
