"""Sizes of a study's thresholds as words."""

import pytest

from percuss.core.study_results import CurvePoint, ThresholdRecord
from percuss.report.reader_study_text import size_like


def shown(*sizes):
    """A record of these sizes as the protocol writes them, with what they come to."""
    points = [CurvePoint.model_construct(size=f"linf={size}" if size else "", eps=eps) for size, eps in sizes]
    return ThresholdRecord.model_construct(points=points)


@pytest.mark.parametrize(
    ("sizes", "eps", "text"),
    [
        ([("", 0.0), ("1/255", 1 / 255), ("8/255", 8 / 255)], 4.9 / 255, "4.9/255"),
        ([("", 0.0), ("5HU", 5 / 1500), ("60HU", 60 / 1500)], 0.00748, "11.2HU"),
        ([("2grey", 2 / 4095), ("16grey", 16 / 4095)], 3.5 / 4095, "3.5grey"),
        ([("1%", 0.01), ("20%", 0.2)], 0.015, "1.5%"),
        ([("rms:0.01", 1.92), ("rms:0.02", 3.84)], 2.88, "rms:0.015"),
        ([("0.5", 0.5), ("1e0", 1.0)], 0.75, "0.75"),
        ([("1/255", 1 / 255), ("0.02", 0.02)], 0.015, "0.015"),
        ([("5HU", 5 / 1500), ("0.02", 0.02)], 0.015, "0.015"),
        ([], 0.015, "0.015"),
        ([("8/255", 8 / 255)], None, "none"),
    ],
)
def test_a_size_is_written_as_the_protocol_writes_its_arms(sizes, eps, text):
    assert size_like(eps, shown(*sizes)) == text
