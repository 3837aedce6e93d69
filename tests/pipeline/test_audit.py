import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from percuss.core.errors import RunError
from percuss.core.outcome import COLUMNS
from percuss.pipeline.audit import rebuild
from percuss.store.folder import RunFolder
from percuss.store.safe import sha256_of

CSV = "id,label,clean_prediction,attack,norm,eps,success,success_stored,linf,l2,l1,l0,confidence,gradient_evaluations"


def test_every_image_attack_and_budget_has_its_row(finished):
    rows = finished.rows
    assert list(rows.columns) == list(COLUMNS) and len(rows) == 64 * 2 * 3
    assert not rows.duplicated(["id", "attack", "budget"]).any()
    assert len(finished.clean) == 64 and finished.clean["correct"].mean() > 0.7
    assert rows["success"].any() and not rows["success"].all()


def test_rows_agree_with_the_model_asked_again(finished, tissue, judged):
    rows = finished.rows
    kept = rows[(rows["image"] != "") & rows["success_stored"]]
    assert len(kept) > 10
    for row in kept.head(20).to_dict("records"):
        with Image.open(finished.path / row["image"]) as image:
            pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
        clean = tissue.read(row["id"]).unit()
        assert judged(pixels[None]).argmax(1).item() != int(row["label"])
        assert judged(clean[None]).argmax(1).item() == int(row["label"])
        change = pixels - clean
        size = change.abs().max() if row["norm"] == "linf" else change.norm()
        assert float(size) <= row["eps"] * (1 + 1e-5) + 1e-6


def test_one_image_is_kept_for_each_image_and_norm_at_its_smallest_flip(finished):
    rows = finished.rows
    right = rows[rows["correct"]]
    kept = right[right["image"] != ""]
    assert not kept.duplicated(["id", "norm"]).any()
    assert set(zip(kept["id"], kept["norm"], strict=True)) == set(zip(right["id"], right["norm"], strict=True))
    assert (rows.loc[~rows["correct"], "image"] == "").all() and (
        rows.loc[rows["attack"] == "noise", "image"] == ""
    ).all()
    proper = right[right["attack"] != "noise"]
    first = proper[proper["success_stored"]].groupby(["id", "norm"])["eps"].min()
    for row in kept.to_dict("records"):
        assert sha256_of(finished.path / row["image"]) == row["image_sha256"]
        if (row["id"], row["norm"]) in first.index:
            assert row["success_stored"] and row["eps"] == first[(row["id"], row["norm"])]


def test_originals_are_kept_exactly(finished, tissue):
    name = tissue.ids[3]
    with Image.open(finished.path / "images" / "original" / f"{name}.png") as image:
        assert np.array_equal(np.asarray(image).transpose(2, 0, 1), tissue.read(name).pixels)


def test_files_of_a_finished_run(finished):
    names = {p.name for p in finished.path.iterdir()}
    assert names == {
        "plan.toml",
        "manifest.json",
        "context.json",
        "clean.parquet",
        "rows.parquet",
        "results.json",
        "report.html",
        "per_image.csv",
        "images.csv",
        "images",
    }
    assert RunFolder.existing(finished.path).damaged() == []
    table = (finished.path / "per_image.csv").read_text()
    assert table.splitlines()[0] == CSV and len(pd.read_csv(io.StringIO(table))) == len(finished.rows)
    results = json.loads((finished.path / "results.json").read_text())
    assert results["schema_version"] == "1.0" and results["clean"]["accuracy"]["n"] == 64
    assert {p["attack"] for p in results["curves"]} == {"worst", "pgd", "noise"}
    assert results["data"]["n_groups"] == 8 and results["threat_model"] and results["not_tested"]


def test_finished_run_is_returned_and_other_limits_only_change_the_verdict(small, tmp_path):
    run = small(tmp_path / "run", attacks="fgsm")
    before = sha256_of(run.path / "rows.parquet")
    assert run.failed() == []
    again = small(tmp_path / "run", attacks="fgsm", require="linf=4/255:0.99", batch_size=5)
    assert sha256_of(run.path / "rows.parquet") == before
    assert len(again.failed()) == 1 and "linf=4/255" in again.failed()[0]


def test_results_do_not_depend_on_the_batch_size(small, finished, tmp_path):
    other = small(tmp_path / "run", batch_size=7)
    same = [c for c in COLUMNS if c not in ("confidence", "clean_confidence", "margin", "image_sha256")]
    numbers = {"linf", "l2", "l1", "l0", "eps"}
    for column in same:
        mine, theirs = other.rows[column], finished.rows[column]
        assert np.allclose(mine, theirs, atol=1e-5) if column in numbers else mine.equals(theirs), column


def test_damaged_finished_run_is_computed_again(small, tmp_path):
    run = small(tmp_path / "run", attacks="fgsm")
    wanted = run.rows
    (run.path / "rows.parquet").write_bytes(b"broken")
    assert small(tmp_path / "run", attacks="fgsm").rows.equals(wanted)


def test_rebuild_makes_the_pages_from_the_rows(small, tmp_path):
    run = small(tmp_path / "run", attacks="fgsm")
    wanted = (run.path / "results.json").read_text()
    for name in ("results.json", "report.html", "per_image.csv"):
        (run.path / name).unlink()
    assert rebuild(run.path).report.exists()
    assert (run.path / "results.json").read_text() == wanted
    (run.path / "context.json").unlink()
    with pytest.raises(RunError, match="not finished.*same percuss audit command"):
        rebuild(run.path)


def test_folder_of_another_run_names_what_differs(small, tmp_path):
    small(tmp_path / "run", attacks="fgsm")
    with pytest.raises(RunError, match="another run.*seed was 0, is now 1"):
        small(tmp_path / "run", attacks="fgsm", seed=1)
    with pytest.raises(RunError, match="images .--data, --split, --limit. was"):
        small(tmp_path / "run", attacks="fgsm", limit=40)


def test_limit_gives_every_class_its_share(small, tmp_path):
    run = small(tmp_path / "run", attacks="fgsm", budgets="linf=1/255", limit=10)
    assert run.clean["label"].value_counts().to_dict() == {"0": 5, "1": 5}


def test_paper_protocol_turns_clean_errors_right_and_says_so(small, tmp_path):
    run = small(tmp_path / "run", protocol="paper", budgets="linf=16/255", attacks="pgd", steps=10)
    rows = run.rows
    wrong = rows[~rows["correct"]]
    assert len(wrong) and (wrong["prediction"] == wrong["label"]).any() and not wrong["success"].any()
    finding = next(f for f in run.results.findings if f.id == "floor-at-clean-error")
    error = 1 - run.clean["correct"].mean()
    assert finding.evidence["clean_error"] == pytest.approx(error)
    published = finding.evidence["accuracy_as_published"]["pgd linf=16/255"]
    assert published == pytest.approx((rows["prediction"] == rows["label"]).mean())


def test_notebook_display_and_text(finished):
    assert "<table>" in finished._repr_html_() and "linf=4/255" in finished._repr_html_()
    assert "Without any attack it is right on" in repr(finished)


def test_run_from_python_says_how_to_repeat_it_and_noise_is_no_attacker(small, tmp_path):
    run = small(tmp_path / "run", attacks="noise", steps=None, limit=8)
    environment = run.results.environment["command"]
    assert environment.startswith("percuss.audit(model=") and "limit=8" in environment
    assert run.results.threat_model["knowledge"] == "none: changes are random"


def test_suite_with_its_checks_in_the_results(small, tmp_path):
    run = small(
        tmp_path / "run", suite="standard", attacks="noise", steps=None, effort="quick", checks="quick", limit=16
    )
    names = {point.attack for point in run.results.curves}
    assert {"standard", "noise", "worst"} == names
    made = {item.id for item in run.results.checks}
    assert {"zero-gradients", "query-beats-gradient", "stored-image-differs", "unbounded-not-zero"} <= made
    assert not [item.id for item in run.results.checks if item.severity == "severe"]


def test_checks_of_a_finished_run_can_be_asked_for_later(small, tmp_path):
    first = small(tmp_path / "run", checks="off", limit=16)
    assert first.results.checks == []
    again = small(tmp_path / "run", checks="quick", limit=16)
    assert len(again.results.checks) > 10 and again.results.curves == first.results.curves
    assert small(tmp_path / "run", checks="off", limit=16).results.checks == []
    noise = small(tmp_path / "noise", attacks="noise", steps=None, limit=16)
    assert noise.results.checks == []
