import json

import pytest

from percuss.cli import demo as recipe


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(recipe, "DATA", "synthetic:tissue?n=40&size=32&patients=10&mpp=1.3")
    monkeypatch.setattr(recipe, "NETWORK", "timm:resnet10t")
    monkeypatch.setattr(recipe, "EPOCHS", 1)
    monkeypatch.setattr(recipe, "BUDGETS", ("linf=2/255,8/255",))
    monkeypatch.setattr(recipe, "STEPS", 2)


def test_demo_ends_with_a_report_and_says_where(percuss, tiny, tmp_path):
    out = tmp_path / "demo"
    done = percuss("demo", "--out", out)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.rstrip().endswith(f"open {out / 'report.html'}")
    assert (out / "report.html").read_text().startswith("<!")
    results = json.loads((out / "results.json").read_text())
    assert results["data"]["split"] == "test" and {p["attack"] for p in results["curves"]} > {"worst", "noise"}
    assert (out / "per_image.csv").exists() and (out / "model" / "model.json").exists()
    assert percuss("demo", "--out", out, "--quiet").stdout == "", "a second demo only looks again"
