"""per_image.csv has the promised columns, and class names where they are given."""

import pandas as pd
import pytest

from percuss.core.errors import RunError
from percuss.core.outcome import COLUMNS
from percuss.evaluate.export import PER_IMAGE, per_image


def rows(labels, predictions):
    table = {name: [0] * len(labels) for name in COLUMNS}
    return pd.DataFrame(table | {"label": labels, "clean_prediction": predictions})


def test_the_promised_columns():
    got = per_image(rows(["0"], ["1"]))
    assert ",".join(got.columns) == (
        "id,label,clean_prediction,attack,norm,eps,success,success_stored,linf,l2,l1,l0,confidence,gradient_evaluations"
    )
    assert tuple(got.columns) == PER_IMAGE and got["label"].tolist() == ["0"]


def test_class_names():
    table = rows(["0", "1"], ["1", "1"])
    got = per_image(table, ["normal", "tumour"])
    assert got["label"].tolist() == ["normal", "tumour"] and got["clean_prediction"].tolist() == ["tumour"] * 2
    assert table["label"].tolist() == ["0", "1"]


def test_names_of_several_labels():
    got = per_image(rows(["101"], ["000"]), ["a", "b", "c"], "multilabel")
    assert (got["label"][0], got["clean_prediction"][0]) == ("a, c", "none of the labels")


@pytest.mark.parametrize(("label", "task"), [("2", "classify"), ("x", "classify"), ("011", "multilabel")])
def test_a_label_without_class(label, task):
    with pytest.raises(RunError, match=f"a label fits no class of the run: {label}"):
        per_image(rows([label], [label]), ["a", "b"], task)
