"""Storage of attacked tiles: AUC-PR of what is read back is that of the model on the stored bytes."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score
from spots import Spots, averager, run

from percuss.pipeline.survive import survival, survive

FORMATS = ["native", "png", "jpeg80-444", "dicom8"]


def area(images, truth):
    with torch.no_grad():
        logits = averager()(images)
    kept = truth != 255
    return average_precision_score(truth[kept] == 1, (logits[:, 1] - logits[:, 0]).half().double()[kept])


def jpeg(images):
    found = []
    for image in images:
        content = io.BytesIO()
        plain = (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(plain).save(content, "JPEG", quality=80, subsampling=0)
        back = np.asarray(Image.open(content)).transpose(2, 0, 1)
        found.append(torch.from_numpy(back / 255).float())
    return torch.stack(found)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    out = tmp_path_factory.mktemp("survive") / "run"
    run(out)
    return survive(out, data=Spots(), model=averager(), formats=FORMATS)


def kept(path, norm):
    rows = pd.read_parquet(path / "rows.parquet")
    rows = rows[(rows["image"] != "") & (rows["norm"] == norm)].set_index("id").loc[list(Spots().ids)]
    pictures = [np.asarray(Image.open(path / name)).transpose(2, 0, 1) / 255 for name in rows["image"]]
    return torch.from_numpy(np.stack(pictures)).float()


def test_every_tile_counts_and_the_area_is_that_of_the_file(stored):
    images, truth = Spots().tensors()
    found = {(row.norm, row.format): row for row in stored.results.survival}
    assert set(found) == {(norm, name) for norm in ("l2", "linf") for name in FORMATS}
    for norm in ("l2", "linf"):
        attacked = kept(stored.path, norm)
        for name in ("native", "png", "dicom8"):
            assert found[norm, name].auc_pr.value == pytest.approx(area(attacked, truth))
            assert found[norm, name].auc_pr_clean.value == pytest.approx(area(images, truth))
        assert found[norm, "jpeg80-444"].auc_pr.value == pytest.approx(area(jpeg(attacked), truth), abs=1e-3)
        assert found[norm, "jpeg80-444"].auc_pr_clean.value == pytest.approx(area(jpeg(images), truth), abs=1e-3)
        assert found[norm, "native"].auc_pr.n == 8
    assert found["l2", "png"].auc_pr.value < 0.6 < found["l2", "png"].auc_pr_clean.value
    rows = pd.read_parquet(stored.path / "survival.parquet")
    assert len(rows) == 2 * 4 * 8 and found["l2", "png"].flips.n == int(rows[rows["norm"] == "l2"]["flipped"].sum()) / 4


def test_the_page_shows_the_areas_and_it_is_rebuilt_from_what_is_written(stored):
    page = (stored.path / "report.html").read_text()
    assert "AUC-PR attacked" in page and "AUC-PR without attack" in page and "After storage" in page
    first = json.loads((stored.path / "results.json").read_text())["survival"]
    from percuss.pipeline.audit import rebuild

    assert [row.model_dump(mode="json") for row in rebuild(stored.path).results.survival] == first
    assert survive(stored.path, data=Spots(), model=averager(), formats=FORMATS).path == stored.path


def test_tensors_of_heat_maps_survive_too():
    images, truth = Spots().tensors()
    change = torch.where(truth == 1, 0.1, -0.05).repeat_interleave(4, 1).repeat_interleave(4, 2).unsqueeze(1)
    attacked = (images + change).clamp(0, 1)
    (row,) = survival(averager(), images, attacked, targets=truth, formats=["png"])
    png = (attacked * 255).round() / 255
    assert row.auc_pr.value == pytest.approx(area(png, truth), abs=1e-3)
    assert row.auc_pr.value < row.auc_pr_clean.value
