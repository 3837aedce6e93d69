"""Studies of other images than colour patches, with data or model gone, after a failure, and from a file."""

import pytest
import squares
import torch
from spots import Spots, averager
from spots import run as heat_run
from test_native import CT, Mean, Scans

from percuss.core.errors import RunError, UsageError
from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.pipeline import study_create as creating
from percuss.pipeline.interface import audit
from percuss.pipeline.progress import Progress
from percuss.pipeline.study_create import create_study
from percuss.pipeline.study_model import as_seen
from percuss.study.folder import StudyFolder
from percuss.study.seal import load_key

SMALL = {"cases": 4, "seed": 1}


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    out = tmp_path_factory.mktemp("scans") / "run"
    return audit(data=Scans(), model=Mean(), out=out, budgets=["linf=2HU,10HU,30HU"], attacks="pgd", checks="off")


def key_of(made):
    return load_key(StudyFolder(made.path))


def test_grey_images_in_hounsfield_units_keep_their_sixteen_bits(scans, tmp_path):
    made = create_study(scans.path, out=tmp_path / "study", data=Scans(), model=Mean(), **SMALL)
    key, info = key_of(made), StudyFolder(made.path).info()
    assert (info.pixels.low, info.pixels.high, info.pixels.unit) == (-1350, 150, "HU")
    assert (info.pixels.levels, info.pixels.bits, info.pixels.channels) == (1500, 16, 1)
    names = {sha: name for name, sha in key.files.items()}
    for case in key.frozen.protocol.cases:
        clean, attacked = (
            as_seen((made.path / "images" / names[case.images[arm]]).read_bytes(), "a", CT)
            for arm in ("original", "adversarial linf=30HU")
        )
        assert torch.equal((clean * 1500).round() - 1350, torch.from_numpy(Scans().read(case.id).pixels).float())
        assert float((attacked - clean).abs().max()) * 1500 == pytest.approx(30, abs=0.01)


class Said(Progress):
    """Remembers what it is told."""

    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)


def test_flips_that_were_kept_need_neither_data_nor_model(scans, tmp_path):
    gone = {"preset": "foote", "cases": 3, "seed": 1, "budgets": "linf=30HU"}
    said = Said()
    made = create_study(scans.path, out=tmp_path / "gone", progress=said, **gone)
    assert said.lines[0].startswith("3 cases, 2 files of each, as the audit kept them, the model being gone: original")
    said = Said()
    there = create_study(scans.path, out=tmp_path / "there", data=Scans(), model=Mean(), progress=said, **gone)
    assert said.lines[0].startswith("3 cases, 2 files of each, judged by the model: original")
    one, two = key_of(made), key_of(there)
    assert one.frozen == two.frozen
    for case, other in zip(one.cases, two.cases, strict=True):
        assert {arm: said.flips for arm, said in case.model.items()} == {
            "original": False,
            "adversarial linf=30HU": True,
        }
        assert case.model["original"].label == other.model["original"].label == "bright"
    assert "the key says what the audit noted, since" in made.words[-1] and len(there.words) == len(made.words) - 1
    with pytest.raises(
        RunError, match="images or model of the run cannot be opened again: the run's model was given in Python"
    ):
        create_study(scans.path, out=tmp_path / "all", **SMALL)
    with pytest.raises(RunError, match="the images are not those of the run"):
        create_study(scans.path, out=tmp_path / "other", data=Scans(ids=["s1", "s2"]), model=Mean(), **gone)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gone", "gone.key", "there", "there.key"]


def test_only_images_that_flip_within_the_size_are_cases(scans, tmp_path):
    given = {"preset": "foote", "data": Scans(), "model": Mean(), "budgets": "linf=10HU", "seed": 1}
    # An image at distance d HU from the border flips at d HU and not before: those 2, 4, 6 and 8 HU away.
    made = create_study(scans.path, out=tmp_path / "study", cases=4, **given)
    assert {case.id for case in key_of(made).cases} <= {"s1", "s3", "s5", "s7", "s9"}
    with pytest.raises(
        RunError, match=r"[45] of class bright that an attack within linf=10HU flips as stored, 6 asked"
    ):
        create_study(scans.path, out=tmp_path / "more", cases=6, **given)


@pytest.mark.parametrize("kind", ["masks", "heat"])
def test_changes_of_maps_can_be_detected_but_not_diagnosed(kind, tmp_path):
    run = squares.run(tmp_path / "run") if kind == "masks" else heat_run(tmp_path / "run")
    source = (
        {"data": squares.Squares(), "model": squares.teller()}
        if kind == "masks"
        else {"data": Spots(), "model": averager()}
    )
    with pytest.raises(UsageError, match="a diagnosis needs one class per image"):
        create_study(run.path, out=tmp_path / "study", **source, **SMALL)
    made = create_study(run.path, out=tmp_path / "study", tasks="choice,same", **source, **SMALL)
    protocol = key_of(made).frozen.protocol
    assert protocol.tasks == ("choice", "same") and not protocol.labels and protocol.rules.sessions == 1
    assert protocol.endpoints[0].role == "primary" and protocol.endpoints[0].measure == "detection"
    assert {case.truth for case in protocol.cases} == {""} and len(protocol.cases) == 4


class Pairs(ImageSet):
    """Grey images with two labels: the left half is bright, the right half is bright."""

    def __init__(self, ids=None):
        names = [f"p{i}" for i in range(12)] if ids is None else ids
        super().__init__("pairs", "multilabel", ("left", "right"), [Entry(n, bits(n)) for n in names])

    def read(self, case_id):
        pixels = torch.zeros(1, 8, 8)
        for place, bit in enumerate(bits(case_id)):
            pixels[..., 4 * place : 4 * place + 4] = 130 if bit else 124
        return Case(case_id, pixels.int().numpy(), PixelRange(), torch.tensor(bits(case_id)).numpy())

    def fingerprint(self, case_id):
        return case_id

    def subset(self, split=None, ids=None):
        return Pairs(ids)


def bits(name):
    number = int(name[1:])
    return (number % 2, number // 2 % 2)


class Halves(torch.nn.Module):
    """Bright where a half's mean is above one half."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(100.0))

    def forward(self, images):
        return self.weight * (torch.stack([images[..., :4].mean((1, 2, 3)), images[..., 4:].mean((1, 2, 3))], 1) - 0.5)


def test_several_labels_are_detected_or_judged_one_by_one(tmp_path):
    from percuss.core.model import Model, ModelInfo

    model = Model(Halves(), ModelInfo("halves", "multilabel", ("left", "right"), 1))
    run = audit(
        data=Pairs(), model=model, out=tmp_path / "run", budgets="linf=2/255,8/255", attacks="pgd", checks="off"
    )
    with pytest.raises(UsageError, match="audit one label with --label"):
        create_study(run.path, out=tmp_path / "study", data=Pairs(), model=model, **SMALL)
    made = create_study(run.path, out=tmp_path / "study", data=Pairs(), model=model, tasks=["same"], **SMALL)
    key = key_of(made)
    for case, known in zip(key.frozen.protocol.cases, key.cases, strict=True):
        assert case.truth == ", ".join(name for name, bit in zip(("left", "right"), bits(case.id), strict=True) if bit)
        assert known.model["original"].label == case.truth and known.model["adversarial linf=8/255"].flips
    one = audit(
        data=Pairs(), model=model, out=tmp_path / "one", label="left", budgets="linf=8/255", attacks="pgd", checks="off"
    )
    made = create_study(one.path, out=tmp_path / "diagnosed", data=Pairs(), model=model, **SMALL)
    assert key_of(made).frozen.protocol.positive == one.results.data.classes[-1]


def test_a_file_decides_what_options_do_not(scans, tmp_path):
    path = tmp_path / "protocol.toml"
    path.write_text(
        """
        title = "Lungs"
        cases = { dark = 2, bright = 3 }
        tasks = ["diagnosis", "manipulation"]
        copies = 2
        sessions = 4
        positive = "bright"
        target = 0.8
        [[arms]]
        kind = "original"
        [[arms]]
        kind = "adversarial"
        size = "linf=30HU"
        [[endpoints]]
        name = "rated"
        role = "primary"
        measure = "rating"
        task = "manipulation"
        arm = "adversarial linf=30HU"
        against = "original"
        """
    )
    given = {"data": Scans(), "model": Mean(), "protocol": path, "seed": 1}
    protocol = key_of(create_study(scans.path, out=tmp_path / "study", title="More", **given)).frozen.protocol
    assert protocol.title == "More" and protocol.target == 0.8 and protocol.copies == 2
    assert sorted(case.truth for case in protocol.cases) == ["bright"] * 3 + ["dark"] * 2
    assert [item.name for item in protocol.endpoints] == ["rated"]
    assert (protocol.rules.sessions, protocol.rules.together, protocol.rules.begin) == (4, 2, ("manipulation",))
    path.write_text("titel = 'x'")
    with pytest.raises(UsageError, match="a study has no such field: titel. Allowed: title"):
        create_study(scans.path, out=tmp_path / "other", **given)
    path.write_text("title = ")
    with pytest.raises(UsageError, match="the protocol file cannot be read"):
        create_study(scans.path, out=tmp_path / "other", **given)


def test_a_failed_call_leaves_nothing(scans, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("percuss.study.creating._fill", fails)
    with pytest.raises(KeyboardInterrupt):
        create_study(scans.path, out=tmp_path / "study", preset="foote", cases=3, budgets="linf=30HU")
    assert not list(tmp_path.iterdir())
    (tmp_path / "study.key").write_bytes(b"of another study")
    with pytest.raises(UsageError, match="a study needs a place of its own"):
        create_study(scans.path, out=tmp_path / "study", preset="foote", cases=3, budgets="linf=30HU")
    assert (tmp_path / "study.key").read_bytes() == b"of another study"


def test_a_file_that_does_not_flip_is_no_case_of_foote(scans, tmp_path, monkeypatch):
    real = creating.model_says

    def other(making, files):
        told = real(making, files)
        for said in list(told.values())[:1]:
            arm = making.design.largest.name
            said[arm] = said[arm].model_copy(update={"flips": False})
        return told

    monkeypatch.setattr(creating, "model_says", other)
    given = {"preset": "foote", "budgets": "linf=30HU", "seed": 1, "data": Scans(), "model": Mean()}
    with pytest.raises(RunError, match=r"too few cases .* left out: the file of adversarial linf=30HU does not flip"):
        create_study(scans.path, out=tmp_path / "study", cases=10, **given)


@pytest.mark.real
def test_the_papers_study_of_real_patches(real_data, tmp_path, fitted):
    import percuss
    from percuss.core.model import Model, ModelInfo

    data = percuss.load_data(f"folder:{real_data / 'pcam_patches'}")
    net = fitted(*data.subset(split="val").tensors())
    model = Model(net, ModelInfo("colour", "classify", data.classes, 3, weights="given"))
    given = {"budgets": "linf=2/255,4/255,8/255", "attacks": "pgd,noise", "limit": 120, "checks": "off"}
    run = audit(data=data, model=model, out=tmp_path / "run", **given)
    made = percuss.create_study(run.path, out=tmp_path / "study", preset="foote", data=data, model=model, seed=5)
    key = key_of(made)
    assert made.trials == 80 and len(list((made.path / "images").iterdir())) == 40
    names = {sha: made.path / "images" / name for name, sha in key.files.items()}
    for case, known in zip(key.frozen.protocol.cases, key.cases, strict=True):
        arms = ("original", "adversarial linf=8/255")
        clean, attacked = (as_seen(names[case.images[arm]].read_bytes(), "a", PixelRange()) for arm in arms)
        assert torch.equal((clean * 255).round().byte(), torch.from_numpy(data.read(case.id).pixels))
        with torch.no_grad():
            said = [data.classes[int(i)] for i in model(torch.stack([clean, attacked])).argmax(1)]
        assert said == ["tumor", "normal"] and known.model["adversarial linf=8/255"].flips
        assert float((attacked - clean).abs().max()) <= 8.01 / 255
    given = {"data": data, "model": model, "cases": 6}
    usual = percuss.create_study(run.path, out=tmp_path / "usual", **given)
    paths = list((usual.path / "images").iterdir())
    assert len(paths) == 6 * 6 and len({path.stat().st_size for path in paths}) == 1
