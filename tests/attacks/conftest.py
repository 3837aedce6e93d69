"""A small trained segmenter with unseen patterns that it segments well."""

import pytest

from percuss.testing.segmenter import patterns, trained, well_segmented


@pytest.fixture(scope="session")
def segmenter():
    """The model, and five unseen images whose quality is above the bar."""
    model = trained()
    batch = well_segmented(model, patterns("test"), 5)
    assert len(batch.ids) == 5
    return model, batch
