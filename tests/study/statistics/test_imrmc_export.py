"""iMRMC's input text: the documented layout, read back as iMRMC reads it, and names that it cannot hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.study.van_dyke import van_dyke

from percuss.core.errors import DataError
from percuss.study.statistics.imrmc_export import imrmc_text
from percuss.study.statistics.mrmc_table import Readings

SMALL = Readings(
    ("A", "B"), ("x", "y", "z"), ("m", "n"), np.arange(12).reshape(2, 2, 3) / 4, np.array([False, True, False])
)


def test_the_layout() -> None:
    assert imrmc_text(SMALL, title="A study").splitlines() == [
        "A study",
        "",
        "NR: 2",
        "N0: 2",
        "N1: 1",
        "NM: 2",
        "",
        "BEGIN DATA:",
        "-1,x,0,0",
        "-1,y,0,1",
        "-1,z,0,0",
        "A,x,m,0",
        "A,x,n,1.5",
        "A,y,m,0.25",
        "A,y,n,1.75",
        "A,z,m,0.5",
        "A,z,n,2",
        "B,x,m,0.75",
        "B,x,n,2.25",
        "B,y,m,1",
        "B,y,n,2.5",
        "B,z,m,1.25",
        "B,z,n,2.75",
    ]


def test_it_reads_back_whole() -> None:
    study = van_dyke()
    study = replace(study, scores=study.scores / 3)
    text = imrmc_text(study, title="Van Dyke")
    assert text.endswith("\n") and "\r" not in text
    head, body = text.split("BEGIN DATA:\n")
    sizes = dict(line.split(": ") for line in head.splitlines() if ": " in line)
    assert sizes == {"NR": "5", "N0": "69", "N1": "45", "NM": "2"}
    rows = [line.split(",") for line in body.splitlines()]
    assert {len(row) for row in rows} == {4} and len(rows) == 114 * 11
    assert study.truth is not None
    for reader, case, arm, score in rows:
        place = study.cases.index(case)
        if reader == "-1":
            assert (arm, score) == ("0", str(int(study.truth[place])))
        else:
            assert float(score) == study.scores[study.arms.index(arm), study.readers.index(reader), place]


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(SMALL, readers=("-1", "B")),
        replace(SMALL, readers=("truth", "B")),
        replace(SMALL, arms=("0", "n")),
        replace(SMALL, cases=("x", "y,y", "z")),
        replace(SMALL, cases=("x", "y\ny", "z")),
        replace(SMALL, cases=("x", " y", "z")),
        replace(SMALL, cases=("x", "", "z")),
    ],
)
def test_names_the_format_cannot_hold_are_refused(spoilt: Readings) -> None:
    with pytest.raises(DataError, match="cannot stand in an iMRMC file"):
        imrmc_text(spoilt, title="A study")


def test_a_title_that_reads_as_a_size_and_a_lack_of_truth_are_refused() -> None:
    for title in ("NR: 3", "Our nr: 3", "see Begin Data: below", "two\nlines", ""):
        with pytest.raises(DataError, match="title"):
            imrmc_text(SMALL, title=title)
    with pytest.raises(DataError, match="truth of each case"):
        imrmc_text(replace(SMALL, truth=None), title="A study")


def test_names_that_differ_in_spaces_alone_are_one_to_imrmc_and_refused() -> None:
    for field, names in (("readers", ("A B", "AB")), ("cases", ("x", "y 1", "y  1")), ("arms", ("m n", "mn"))):
        with pytest.raises(DataError, match="are one to iMRMC"):
            imrmc_text(replace(SMALL, **{field: names}), title="A study")
