"""Clean performance, findings and per_image.csv of class maps, from tables made by hand."""

import numpy as np
import pandas as pd
import pytest
from test_dense_summary import NAMES, maps, rows, run

from percuss.core.errors import RunError
from percuss.evaluate.dense_summary import dense_summary, with_quality
from percuss.evaluate.export import PER_IMAGE, per_image
from percuss.evaluate.summary import summarise


def tables(dense):
    """clean.parquet and rows.parquet that fit a dense table."""
    judged = with_quality(dense, classes=len(NAMES))
    first = judged[judged["attack"] == "clean"].set_index("id")["quality"]
    labels = {"i1": "0", "i3": ""}
    clean = pd.DataFrame(
        {
            "id": first.index,
            "group": "",
            "label": [labels.get(name, "0|1|2") for name in first.index],
            "prediction": "0|1|2",
            "confidence": 0.9,
            "correct": first.to_numpy() >= 0.5,
            "quality": first.to_numpy(),
        }
    )
    part = judged[(judged["attack"] != "clean") & (judged["state"] == "float")]
    found = clean.set_index("id").loc[part["id"]].reset_index()
    found = found.rename(columns={"prediction": "clean_prediction", "confidence": "clean_confidence"})
    values = part["quality"].to_numpy()
    found = found.assign(
        **{name: part[name].to_numpy() for name in ("attack", "norm", "budget", "eps")},
        success=(values < 0.5) & found["correct"].to_numpy(),
        success_stored=False,
        confidence=0.8,
        prediction="0|1",
        margin=0.5 - values,
        gradient_evaluations=3,
        **dict.fromkeys(("linf", "l2", "l1", "l0"), 0.0),
    )
    return clean, found


def summary(dense):
    clean, found = tables(dense)
    numbers = dense_summary(dense, classes=NAMES, seed=0)
    return clean, found, summarise(found, clean, classes=NAMES, task="segment", dense=numbers)


def test_clean_numbers_are_the_share_at_the_bar_and_nothing_that_maps_have_not():
    clean, found, got = summary(run())
    assert got.clean.accuracy.value == clean["correct"].mean()
    assert (got.clean.auc.value, got.clean.balanced_accuracy.method) == (None, "not defined for class maps")
    assert (got.clean.confusion, got.clean.per_class) == (None, {})
    for point in got.curves:
        if point.attack == "noise":
            kept = found[(found["attack"] == "noise")]
            assert point.robust_accuracy.value == (kept["correct"] & (kept["margin"] <= 0)).mean()


def test_a_map_of_the_same_classes_may_be_wrong_all_the_same():
    _, found, got = summary(run())
    point = next(p for p in got.curves if (p.attack, p.budget) == ("apgd", "2/255"))
    part = found[(found["attack"] == "apgd") & found["correct"]]
    sign = np.where(part["margin"] <= 0, 0.8, -0.8)
    assert point.confidence_change.value == pytest.approx((sign - 0.9).mean())


def test_findings_of_maps_replace_those_of_classes():
    found = {item.id: item for item in summary(run())[2].findings}
    assert found["no-nuclei-images"].evidence == {"images": 1, "of": 6}
    assert found["class-absent"].evidence == {"classes": ["never"]}
    assert not {"all-background", "clean-accuracy-low", "one-class"} & set(found)


def test_a_model_that_decides_background_everywhere_is_named():
    truth, _ = maps()
    nothing = np.zeros_like(truth)
    dense = pd.concat(
        [
            rows(nothing, truth),
            rows(nothing, truth, attack="pgd", norm="linf", budget="1/255", eps=1 / 255, state="float"),
        ]
    )
    found = {item.id: item for item in summary(dense)[2].findings}
    assert found["all-background"].severity == "warning"
    assert found["all-background"].evidence["pixel_accuracy"] == found["all-background"].evidence["floor"]


def test_the_table_of_images_carries_dice_before_and_after():
    dense = run()
    _, found = tables(dense)
    got = per_image(found, NAMES, "segment", dense=dense)
    assert tuple(got.columns) == (*PER_IMAGE, "clean_dice", "dice", "dice_stored")
    np.testing.assert_allclose(got["dice"], 0.5 - found["margin"])
    np.testing.assert_allclose(got["clean_dice"], found["quality"])
    assert not np.allclose(got["dice"], got["dice_stored"])
    assert set(got["label"]) == {"background", "nothing judged", "background, tumour, stroma"}
    with pytest.raises(RunError, match="fits no class"):
        per_image(found.assign(label="0|9"), NAMES, "segment")
