"""What users get wrong, each with its words."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from percuss.core.errors import BudgetError, DataError, ModelError, PercussError, RunError, UsageError
from percuss.core.model import Model, ModelInfo
from percuss.pipeline.interface import audit

ONE = {"attacks": "fgsm", "budgets": "linf=2/255"}


@pytest.fixture
def folder(tmp_path):
    """Twelve grey images of two classes."""
    rng = np.random.default_rng(0)
    for k, name in enumerate(("a", "b")):
        home = tmp_path / "images" / name
        home.mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(60 + 90 * k, 100 + 90 * k, (16, 16), dtype=np.uint8)).save(home / f"{i}.png")
    return tmp_path / "images"


class Mean(nn.Module):
    """Bright or dark; scaled, so that a part of the tests can spoil it."""

    def __init__(self, spoil=None):
        super().__init__()
        self.spoil = spoil
        self.weight = nn.Parameter(torch.tensor([-40.0, 40.0]))

    def forward(self, images):
        logits = (images.mean((1, 2, 3)) - 0.5)[:, None] * self.weight
        return self.spoil(logits) if self.spoil else logits


def model(spoil=None, classes=("a", "b"), channels=1, task="classify"):
    return Model(Mean(spoil), ModelInfo("mean", task, classes, channels))


def run(folder, tmp_path, net=None, **options):
    return audit(data=f"folder:{folder}", model=net or model(), out=tmp_path / "run", **(ONE | options))


def test_bad_images_are_recorded_and_skipped(folder, tmp_path):
    (folder / "a" / "0.png").write_bytes((folder / "a" / "0.png").read_bytes()[:60])
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "b" / "1.png")
    done = run(folder, tmp_path)
    assert len(done.clean) == 10 and done.results.data.n_bad == 2
    assert sorted(item["id"] for item in done.results.data.bad) == ["a/0.png", "b/1.png"]
    assert any(f.id == "bad-images" and "2 of 12" in f.message for f in done.results.findings)
    assert done.report.exists()


def test_all_images_bad(folder, tmp_path):
    for path in folder.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match="none of the 12 images can be read, first"):
        run(folder, tmp_path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("net", "error", "text"),
    [
        (model(classes=("a", "c")), DataError, "a label is not in the model: b"),
        (model(classes=("b", "a")), DataError, "another order"),
        (model(classes=("a", "b", "c")), DataError, "fewer classes than the model"),
        (model(task="multilabel"), ModelError, "different tasks"),
        (model(channels=3), ModelError, "do not fit the model.*--grey-inside"),
        (model(lambda z: z * float("nan")), ModelError, "NaN"),
        (model(lambda z: z * float("inf")), ModelError, "NaN or inf"),
        (model(lambda z: torch.cat([z, z], 1)), ModelError, "wrong shape"),
        (model(lambda z: z.round()), ModelError, "gradient"),
        (model(lambda z: z.detach()), ModelError, "gradient"),
    ],
)
def test_models_that_cannot_be_judged(folder, tmp_path, net, error, text):
    with pytest.raises(error, match=text):
        run(folder, tmp_path, net)
    assert not (tmp_path / "run").exists(), "nothing is written before the model is checked"


def test_numbered_classes_fit_named_ones(folder, tmp_path):
    assert run(folder, tmp_path, model(classes=("0", "1"))).results.data.classes == ["a", "b"]


def test_non_deterministic_forward_is_a_finding(folder, tmp_path):
    done = run(folder, tmp_path, model(lambda z: z + 0.1 * torch.rand_like(z)))
    assert any(f.id == "nondeterministic-forward" and f.severity == "severe" for f in done.results.findings)
    assert done.failed("severe") and not done.failed()


def test_missing_data_unknown_split_and_empty_split(folder, tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        run(tmp_path / "nowhere", tmp_path)
    with pytest.raises(DataError, match="no split test"):
        run(folder, tmp_path, split="test")


def test_device_that_is_not_there(folder, tmp_path):
    with pytest.raises(UsageError, match="device cannot be used: nonsense"):
        run(folder, tmp_path, device="nonsense")


def test_output_folder_with_other_things_is_left_alone(folder, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.docx").write_text("mine")
    with pytest.raises(RunError, match="not empty and holds no run"):
        run(folder, tmp_path)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["thesis.docx"]


def test_native_unit_that_the_images_do_not_have(folder, tmp_path):
    with pytest.raises(PercussError, match="needs images in HU"):
        run(folder, tmp_path, budgets="linf=10HU")


def test_single_class_in_the_split_still_runs(folder, tmp_path):
    from percuss.data.spec import load_data

    images = load_data(f"folder:{folder}")
    one = images.subset(ids=[name for name in images.ids if name.startswith("a/")])
    done = audit(data=one, model=model(), out=tmp_path / "run", **ONE)
    assert done.results.clean.auc.value is None


def test_images_without_gradient_do_not_end_the_run_and_are_named(folder, tmp_path):
    class Dead(Mean):
        """Saturated for images of class a: their logits do not depend on the pixels."""

        def forward(self, images):
            logits = super().forward(images)
            return torch.where((images.mean((1, 2, 3)) < 0.45)[:, None], logits.detach() + 0 * logits, logits)

    for i in range(1, 6):  # more of them, so that whole portions hold nothing else
        for copy in range(7):
            (folder / "a" / f"{i}-{copy}.png").write_bytes((folder / "a" / f"{i}.png").read_bytes())
    done = run(folder, tmp_path, Model(Dead(), ModelInfo("dead", "classify", ("a", "b"), 1)))
    found = next(f for f in done.results.findings if f.id == "no-gradient-images")
    assert found.severity == "severe" and found.evidence["images_without_gradient"] == 41
    assert len(done.clean) == 47 and set(done.rows["id"]) == set(done.clean["id"])


def test_sound_model_has_no_images_without_gradient(folder, tmp_path):
    assert not [f for f in run(folder, tmp_path).results.findings if f.id in ("no-gradient-images", "smaller-batch")]


def test_a_model_that_changes_its_decisions_is_a_finding_and_the_clean_pass_counts(folder, tmp_path):
    made = torch.Generator().manual_seed(0)
    done = run(folder, tmp_path, model(lambda z: z + 5 * torch.randn(z.shape, generator=made)), attacks="pgd,noise")
    assert any(f.id == "nondeterministic-forward" and f.severity == "severe" for f in done.results.findings)
    right = done.clean.set_index("id")["correct"]
    assert (done.rows["correct"].to_numpy() == right.reindex(done.rows["id"]).to_numpy()).all()
    assert not (done.rows["success"] & ~done.rows["correct"]).any()


@pytest.mark.parametrize(
    ("size", "fits", "most"), [("l2={}", "16", "16.0001"), ("l1={}", "256", "257"), ("linf={}grey", "255", "256")]
)
def test_sizes_beyond_any_change_of_these_images(folder, tmp_path, size, fits, most):
    with pytest.raises(BudgetError, match="larger than any change of images of shape .1, 16, 16. can be"):
        run(folder, tmp_path, budgets=size.format(most))
    assert not (tmp_path / "run").exists()
    assert run(folder, tmp_path, budgets=size.format(fits)).report.exists()


def test_odd_images_come_with_advice_that_fits(folder, tmp_path):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "a" / "0.png")
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "a" / "1.png")
    Image.fromarray(np.full((16, 16), 300, np.uint16)).save(folder / "a" / "2.png")
    reasons = {item["id"]: item["reason"] for item in run(folder, tmp_path).results.data.bad}
    words = {"a/0.png": "?size=224", "a/1.png": "?channels=grey", "a/2.png": "65535 levels.*in one depth"}
    assert list(reasons) == list(words)
    assert all(re.search(re.escape(w) if "?" in w else w, reasons[name]) for name, w in words.items())


def test_nan_in_one_image_leaves_it_out(folder, tmp_path):
    for path in list(folder.rglob("*.png")):
        values = np.asarray(Image.open(path)).astype(np.float32)
        values[3, 3] = np.nan if path.name == "4.png" else values[3, 3]
        Image.fromarray(values).save(path.with_suffix(".tif"))
        path.unlink()
    done = audit(data=f"folder:{folder}?bits=8", model=model(), out=tmp_path / "run", **ONE)
    assert [item["id"] for item in done.results.data.bad] == ["a/4.tif", "b/4.tif"] and len(done.clean) == 10
    assert all("NaN or infinite pixels" in item["reason"] for item in done.results.data.bad)


def test_one_bad_image_among_many_is_in_results_findings_and_report(folder, tmp_path):
    for i in range(6, 90):
        for name in ("a", "b"):
            (folder / name / f"{i}.png").write_bytes((folder / name / f"{i % 5}.png").read_bytes())
    (folder / "a" / "77.png").write_bytes(b"no image")
    done = run(folder, tmp_path)
    assert len(done.clean) == 179 and set(done.rows["id"]) == set(done.clean["id"])
    assert [item["id"] for item in done.results.data.bad] == ["a/77.png"]
    assert "its bytes are of no known image format" in done.results.data.bad[0]["reason"]
    assert any(f.id == "bad-images" and "1 of 180" in f.message for f in done.results.findings)
    assert "a/77.png" in done.report.read_text()


def test_chosen_wrong_class_as_the_goal(folder, tmp_path):
    done = run(folder, tmp_path, attacks="pgd", budgets="linf=60/255", settings={"pgd": {"target": 1}})
    flipped = done.rows[done.rows["success"]]
    assert len(flipped) and set(flipped["prediction"]) == {"1"} and set(flipped["label"]) == {"0"}
    assert "a chosen wrong decision" in done.results.threat_model["goal"]


def test_every_option_error_says_what_next(folder, tmp_path):
    for option, value in (("limit", 0), ("batch_size", 0), ("steps", -1), ("threads", 0), ("seed", -1)):
        with pytest.raises(UsageError, match=f"the option {option} is.*Allowed: .*Next: "):
            run(folder, tmp_path, **{"attacks": "pgd", option: value})


def test_a_model_saturated_on_nearly_all_images_is_still_judged(folder, tmp_path):
    class Dead(Mean):
        """Only images with a white corner get a gradient."""

        def forward(self, images):
            logits = super().forward(images)
            return torch.where((images[:, 0, 0, 0] == 1)[:, None], logits, logits.detach() + 0 * logits)

    for i in range(6, 60):
        for name in ("a", "b"):
            (folder / name / f"{i}.png").write_bytes((folder / name / f"{i % 5}.png").read_bytes())
    for name in ("a/19.png", "b/23.png", "b/41.png"):
        values = np.asarray(Image.open(folder / name)).copy()
        values[0, 0] = 255
        Image.fromarray(values).save(folder / name)
    done = run(folder, tmp_path, Model(Dead(), ModelInfo("dead", "classify", ("a", "b"), 1)), budgets="linf=100/255")
    found = next(f for f in done.results.findings if f.id == "no-gradient-images")
    assert found.severity == "severe" and found.evidence == found.evidence | {"images_without_gradient": 117}
    assert set(done.rows.loc[done.rows["success"], "id"]) <= {"a/19.png", "b/23.png", "b/41.png"}
