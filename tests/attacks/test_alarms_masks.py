"""The alarms on segmenters: broken ones set them off, an honest one does not."""

import json

import pytest
import torch

from percuss.attacks.alarms.run import IDS, alarm_findings, run_alarms
from percuss.attacks.alarms.stored import stored_images_hold
from percuss.core.dense import IGNORE
from percuss.core.model import Model
from percuss.testing.broken import BROKEN, Wrapped
from percuss.testing.exact import examples, pixel_model


class Huge(Wrapped):
    """Logits times a million: nothing is left of the cross-entropy's gradient at pixels that are right."""

    def after(self, logits):
        return logits * 1e6


def test_no_alarm_on_an_honest_segmenter(segmenter):
    records = run_alarms(*segmenter, effort="quick")
    assert [record["message"] for record in records if record["flagged"]] == []
    assert len(records) == 16 and records == json.loads(json.dumps(records))


@pytest.mark.parametrize("rows", [1, 3])
def test_nor_on_one_that_decides_each_pixel_by_itself_whatever_is_not_judged(rows):
    model = pixel_model()
    batch = examples(model, 8)
    batch.targets[:, :rows] = IGNORE
    found = [record["id"] for record in run_alarms(model, batch, effort="quick") if record["flagged"]]
    assert found == []


NAMES = [name for name in BROKEN if name not in ("noisy", "smoothed", "purified", "jpeg")]  # as for other tasks


@pytest.mark.parametrize("name", [*NAMES, "huge"])
def test_every_broken_segmenter_is_flagged(segmenter, name):
    wrap, wanted = BROKEN.get(name, (Huge, ("saturated-loss",)))
    model, batch = segmenter
    records = run_alarms(Model(wrap(model.network), model.info), batch, effort="quick", most=6)
    found = {finding.id: finding.severity for finding in alarm_findings(records)}
    assert set(wanted) <= set(found) <= set(IDS), found
    assert "check-failed" not in found


def test_stored_masks_that_do_not_hold_are_told(segmenter):
    model, batch = segmenter
    names = {"claimed": [False] * len(batch.ids), "ids": batch.ids}
    assert not stored_images_hold(model, batch.images, batch.targets, **names)["flagged"]
    record = stored_images_hold(model, torch.full_like(batch.images, 0.5), batch.targets, **names)
    assert record["flagged"] and record["severity"] == "severe"
