"""A study from a finished audit: the right cases and files, judged as they are shown, sealed and reproducible."""

import pytest
import torch

from percuss.core.errors import RunError, UsageError
from percuss.core.images import PixelRange
from percuss.pipeline.study_create import create_study
from percuss.pipeline.study_model import as_seen
from percuss.store.png import slug
from percuss.study.database import open_database
from percuss.study.design.order import check_order
from percuss.study.folder import StudyFolder
from percuss.study.pictures import sha_at
from percuss.study.seal import load_key

FOOTE = {"preset": "foote", "budgets": "linf=64/255", "seed": 3}
SMALL = {"cases": 6, "budgets": ["linf=2/255,48/255"], "seed": 3}
ARMS = [
    {"kind": "original"},
    {"kind": "adversarial", "size": "linf=8/255"},
    {"kind": "noise", "size": "linf=4/255"},
    {"kind": "identical"},
]
OF = {"measure": "true-positives", "task": "diagnosis", "arm": "adversarial linf=4/255"}
ENDPOINT = {"name": "loss", "role": "primary", **OF}


@pytest.fixture(scope="module")
def run(tissue, judged, tmp_path_factory):
    from percuss.pipeline.interface import audit

    out = tmp_path_factory.mktemp("audit") / "run"
    given = {"budgets": ["linf=2/255,64/255", "l2=0.5"], "split": "all", "steps": 4, "checks": "off"}
    return audit(data=tissue, model=judged, out=out, attacks="pgd,noise", **given)


@pytest.fixture
def source(tissue, judged):
    return {"data": tissue, "model": judged}


@pytest.fixture(scope="module")
def foote(run, tissue, judged, tmp_path_factory):
    return create_study(run.path, out=tmp_path_factory.mktemp("foote") / "study", data=tissue, model=judged, **FOOTE)


@pytest.fixture(scope="module")
def usual(run, tissue, judged, tmp_path_factory):
    return create_study(run.path, out=tmp_path_factory.mktemp("usual") / "study", data=tissue, model=judged, **SMALL)


def key_of(made):
    return load_key(StudyFolder(made.path))


def shown(made, sha):
    key = key_of(made)
    name = next(name for name, held in key.files.items() if held == sha)
    path = made.path / "images" / name
    assert sha_at(path) == sha
    return as_seen(path.read_bytes(), name, PixelRange(0, 255))


def test_foote_is_the_papers_study(foote, run):
    key, protocol = key_of(foote), key_of(foote).frozen.protocol
    assert foote.trials == len(protocol.trials()) == len(key.trials) == 20 * 2 * 2
    assert [arm.name for arm in protocol.arms] == ["original", "adversarial linf=64/255"]
    assert protocol.tasks == ("diagnosis",) and protocol.copies == 2 and protocol.rules.sessions == 1
    assert protocol.labels == ("normal", "tumour") and protocol.positive == "tumour"
    assert {case.truth for case in protocol.cases} == {"tumour"} and len(protocol.cases) == 20
    first = protocol.endpoints[0]
    assert (first.role, first.measure, first.against, first.margin) == ("primary", "true-positives", "original", 0.1)
    assert [item.measure for item in protocol.endpoints[1:]] == ["agreement", "agreement"]
    for case in key.cases:
        original, attacked = case.model["original"], case.model["adversarial linf=64/255"]
        assert (original.label, original.flips) == ("tumour", False)
        assert (attacked.label, attacked.flips, attacked.attack) == ("normal", True, "pgd")
        assert 0.5 / 255 < attacked.linf < 64.5 / 255
        own = run.rows[(run.rows["id"] == case.id) & run.rows["success_stored"] & (run.rows["norm"] == "linf")]
        assert case.flip_eps["linf"] == own["eps"].min()
    assert key.largest_tried["linf"] == pytest.approx(64 / 255) and key.run == run.results.run_id
    assert "80 trials for each reader (80 diagnosis): about 13 minutes, 1 session" in foote.words[0]
    assert protocol.title == "Reader study"
    assert f"tumour of {len({case.patient for case in protocol.cases})} patients, one reader" in foote.words[2]
    assert "16.1 to " in foote.words[2] and "points of loss stay possible, more than the margin" in foote.words[2]


def test_foote_shows_the_very_flips_that_the_audit_kept(foote, run):
    kept = run.rows[run.rows["success_stored"] & (run.rows["image"] != "") & (run.rows["norm"] == "linf")]
    for case in key_of(foote).frozen.protocol.cases:
        attacked = kept.set_index("id").at[case.id, "image"]
        for arm, name in (("original", f"images/original/{slug(case.id)}.png"), ("adversarial linf=64/255", attacked)):
            wanted = as_seen((run.path / name).read_bytes(), name, PixelRange(0, 255))
            assert torch.equal(shown(foote, case.images[arm]), wanted)


def test_the_key_is_the_model_judged_anew_on_the_stored_files(usual, judged):
    key = key_of(usual)
    protocol = key.frozen.protocol
    assert len(protocol.cases) == 6 and {case.truth for case in protocol.cases} == {"normal", "tumour"}
    for case, known in zip(protocol.cases, key.cases, strict=True):
        assert set(known.model) == set(case.images) and known.id == case.id
        for arm, sha in case.images.items():
            with torch.no_grad():
                chances = judged(shown(usual, sha).unsqueeze(0)).double().softmax(1)[0]
            said = known.model[arm]
            assert said.label == judged.classes[int(chances.argmax())]
            assert said.confidence == pytest.approx(float(chances.max()), abs=1e-5)
            assert said.flips == (said.label != case.truth)


def test_arms_have_their_sizes(usual):
    key = key_of(usual)
    names = [arm.name for arm in key.frozen.protocol.arms]
    attack, noise = "adversarial linf=48/255", "noise linf=48/255"
    assert names == ["original", "adversarial linf=2/255", attack, noise, "identical", "visible linf=64/255"]
    for case, known in zip(key.frozen.protocol.cases, key.cases, strict=True):
        clean = shown(usual, case.images["original"])
        # The attack goes on when an image flips, so that the change has its size, also where less would flip.
        for size in (2, 48):
            said = known.model[f"adversarial linf={size}/255"]
            assert said.linf == pytest.approx(size / 255, abs=1e-6)
            assert said.l2 > 0.9 * size / 255 * clean.numel() ** 0.5
        one, two = (shown(usual, case.images[arm]) - clean for arm in (attack, noise))
        for norm in (1, 2, float("inf")):
            assert float(two.flatten().norm(norm)) == pytest.approx(float(one.flatten().norm(norm)), rel=0.05)
        assert not torch.equal(one, two)
        mark = (shown(usual, case.images["visible linf=64/255"]) - clean).abs()
        assert float(mark.max()) == pytest.approx(64 / 255, abs=1e-6)
        assert 0.02 < float((mark > 0).float().mean()) < 0.1


def test_tasks_sessions_and_endpoints_of_the_usual_study(usual):
    protocol = key_of(usual).frozen.protocol
    shown_in = {task: {t.arm for t in protocol.trials() if t.task == task} for task in protocol.tasks}
    assert shown_in["diagnosis"] == {"original", "adversarial linf=48/255", "noise linf=48/255"}
    assert shown_in["same"] - shown_in["choice"] == {"identical"} and len(shown_in["choice"]) == 4
    assert protocol.rules.begin == ("choice",) and protocol.rules.sessions == 2
    assert protocol.washout_days == 14 and protocol.ask_seen
    assert usual.trials == 6 * (3 + 4 + 5) and usual.minutes == pytest.approx((18 * 10 + 54 * 6) / 60)
    measures = [(item.role, item.measure, item.task) for item in protocol.endpoints]
    assert measures[0] == ("primary", "true-positives", "diagnosis")
    assert measures.count(("secondary", "detection", "choice")) == 4
    assert "3 pairs of class tumour, one reader" in usual.words[2]


def test_half_of_the_cases_are_positive_and_the_rest_even():
    from percuss.pipeline.study_cases import _halved

    assert _halved(31, "b", ["a", "b", "c", "d"]) == {"a": 5, "b": 16, "c": 5, "d": 5}
    assert _halved(30, "b", ["a", "b"]) == {"a": 15, "b": 15}
    assert _halved(3, "b", ["a", "b", "c"]) == {"a": 1, "b": 2}


def test_nothing_of_the_folder_tells_an_arm(usual, run):
    key = key_of(usual)
    arm_of = {sha: arm for case in key.frozen.protocol.cases for arm, sha in case.images.items()}
    paths = sorted((usual.path / "images").iterdir())
    assert len(paths) == len(key.files) == 6 * 5
    for trait in (lambda p: p.stat().st_size, lambda p: p.stat().st_mtime_ns, lambda p: p.stat().st_mode):
        assert len({trait(path) for path in paths}) == 1
    assert all(len(path.stem) == 32 for path in paths)
    heads = {path.read_bytes()[:48] for path in paths}
    assert len(heads) == 1
    arms = [arm_of[key.files[path.name]] for path in paths]
    assert arms != sorted(arms)
    content = b"".join(path.read_bytes() for path in usual.path.rglob("*") if path.is_file())
    assert not [case.id for case in key.cases if case.id.encode() in content]
    assert not [sha for sha in key.files.values() if sha.encode() in content]


def test_orders_are_those_of_the_protocol_and_lie_in_the_database(usual):
    from sqlalchemy import select

    from percuss.study.design.order import draw_order
    from percuss.study.opening import open_study
    from percuss.study.tables import SlotRow

    key = key_of(usual)
    protocol = key.frozen.protocol
    study = open_study(usual.path)
    with study.database.read() as session:
        rows = session.scalars(select(SlotRow).where(SlotRow.slot == 1).order_by(SlotRow.number)).all()
        held = [(key.trials[row.trial], row.session) for row in rows]
    study.database.close()
    order = draw_order(protocol.trials(), protocol.rules, seed=3, reader="slot 1", index=1)
    check_order(order, protocol.trials())
    assert held == [(place.trial, place.session) for place in order.places]


def test_the_seed_decides_the_study(usual, run, source, tmp_path):
    again = create_study(run.path, out=tmp_path / "again", **source, **SMALL)
    assert key_of(again).frozen.hash == key_of(usual).frozen.hash
    assert set(key_of(again).files.values()) == set(key_of(usual).files.values())
    assert set(key_of(again).files) != set(key_of(usual).files)
    other = create_study(run.path, out=tmp_path / "other", **source, **SMALL | {"seed": 4})
    assert key_of(other).frozen.hash != key_of(usual).frozen.hash


def test_a_database_that_cannot_take_it_is_told_before_the_attacks(run, source, tmp_path, monkeypatch):
    def never(*_):
        pytest.fail("images were attacked first")

    monkeypatch.setattr("percuss.pipeline.study_create.make_files", never)
    nowhere = {**SMALL, "database": "postgresql+pg8000://nobody:pass@127.0.0.1:1/none"}
    with pytest.raises(RunError, match="cannot be used"):
        create_study(run.path, out=tmp_path / "study", **source, **nowhere)
    held = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    monkeypatch.setattr("percuss.study.database.open_database", lambda _: held)
    monkeypatch.setattr("percuss.study.opening.study_in", lambda _: "0" * 16)
    with pytest.raises(RunError, match="holds a study already.*study 0000"):
        create_study(run.path, out=tmp_path / "study", **source, **nowhere)
    assert not (tmp_path / "study").exists()


def test_an_existing_study_is_never_touched(usual, run, source):
    before = {path: path.read_bytes() for path in usual.path.rglob("*.bin")}
    with pytest.raises(UsageError, match="a study needs a place of its own"):
        create_study(run.path, out=usual.path, **source, **SMALL)
    assert before == {path: path.read_bytes() for path in usual.path.rglob("*.bin")}
    # Not even where a killed call left its folder beside it: the study may have been read since.
    (usual.path.parent / ".percuss-study.making").mkdir()
    with pytest.raises(UsageError, match="an existing study is never touched"):
        create_study(run.path, out=usual.path, **source, **SMALL)
    assert before == {path: path.read_bytes() for path in usual.path.rglob("*.bin")} and usual.secret_path.exists()
    assert not [path for path in usual.path.parent.iterdir() if path.name.startswith(".percuss")]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"cases": 500}, RunError, r"too few cases for the study: \d+ of class normal that fit, 250 asked for"),
        ({"preset": "foot"}, UsageError, "unknown preset: foot. Allowed: foote"),
        ({"case": 3}, UsageError, "a study has no such field: case. Allowed: cases"),
        ({"cases": "tumor=3"}, UsageError, "there is no such class: tumor. Allowed: tumour"),
        ({"cases": 0}, UsageError, "the number of cases is too small: 0"),
        ({"cases": "some"}, UsageError, "the number of cases cannot be read: some"),
        ({"cases": "tumour=3,tumour=4"}, UsageError, "a class is named twice: tumour=3,tumour=4"),
        ({"positive": "tumor"}, UsageError, "there is no such class: tumor. Allowed: tumour"),
        ({"budgets": ["linf=2/255", "l2=1"]}, UsageError, "the sizes of a study are of several norms"),
        ({"budgets": ["linf=0.5/255"]}, UsageError, "no file can hold a change of this size: linf=0.5/255"),
        ({"visible": "linf=2/255"}, UsageError, "the visible control cannot have this size: linf=2/255"),
        ({"tasks": ["diagnoses"]}, UsageError, "the field of the study tasks.0 cannot be used: diagnoses"),
        ({"distance": 50}, UsageError, "the distance between copies of a case cannot be kept"),
        ({"preset": "foote"}, UsageError, "the preset foote has one size"),
        ({"preset": "foote", "cases": 11, "budgets": "l2=0.5"}, RunError, "10 of class tumour .* flips as stored, 11"),
        ({"budgets": None, "arms": [{"kind": "original"}]}, UsageError, "a study without an attack"),
        ({"arms": [{"kind": "original"}]}, UsageError, "budgets and arms are both given"),
        ({"budgets": None, "arms": ARMS}, UsageError, "noise without an attack of its size: noise linf=4/255"),
        ({"sessions": 2, "together": 2}, UsageError, "the copies of a case do not fit into different sessions"),
        ({"endpoints": [ENDPOINT]}, UsageError, "endpoints on what is shown: loss needs adversarial linf=4/255"),
    ],
)
def test_wrong_options_are_named_before_anything_is_attacked(run, source, tmp_path, monkeypatch, options, kind, words):
    monkeypatch.setattr("percuss.pipeline.study_create.make_files", lambda *_: pytest.fail("attacked"))
    with pytest.raises(kind, match=words):
        create_study(run.path, out=tmp_path / "study", **source, **SMALL | options)
    assert not list(tmp_path.iterdir())


def test_changes_stay_in_the_region_of_the_run_and_large_cases_are_tiled(tissue, judged, tmp_path, monkeypatch):
    from PIL import Image

    from percuss.pipeline import study_tiles
    from percuss.pipeline.interface import audit
    from percuss.study.app.pictures import geometry
    from percuss.study.opening import open_study
    from percuss.study.verification.whole import verify_study

    mask = Image.new("L", (48, 48))
    mask.paste(255, (0, 0, 48, 16))
    mask.save(tmp_path / "mask.png")
    given = {"budgets": "linf=8/255,96/255", "attacks": "pgd", "checks": "off", "limit": 24, "steps": 4}
    run = audit(data=tissue, model=judged, out=tmp_path / "run", region=str(tmp_path / "mask.png"), **given)
    cut = study_tiles.tiles_of
    monkeypatch.setattr(study_tiles, "LARGE", 40)
    monkeypatch.setattr(study_tiles, "tiles_of", lambda png, pixels: cut(png, pixels, side=16))
    wanted = {"cases": 3, "only_flipped": True, "seed": 2}
    made = create_study(run.path, out=tmp_path / "study", data=tissue, model=judged, **wanted)
    key = key_of(made)
    names = {sha: made.path / "images" / name for name, sha in key.files.items()}
    for case, known in zip(key.frozen.protocol.cases, key.cases, strict=True):
        assert known.model["adversarial linf=96/255"].flips
        for x, y in ((0, 0), (1, 0), (0, 1), (2, 2)):
            clean, attacked, noisy = (
                as_seen((names[case.images[arm]] / f"2/{x}_{y}.png").read_bytes(), "a", PixelRange())
                for arm in ("original", "adversarial linf=96/255", "noise linf=96/255")
            )
            assert (torch.equal(clean, attacked), torch.equal(clean, noisy)) == (y > 0, y > 0)
    shape = geometry(names[case.images["original"]])
    assert (shape.width, shape.height, shape.tile, shape.levels) == (48, 48, 16, 3)
    assert len({path.stat().st_size for path in (made.path / "images").rglob("*.png")}) == 1
    study = open_study(made.path)
    assert verify_study(study, key=key).sound
    study.database.close()
