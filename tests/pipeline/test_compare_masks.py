"""Audits of class maps compared: the same truths, and differences of Dice image by image."""

import numpy as np
import pandas as pd
import pytest
import torch
from squares import SIDE, Squares, run, teller

from percuss.core.errors import RunError
from percuss.pipeline.compare import compare


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("masks") / "run")


def test_two_runs_compare_and_other_truths_are_told_apart(finished, tmp_path):
    other = run(tmp_path / "two", attacks=["pgd", "noise"])
    found = compare([finished.path, other.path], out=tmp_path / "both")
    assert found.n_images == 8
    moved = np.zeros((SIDE, SIDE), np.uint8)
    moved[:3, :3] = 1
    spoilt = {"target": moved, "instances": moved.astype(np.int32)}
    third = run(tmp_path / "three", data=Squares(faults={"case2": spoilt}), attacks=["noise"])
    with pytest.raises(RunError, match="another label"):
        compare([finished.path, third.path], out=tmp_path / "again")


def test_compared_runs_differ_in_dice_as_their_images_do(finished, tmp_path):
    weak = teller()
    with torch.no_grad():  # nearer to calling everything background
        weak.network.bias[0] += 0.2
    other = run(tmp_path / "two", model=weak)
    found = compare([finished.path, other.path], out=tmp_path / "both")
    tables = [pd.read_parquet(path / "dense.parquet") for path in (finished.path, other.path)]
    for attack, stored in (("pgd", True), ("fgsm", False), ("no attack", False)):
        means = []
        for table in tables:
            name, state = ("clean", "stored") if attack == "no attack" else (attack, "stored" if stored else "float")
            part = table[(table["attack"] == name) & (table["state"] == state)]
            part = part[part["budget"] == ("" if name == "clean" else "linf=12/255")]
            pixels = torch.from_numpy(np.stack(part["pixels"].tolist())).view(-1, 3, 3).double()
            dice = 2 * pixels.diagonal(dim1=1, dim2=2) / (pixels.sum(1) + pixels.sum(2)).clamp_min(1)
            there = pixels.sum(2)[:, 1:] > 0
            each = (dice[:, 1:] * there).sum(1) / there.sum(1).clamp_min(1)
            own = pixels[:, 0, 0] / pixels.sum((1, 2))
            means.append(torch.where(there.any(1), each, own).mean().item())
        items = [item for item in found.masks if item.attack == attack and item.stored == stored]
        (item,) = [item for item in items if item.budget in ("", "linf=12/255")]
        assert item.of_first.value == pytest.approx(means[0]) and item.of_second.value == pytest.approx(means[1])
        assert item.difference.value == pytest.approx(means[0] - means[1])
        if means[0] == means[1]:  # all images alike in both: no bounds rather than none wide
            assert item.difference.low is None
        else:
            assert item.difference.low <= item.difference.value <= item.difference.high
    assert "Masks" in (tmp_path / "both" / "compare.html").read_text(encoding="utf-8")
    both = (item for item in found.masks if item.attack in ("worst", "pgd") and item.budget == "linf=12/255")
    worst = {(item.attack, item.stored): item.of_first.value for item in both}
    assert worst["worst", True] <= worst["pgd", True]


def test_the_worst_masks_of_two_runs_stand_in_the_table_for_the_terminal(finished, tmp_path):
    other = run(tmp_path / "two")
    table = compare([finished.path, other.path]).mask_table
    assert {row[1] for row in table.body} == {"no attack", "worst"} and "as stored" in table.text()
