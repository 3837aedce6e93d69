"""Audits of class maps: what is counted and kept agrees with the model, at any batch size, and after a stop."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from squares import SIDE, Squares, run, teller

from percuss.core import dense
from percuss.core.errors import DataError, PercussError
from percuss.core.model import Model
from percuss.pipeline import parts as steps
from percuss.pipeline.survive import survive


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("masks") / "run")


def decided(model, path):
    values = np.asarray(Image.open(path)).transpose(2, 0, 1)
    with torch.no_grad():
        return model(torch.from_numpy(values / 255).float().unsqueeze(0)).argmax(1)


def test_clean_counts_are_those_of_model_and_truth(finished):
    table = pd.read_parquet(finished.path / "dense.parquet")
    clean = table[table["attack"] == "clean"]
    images, truth = Squares().tensors()
    model = teller()
    with torch.no_grad():
        logits = model(images)
    assert list(clean["id"]) == list(Squares().ids) and set(clean["state"]) == {"stored"}
    wanted = dense.confusion(logits.argmax(1), truth, 3).flatten(1)
    assert np.array_equal(np.stack(clean["pixels"].tolist()), wanted.numpy())
    assert clean["loss"].to_numpy() == pytest.approx(dense.cross_entropy(logits, truth).numpy())
    kept = pd.read_parquet(finished.path / "clean.parquet")
    assert kept["quality"].to_numpy() == pytest.approx(dense.quality(logits.argmax(1), truth, 3).numpy())
    assert kept["label"].tolist()[2:4] == ["0|1|2", "0"] and kept["correct"].all()
    for number, name in enumerate(Squares().ids):
        for kind, values in (("truth", truth[number]), ("clean", logits.argmax(1)[number])):
            stored = np.asarray(Image.open(finished.path / "maps" / kind / f"{name}.png"))
            assert np.array_equal(stored, values.numpy()), (kind, name)


def test_kept_maps_are_what_the_model_says_of_the_stored_bytes(finished):
    rows, table = (pd.read_parquet(finished.path / f"{name}.parquet") for name in ("rows", "dense"))
    kept, model = rows[rows["image"] != ""], teller()
    assert len(kept) == 16  # eight images under two norms
    for _, row in kept.iterrows():
        found = decided(model, finished.path / row["image"])
        name = f"maps/{row['norm']}/{row['id']}.png"
        assert np.array_equal(np.asarray(Image.open(finished.path / name)), found[0].numpy())
        same = table[(table["map"] == name)]
        assert len(same) == 1 and same["state"].iloc[0] == "stored" and same["budget"].iloc[0] == row["budget"]
        truth = np.asarray(Image.open(finished.path / f"maps/truth/{row['id']}.png"))
        pixels = dense.confusion(found, torch.from_numpy(truth.copy()).unsqueeze(0), 3).flatten().tolist()
        assert same["pixels"].iloc[0].tolist() == pixels
    assert (finished.results.dense is not None) and finished.results.dense.background == "background"


def test_float_counts_agree_with_the_margin_of_the_rows(finished):
    rows, table = (pd.read_parquet(finished.path / f"{name}.parquet") for name in ("rows", "dense"))
    both = rows.merge(table[table["state"] == "float"], on=["id", "attack", "budget"])
    assert len(both) == len(rows) == 8 * 3 * 3
    for _, row in both.iterrows():
        pixels = torch.tensor(row["pixels"]).view(1, 3, 3)
        said = torch.zeros(1, SIDE * SIDE, 1, dtype=torch.uint8)
        true, place = torch.zeros_like(said), 0
        for i in range(3):
            for j in range(3):
                count = int(pixels[0, i, j])
                true[0, place : place + count], said[0, place : place + count] = i, j
                place += count
        assert 0.5 - row["margin"] == pytest.approx(float(dense.quality(said.long(), true, 3)), abs=1e-6)


def test_images_are_attacked_at_every_size_also_where_wrong_already(finished):
    rows = pd.read_parquet(finished.path / "rows.parquet")
    pgd = rows[(rows["attack"] == "pgd") & (rows["norm"] == "linf")]
    assert (pgd["gradient_evaluations"] == 4).all()
    first, last = (pgd[pgd["budget"] == size].set_index("id")["margin"] for size in ("linf=2/255", "linf=12/255"))
    assert (last >= first).all() and last.mean() > first.mean() + 0.2


@pytest.mark.parametrize("size", [1, 3])
def test_batches_of_any_size_give_the_same(finished, tmp_path, size):
    other = run(tmp_path / "run", batch_size=size)
    for name in ("rows.parquet", "dense.parquet", "clean.parquet"):
        one, two = pd.read_parquet(finished.path / name), pd.read_parquet(other.path / name)
        numbers = [
            "margin",
            "linf",
            "l2",
            "l1",
            "l0",
            "confidence",
            "clean_confidence",
            "loss",
            "quality",
            "image_sha256",
        ]
        plain = [column for column in one.columns if column not in numbers]
        for column in set(numbers[:-1]) & set(one.columns):
            np.testing.assert_allclose(one[column], two[column], rtol=1e-4, atol=1e-5, err_msg=column)
        assert [list(map(str, one[column])) for column in plain] == [list(map(str, two[column])) for column in plain]


def test_a_stopped_run_ends_the_same(finished, tmp_path, monkeypatch):
    done, real = [], steps.masks.attack_part

    def fails(*args, **options):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        real(*args, **options)

    monkeypatch.setattr(steps.masks, "attack_part", fails)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run")
    monkeypatch.undo()
    again = run(tmp_path / "run")
    for name in ("rows.parquet", "dense.parquet", "clean.parquet"):
        pd.testing.assert_frame_equal(pd.read_parquet(finished.path / name), pd.read_parquet(again.path / name))
    assert (again.path / "results.json").stat().st_size > 1000 and not (again.path / "parts").exists()


def test_damaged_counts_beside_a_part_are_made_again(finished, tmp_path, monkeypatch):
    def fails(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(steps.masks, "whole_table", fails)
        run(tmp_path / "run")
    beside = sorted((tmp_path / "run" / "parts").glob(f"*{steps.masks.BESIDE}.parquet"))
    assert len(beside) == 7  # clean, and three attacks under two norms
    beside[0].unlink()
    beside[-1].write_bytes(b"cut off")
    again = run(tmp_path / "run")
    pd.testing.assert_frame_equal(*(pd.read_parquet(f.path / "dense.parquet") for f in (finished, again)))


def test_a_portion_without_one_readable_image_leaves_the_others(tmp_path, monkeypatch):
    faults = {f"case{number}": {"target": np.zeros((2, 2), np.uint8)} for number in (4, 5, 6, 7)}
    monkeypatch.setattr("percuss.pipeline.inputs.CHUNK", 4)
    found = run(tmp_path / "run", data=Squares(faults=faults), attacks=["fgsm"], budgets=["linf=2/255"])
    assert found.results.data.n_images == 4 and len(found.results.data.bad) == 4


def test_by_the_papers_protocol_attacks_lead_away_from_the_decided_map(tmp_path):
    wrong = teller()
    with torch.no_grad():  # green is called red and the other way round: nothing is right
        wrong.network.weight.copy_(wrong.network.weight[[0, 2, 1]])
        wrong.network.bias.copy_(wrong.network.bias[[0, 2, 1]])
    found = run(tmp_path / "run", model=wrong, protocol="paper", attacks=["pgd"], budgets=["linf=12/255"])
    table = pd.read_parquet(found.path / "dense.parquet")
    hits = {
        attack: sum(int(np.asarray(pixels).reshape(3, 3)[1:, 1:].trace()) for pixels in part["pixels"])
        for attack, part in table[table["state"] == "stored"].groupby("attack")
    }
    assert hits["clean"] == 0
    assert hits["pgd"] > 0  # away from the truth it would stay at nothing
    (told,) = (item for item in found.results.findings if item.id == "floor-at-clean-error")
    assert told.evidence["better"] > 0 and "Dice" in told.message


def test_by_the_papers_protocol_a_flip_is_what_the_truth_says(tmp_path):
    faults = {}
    for name in Squares().ids:  # two columns of six are true, so that what the model decides just reaches the bar
        whole = np.asarray(Squares().read(name).target)
        truth = whole * 0
        for kind in set(whole.flatten().tolist()) - {0}:
            rows, columns = np.nonzero(whole == kind)
            truth[rows.min() : rows.max() + 1, columns.min() : columns.min() + 2] = kind
        faults[name] = {"target": truth, "instances": None}
    options = {"protocol": "paper", "attacks": ["pgd"], "budgets": ["linf=5/255"]}
    found = run(tmp_path / "run", data=Squares(faults=faults), **options)
    rows, table = (pd.read_parquet(found.path / f"{name}.parquet") for name in ("rows", "dense"))
    table["quality"] = dense.table_quality(torch.from_numpy(np.stack(table["pixels"])).view(-1, 3, 3)).tolist()
    assert rows["success_stored"].any()
    for state, flips in (("float", "success"), ("stored", "success_stored")):
        after = table[(table["attack"] == "pgd") & (table["state"] == state)].set_index("id")["quality"]
        assert (rows[flips] == (rows["correct"] & (rows["id"].map(after) < dense.BAR))).all()


def test_by_the_papers_protocol_pixels_without_a_judgement_stay_so(tmp_path):
    faults = {}
    for name in Squares().ids:
        truth = np.asarray(Squares().read(name).target).copy()
        truth[:, :8] = dense.IGNORE
        faults[name] = {"target": truth, "instances": None}
    options = {"protocol": "paper", "attacks": ["pgd"], "budgets": ["linf=4/255"]}
    found = run(tmp_path / "run", data=Squares(faults=faults), **options)
    rows, table = (pd.read_parquet(found.path / f"{name}.parquet") for name in ("rows", "dense"))
    # The model is right throughout, so its own map is the truth, and both are judged at the same pixels.
    after = table[(table["attack"] == "pgd") & (table["state"] == "float")].set_index("id")["pixels"]
    for _, row in rows.iterrows():
        pixels = torch.tensor(after[row["id"]]).view(1, 3, 3)
        assert 0.5 - row["margin"] == pytest.approx(float(dense.table_quality(pixels)), abs=1e-6)


def test_bad_maps_are_left_out_and_named(tmp_path):
    faults = {
        "case1": {"target": np.zeros((SIDE, SIDE + 1), np.uint8)},
        "case4": {"target": np.full((SIDE, SIDE), 9, np.uint8)},
        "case5": {"instances": np.zeros((SIDE, 3), np.int32)},
    }
    found = run(tmp_path / "run", data=Squares(faults=faults), attacks=["fgsm"], budgets=["linf=2/255"])
    bad = {item["id"]: item["reason"] for item in found.results.data.bad}
    assert list(bad) == ["case1", "case4", "case5"] and found.results.data.n_images == 5
    assert (
        "does not fit it" in bad["case1"] and "unknown classes" in bad["case4"] and "numbers of nuclei" in bad["case5"]
    )


def test_a_set_without_any_usable_map_is_refused(tmp_path):
    faults = {name: {"target": np.zeros((2, 2), np.uint8)} for name in Squares().ids}
    with pytest.raises(DataError, match=r"none of the 8 images can be read.*does not fit it"):
        run(tmp_path / "run", data=Squares(faults=faults))


def test_flips_of_masks_survive_png(finished):
    rows = survive(finished.path, data=Squares(), model=teller(), formats=["png"]).results.survival
    assert rows and all(row.flips.value == 1 for row in rows)


def test_images_below_the_bar_before_are_kept_with_their_worst_mask(tmp_path):
    weak = teller()
    with torch.no_grad():  # background everywhere: every image with a square is below the bar
        weak.network.bias[0] += 50
    run(tmp_path / "run", model=weak, budgets=["linf=2/255,12/255"])
    rows, table = (pd.read_parquet(tmp_path / "run" / f"{name}.parquet") for name in ("rows", "dense"))
    kept = rows[rows["image"] != ""]
    assert len(kept) == 8 and (~kept["correct"]).sum() == 7 and not kept["success"].any()
    assert set(kept["budget"]) == {"linf=12/255"}
    real = rows[(rows["attack"] != "noise") & (rows["budget"] == "linf=12/255")]
    assert (kept.set_index("id")["margin"] == real.groupby("id")["margin"].max()).all()
    assert (table["map"] != "").sum() == 8
    assert "Below the bar before any attack" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_the_curve_on_masks_says_that_it_stops_at_one_half(tmp_path):
    found = run(tmp_path / "run", attacks=["curve", "noise"], budgets=["linf=12/255"]).results
    assert [item.severity for item in found.findings if item.id == "curve-on-masks"] == ["info"]


def test_a_model_without_gradient_can_be_shown_noise_alone(tmp_path):
    class Hard(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.told = teller()

        def forward(self, images):
            return torch.nn.functional.one_hot(self.told(images).argmax(1), 3).movedim(-1, 1).float()

    hard = Model(Hard(), teller().info)
    with pytest.raises(PercussError, match="no gradient reaches"):
        run(tmp_path / "one", model=hard)
    found = run(tmp_path / "two", model=hard, attacks=["noise"]).results
    assert "gradient-missing" in [item.id for item in found.findings if item.severity == "severe"]
    assert any(item.attack == "noise" for item in found.dense.points)
