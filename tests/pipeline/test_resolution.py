"""Tiles of another resolution than the model's training are told; what is not known is not guessed."""

import csv
import json

import pytest

from percuss.data import tiled
from percuss.data.spec import load_data
from percuss.pipeline.resolution import other_resolution


def at(folder, mpp):
    """A folder of tiles that says it was cut at a resolution."""
    folder.mkdir()
    spec = tiled.miniature(folder)
    with (folder / "tiles.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    with (folder / "tiles.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows([row | {"mpp": mpp} for row in rows])
    return load_data(spec)


@pytest.mark.parametrize(("mpp", "told"), [("1", False), ("0.97", False), ("2", True), ("0.5", True)])
def test_tiles_of_another_resolution_than_the_training(tmp_path, mpp, told):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "training.json").write_text(json.dumps({"tiles": {"size": 16, "mpp": 1.0}}))
    found = other_resolution(str(tmp_path / "model"), at(tmp_path / "tiles", mpp))
    assert [item.id for item in found] == (["other-resolution"] if told else [])
    assert all(item.evidence == {"trained": 1.0, "asked": float(mpp)} for item in found)


def test_where_nothing_is_known_nothing_is_said(tmp_path):
    images = at(tmp_path / "tiles", "2")
    assert other_resolution("percuss:denoising_detector", images) == []
    for text in ('{"tiles": null}', "{}", "broken"):
        (tmp_path / "training.json").write_text(text)
        assert other_resolution(str(tmp_path), images) == []
