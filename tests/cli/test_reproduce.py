"""percuss reproduce and percuss list recipes on the command line."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from percuss.cli.app import app
from percuss.cli.reproduce import _setting
from percuss.pipeline import reproduce as module


@pytest.fixture
def called(monkeypatch, tmp_path):
    """What the command hands on, without a study being run."""
    told = {}
    (tmp_path / "results.json").write_text('{"tables": []}\n')

    def stand_in(name, **options):
        told.update(options, name=name)
        return SimpleNamespace(path=tmp_path, tables=[], report=tmp_path / "report.html")

    monkeypatch.setattr(module, "reproduce", stand_in)
    return told


def test_options_are_handed_on(called):
    words = "reproduce joel --out OUT --data ct=lidc:A --data mri=csv:B --protocol paper --quick --set epochs=5"
    result = CliRunner().invoke(app, [*words.split(), "--set", "model=timm:resnet18", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"tables": []}
    assert called["name"] == "joel" and called["out"] == Path("OUT") and called["quick"]
    assert called["data"] == ["ct=lidc:A", "mri=csv:B"] and called["protocol"] == "paper"
    assert called["settings"] == {"epochs": 5, "model": "timm:resnet18"}


@pytest.mark.parametrize(("words", "said"), [("reproduce foot", "foote"), ("reproduce foote --protocol old", "paper")])
def test_wrong_use_ends_with_2(words, said, tmp_path):
    result = CliRunner().invoke(app, [*words.split(), "--out", str(tmp_path / "run")])
    assert result.exit_code == 2 and said in result.output + result.stderr
    assert not (tmp_path / "run").exists()


def test_recipes_are_listed():
    result = CliRunner().invoke(app, ["list", "recipes"])
    assert result.exit_code == 0 and "foote" in result.stdout


def test_settings():
    assert _setting("sizes=[1, 2]") == ("sizes", [1, 2]) and _setting("lr=default") == ("lr", "default")
