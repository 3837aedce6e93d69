"""csv: columns by their names and by option, label order, and each way a table cannot be used."""

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import DataError
from percuss.data import csv
from percuss.data.spec import load_data


@pytest.fixture
def table(tmp_path):
    """Writes a table with images i0.png, i1.png, ... beside it and gives its spec."""
    for number in range(6):
        Image.fromarray(np.full((4, 4), number * 10, np.uint8)).save(tmp_path / f"i{number}.png")

    def write(text, encoding="utf-8"):
        (tmp_path / "t.csv").write_text(text, encoding=encoding)
        return f"csv:{tmp_path / 't.csv'}"

    return write


def test_text_labels_and_a_byte_order_mark(table):
    images = load_data(table("path,label\r\ni0.png, tumour\r\ni1.png,normal\r\n", "utf-8-sig"))
    assert images.classes == ("normal", "tumour") and [e.target for e in images.entries] == [1, 0]
    assert images.splits == () and images.read("i1.png").pixels.max() == 10


def test_number_labels_go_by_number_and_take_their_names(table):
    rows = "i0.png,10,z\ni1.png,9,y\ni2.png,2,x\n"
    assert load_data(table("path,label\n" + rows.replace(",z", "").replace(",y", "").replace(",x", ""))).classes == (
        "2",
        "9",
        "10",
    )
    assert load_data(table("path,label,label_name\n" + rows)).classes == ("x", "y", "z")


def test_label_name_alone(table):
    assert load_data(table("path,label_name\ni0.png,b\ni1.png,a\n")).classes == ("a", "b")


def test_split_patient_and_mask(tmp_path):
    images = load_data(csv.miniature(tmp_path))
    assert images.splits == ("train", "val", "test") and images.classes == ("normal", "tumour")
    case = images.read(images.ids[2])
    assert case.group == "p1" and case.mask is not None and set(np.unique(case.mask)) == {0, 1}
    assert case.range.levels == 65535 and case.pixels.dtype == np.uint16
    small = load_data(images.spec, size=3).read(images.ids[2])
    assert small.mask.shape == (3, 3) == small.pixels.shape[1:]


def test_a_mask_of_another_size(table, tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "m.png")
    images = load_data(table("path,label,mask\ni0.png,a,m.png\ni1.png,b,\n"))
    assert images.read("i1.png").mask is None
    with pytest.raises(DataError, match="the mask of i0.png has another size"):
        images.read("i0.png")


def test_other_column_names(table):
    text = "file,diagnosis,case,fold,label,label_name\ni0.png,b,p1,valid,0,n\ni1.png,a,p2,test,1,m\n"
    spec = table(text) + "?path_column=file&label_column=diagnosis&group_column=case&split_column=fold"
    images = load_data(spec)
    assert images.classes == ("a", "b") and images.splits == ("val", "test")
    assert [e.group for e in images.entries] == ["p1", "p2"]


def test_several_labels(table):
    text = "path,label\ni0.png,effusion|mass\ni1.png,\ni2.png,mass\n"
    images = load_data(table(text), task="multilabel")
    assert images.task == "multilabel" and images.classes == ("effusion", "mass")
    assert [e.target for e in images.entries] == [(1, 1), (0, 0), (0, 1)]
    assert images.tensors()[1].tolist() == [[1, 1], [0, 0], [0, 1]]
    with pytest.raises(DataError, match=r"line 2 of the table has several labels: effusion\|mass.*\?task=multilabel"):
        load_data(table(text))


def test_numbered_labels_with_names(table):
    text = "path,label,label_name\ni0.png,0|2,effusion|mass\ni1.png,,\ni2.png,1,edema\n"
    images = load_data(table(text), task="multilabel")
    assert images.classes == ("effusion", "edema", "mass") and images.entries[0].target == (1, 0, 1)


def test_drawn_splits_keep_patients_whole(table):
    rows = "".join(f"i{n % 6}.png,{n % 2},p{n // 2}\n" for n in range(6))
    images = load_data(table("path,label,patient\n" + rows) + "?split=0.4,0.3,0.3&seed=5")
    assert set(images.splits) == {"train", "val", "test"}
    assert all(len({e.split for e in images.entries if e.group == f"p{n}"}) == 1 for n in range(3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the table holds no images"),
        ("path,label\n", "the table holds no images"),
        ("file,label\ni0.png,a\n", r"no column path: file, label\. Next: name it with \?path_column=NAME"),
        ("path,class\ni0.png,a\n", r"no column label.*\?label_column=NAME"),
        ("path,label\ni0.png,a\ni1.png,\n", "line 3 of the table has no label"),
        ("path,label\ni0.png,a\ni1.png,NaN\n", "line 3 of the table has no label: 'NaN'"),
        ("path,label\n,a\ni1.png,b\n", "line 2 of the table has no path"),
        ("path,label\ni0.png,a\ni1.png,a\n", "has a single class: a"),
        ("path,label\ni0.png,a\ni0.png,b\n", "an image is listed 2 times: i0.png"),
        ("path,label\nx.png,a\ny.png,b\n", "none of the table's images exists.*x.png.*relative to the table"),
        ("path,label\ni0.png,a,7\ni1.png,b\n", "line 2 of the table has more or fewer values"),
        ("path,label,split\ni0.png,a\ni1.png,b\n", "line 2 of the table has more or fewer values"),
        ("path,label,label\ni0.png,a,a\n", "two columns of the table have the same name"),
        ("path,label,split\ni0.png,a,test\ni1.png,b,\n", "1 of 2 rows have no split"),
        ("path,label,split,group\ni0.png,a,test,g1\ni1.png,b,train,g1\n", "stands in the splits test and train: g1"),
        (
            "path,label,patient,group\ni0.png,a,1,1\n",
            r"two columns may be the group: patient and group.*\?group_column=",
        ),
        ("path,label,label_name\ni0.png,0,a\ni1.png,0,b\n", "the label 0 has two names, or none: 'a' and 'b'"),
        ("path,label,label_name\ni0.png,0,a\ni1.png,1,\n", "the label 1 has two names, or none"),
        ("path,label,label_name\ni0.png,0,a\ni1.png,1,a\n", "two labels have the same name"),
    ],
)
def test_tables_that_cannot_be_used(table, text, words):
    with pytest.raises(DataError, match=words):
        load_data(table(text))


def test_missing_table_and_odd_bytes(tmp_path):
    with pytest.raises(DataError, match="the table does not exist"):
        load_data(f"csv:{tmp_path}/absent.csv")
    (tmp_path / "t.csv").write_bytes(b"path,label\ni0.png,\xff\xfe\n")
    with pytest.raises(DataError, match="the table cannot be read.*UTF-8"):
        load_data(f"csv:{tmp_path / 't.csv'}")


def test_unknown_option_and_column(table):
    spec = table("path,label\ni0.png,a\ni1.png,b\n")
    with pytest.raises(DataError, match="unknown option of csv: label_colum. Allowed: label_column"):
        load_data(spec, label_colum="label")
    with pytest.raises(DataError, match="the table has no column for label: lable. Allowed: label"):
        load_data(spec, label_column="lable")
    with pytest.raises(DataError, match="task has an unknown value: regress"):
        load_data(spec, task="regress")


def test_empty_group_and_split_columns_count_as_absent(table):
    images = load_data(table("path,label,split,group\ni0.png,a,,\ni1.png,b,,\n"))
    assert images.splits == () and [e.group for e in images.entries] == [None, None]
