"""The recipes that ship, whole and small; a study killed in its middle; errors that a user meets."""

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from percuss.core.errors import DataError, PercussError, RunError, UsageError
from percuss.pipeline import recipe_steps
from percuss.pipeline.progress import Progress
from percuss.pipeline.reproduce import reproduce

SMALL = {
    "foote": {
        "synthetic": "synthetic:tissue?n=48&size=32&patients=12&mpp=1.5",
        "model": "timm:test_resnet",
        "other_model": "timm:test_vit2",
        "epochs": 2,
        "folds": 2,
        "steps": 2,
        "limit": 8,
        "linf": ["linf=8/255"],
        "l2": ["l2=rms:4/255"],
        "l1": ["l1=mad:2/255"],
        "l0": ["l0=20%"],
        "universal_epochs": 1,
        "universal_limit": 8,
        "explained": 2,
        "explained_what": ["saliency", "landscape"],
        "points": 3,
        "samples": 4,
    },
    "joel": {
        "synthetic": "synthetic:tissue?n=60&size=32&patients=20&mpp=1.5",
        "model": "timm:test_resnet",
        "epochs": 2,
        "harden_epochs": 1,
        "limit": 8,
        "triage_limit": 8,
        "largest": "0.01:0.2:3",
    },
    "wasserman": {
        "synthetic": "synthetic:tissue?n=32&size=32&patients=12&mpp=1.5",
        "network": "test_resnet",
        "seeds": [0],
        "epochs": 1,
        "limit": 8,
        "explained": 2,
        "steps": 2,
    },
    "avramidis": {
        "synthetic": "synthetic:tissue?task=segment&n=32&size=48&patients=8&mpp=1",
        "model": "percuss:unet_avramidis?width=2",
        "epochs": 1,
        "batch_size": 8,
        "layered_steps": 1,
        "attacks": ["segpgd"],
        "sizes": ["linf=0.05"],
        "steps": 1,
        "published_steps": 1,
        "limit": 4,
    },
}
KILLED = """
    import json, os, signal, sys, time
    sys.path[:0] = sys.argv[1:3]
    import torch
    torch.set_num_threads(1)
    from percuss.core.images import ImageSet
    from percuss.pipeline.reproduce import reproduce

    out, seen = sys.argv[3], []
    for wait in ("train", "attack", ""):
        child = os.fork()
        if child == 0:
            reproduce(os.path.join(sys.argv[2], "tiny.toml"), out=out, allow_code=True, threads=1)
            os._exit(0)
        # Killed as soon as the step has begun, and not before.
        while wait and not os.path.isdir(os.path.join(out, wait)):
            if os.waitpid(child, os.WNOHANG)[0]:
                sys.exit("ended before its step began")
            time.sleep(0.005)
        if wait:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        seen.append(-signal.SIGKILL if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
    print(json.dumps(seen))
"""


class Said(Progress):
    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Path(shutil.copytree(Path(__file__).parent / "tiny", tmp_path_factory.mktemp("whole") / "tiny"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(home)
        yield home


@pytest.mark.parametrize("name", SMALL)
def test_a_recipe_that_ships_runs_from_images_to_report(name, tmp_path):
    done = reproduce(name, out=tmp_path / "run", quick=True, threads=1, settings=SMALL[name])
    states = {step.id: (step.state, step.reason) for step in done.results.steps}
    # A network of one epoch may have too few true positives for a pack, which then says so.
    left = {key: reason for key, (state, reason) in states.items() if state != "done"}
    assert set(left) <= {"pack"}, left
    measured = [cell for table in done.results.tables for row in table.rows for cell in row[table.words :]]
    assert sum(cell is not None for cell in measured) >= 15
    for figure in done.results.figures:
        # Whether a network of one epoch is flipped is chance; everything else must be drawn.
        allowed = figure.id in ("features",) or "made no such part" in str(figure.missing)
        assert figure.files or allowed, (figure.id, figure.missing)
    page = done.report.read_text(encoding="utf-8")
    assert all(table.title.replace("'", "&#39;") in page for table in done.results.tables)
    assert all((done.path / file).exists() for figure in done.results.figures for file in figure.files)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_study_killed_in_the_middle_of_its_steps_ends_with_the_same_numbers(home, tmp_path):
    script, out = tmp_path / "killed.py", tmp_path / "run"
    script.write_text(textwrap.dedent(KILLED))
    command = [sys.executable, str(script), str(Path(__file__).parent), str(home), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1]) == [-9, -9, 0], done.stderr
    whole = reproduce(str(home / "tiny.toml"), out=tmp_path / "whole", allow_code=True, threads=1)
    found = json.loads((out / "results.json").read_text())
    assert found["tables"] == json.loads(whole.results.model_dump_json())["tables"]


def test_a_stopped_study_is_not_taken_over_by_another(home, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    given = {"out": tmp_path / "run", "allow_code": True, "threads": 1, "settings": {"epochs": 1}}
    monkeypatch.setitem(recipe_steps._RUNNERS, "audit", stopped)
    with pytest.raises(KeyboardInterrupt):
        reproduce(str(home / "tiny.toml"), **given)
    monkeypatch.undo()
    monkeypatch.syspath_prepend(home)
    for other in ({"data": "synthetic:tissue?n=24&size=48&patients=8&mpp=1"}, {"seed": 1}):
        with pytest.raises(RunError, match="another run"):
            reproduce(str(home / "tiny.toml"), **given, **other)
    said = Said()
    assert reproduce(str(home / "tiny.toml"), **given, progress=said).results.tables
    assert "train was finished before" in said.lines


def test_a_missing_extra_leaves_an_optional_step_out_and_names_it(home, tmp_path, monkeypatch):
    for name in ("captum", "captum.attr"):
        monkeypatch.setitem(sys.modules, name, None)
    done = reproduce(str(home / "tiny.toml"), out=tmp_path / "run", allow_code=True, threads=1, settings={"epochs": 1})
    (explain,) = [step for step in done.results.steps if step.id == "explain"]
    assert explain.state == "left out" and "percuss[explain]" in explain.reason
    assert "percuss[explain]" in done.report.read_text()


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("footee", {}, UsageError, "unknown recipe: footee.*foote.*percuss list recipes"),
        ("no/such.toml", {}, UsageError, "unknown recipe: no/such.toml"),
        ("foote", {"settings": {"epoch": 3}}, UsageError, "has no value: epoch.*epochs"),
        ("foote", {"data": "foldr:x"}, DataError, "foldr.*folder"),
        ("foote", {"data": "folder:no-such-folder"}, DataError, "no-such-folder"),
        ("foote", {"data": ["a=csv:x", "a=csv:y"]}, UsageError, "same name: a.*NAME=SPEC"),
        ("foote", {"protocol": "papr"}, UsageError, "unknown protocol: papr.*corrected, paper"),
        ("foote", {"sed": 1}, UsageError, "unknown option: sed.*seed"),
        ("foote", {"settings": {"epochs": "many"}}, PercussError, "epochs"),
    ],
)
def test_what_a_user_gets_wrong_is_named_before_anything_is_computed(name, options, error, words, tmp_path):
    with pytest.raises(error, match=words):
        reproduce(name, out=tmp_path / "run", **options)
    assert not list((tmp_path / "run").rglob("*.safetensors"))
