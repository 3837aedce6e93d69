"""A pack for readers: the right cases, the audit's own pixels, nothing that tells, the key apart."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image

import percuss
from percuss.core.errors import RunError, UsageError
from percuss.pipeline import pack as packing
from percuss.pipeline.pack import pack, read_pack
from percuss.store.blind import leaks
from percuss.store.safe import sha256_of

SIZE = {"cases": 6, "budget": "linf=64/255"}


@pytest.fixture(scope="module")
def run(tissue, judged, tmp_path_factory):
    from percuss.pipeline.interface import audit

    out = tmp_path_factory.mktemp("audit") / "run"
    given = {"budgets": ["linf=2/255,64/255", "l2=0.5"], "split": "all", "steps": 4, "checks": "off"}
    return audit(data=tissue, model=judged, out=out, attacks="pgd,noise", **given)


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    return pack(run.path, out=tmp_path_factory.mktemp("pack") / "pack", **SIZE)


def pixels(path):
    return np.asarray(Image.open(path))


def test_cases_are_true_positives_that_the_attack_flips_as_stored(made, run):
    key, rows = made.key, run.rows[run.rows["budget"].isin(["linf=2/255", "linf=64/255"])]
    able = rows[(rows["label"] == "1") & rows["correct"] & rows["success_stored"] & (rows["image"] != "")]
    assert made.record["eligible"] == len(able) > 6
    assert len(key) == 24 and set(key["id"]) <= set(able["id"]) and key["id"].nunique() == 6
    counts = key.groupby(["case", "arm", "set"]).size()
    assert len(counts) == 24 and set(counts) == {1}
    original, attacked = (key[key["arm"] == arm] for arm in ("original", "perturbed"))
    assert set(original["model_says"]) == {"tumour"} and set(attacked["model_says"]) == {"normal"}
    assert set(key["label"]) == {"tumour"} and (original["linf"] == 0).all()
    assert attacked["linf"].between(0.5 / 255, 64.5 / 255).all()


def test_images_are_those_of_the_run_without_loss(made, run):
    kept = run.rows.set_index(["id", "norm"])["image"]
    for row in made.key.to_dict("records"):
        picture = pixels(made.reader / row["file"])
        wanted = f"images/original/{row['id'].replace('/', '__')}.png"
        if row["arm"] == "perturbed":
            wanted = next(name for name in kept[row["id"], "linf"] if name)
        assert (picture == pixels(run.path / wanted)).all()
        assert sha256_of(made.reader / row["file"]) == row["sha256"]
    listed = json.loads((made.reader / "manifest.json").read_text())
    assert listed["schema_version"] == "percuss-pack-1" and set(listed["images"][0]) == {"file", "set", "sha256"}


def test_nothing_but_pixels_tells_and_no_case_stands_beside_itself(made):
    key = made.key
    assert leaks(made.reader, dict(zip(key["file"], key["arm"], strict=True))) == []
    assert len({path.stat().st_size for path in made.reader.glob("*.png")}) == 1
    assert all(one != two for one, two in itertools.pairwise(key["case"]))
    assert key["set"].tolist() == [1] * 12 + [2] * 12
    handed = "".join(path.name for path in made.reader.iterdir()) + (made.reader / "manifest.json").read_text()
    assert not [name for name in key["id"] if name in handed] and "perturbed" not in handed


def test_seed_decides_the_pack(made, run, tmp_path):
    again = percuss.pack(run.path, out=tmp_path / "again", **SIZE)
    assert again.key.equals(made.key)
    other = pack(run.path, out=tmp_path / "other", seed=1, **SIZE)
    assert not other.key["case"].equals(made.key["case"]) or set(other.key["id"]) != set(made.key["id"])


def test_finished_pack_is_read_and_a_damaged_one_made_again(run, tmp_path):
    first = pack(run.path, out=tmp_path / "pack", **SIZE)
    old = (first.path / "pack.json").stat().st_mtime_ns
    pack(run.path, out=tmp_path / "pack", **SIZE)
    assert (first.path / "pack.json").stat().st_mtime_ns == old
    (first.reader / "001.png").write_bytes(b"gone")
    assert pixels(pack(run.path, out=tmp_path / "pack", **SIZE).reader / "001.png").shape == (48, 48, 3)
    with pytest.raises(RunError, match="another run"):
        pack(run.path, out=tmp_path / "pack", cases=5, budget=SIZE["budget"])


def test_an_encoder_that_tells_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "uncompressed", lambda png: png)
    with pytest.raises(RunError, match="would tell which images are attacked: the length differs"):
        pack(run.path, out=tmp_path / "pack", **SIZE)


def test_too_few_cases_say_how_many(run, tmp_path):
    with pytest.raises(RunError, match=r"too few true positives .*: \d+ of class tumour within linf=2/255, 500 asked"):
        pack(run.path, out=tmp_path / "pack", cases=500, budget="linf=2/255")
    assert not (tmp_path / "pack").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cases": 0}, "the option cases is too small: 0"),
        ({"copies": 0}, "the option copies is too small: 0"),
        ({"case": 3}, "unknown option: case. Allowed: cases"),
        ({"positive": "tumor"}, "there is no such class: tumor. Allowed: tumour"),
        ({"budget": "linf=3/255"}, "the run has no such budget: linf=3/255. Allowed: linf=2/255, linf=64/255, l2=0.5"),
    ],
)
def test_wrong_options_are_named(run, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        pack(run.path, out=tmp_path / "pack", **options)


def test_default_is_the_largest_budget_of_the_first_norm(run, tmp_path):
    assert pack(run.path, out=tmp_path / "pack", cases=2, copies=1).record["budget"] == "linf=64/255"
    with pytest.raises(RunError, match="holds no pack"):
        read_pack(tmp_path)
