"""percuss explain on a run made by the commands."""

import json


def test_command(percuss, images, factory, tmp_path):
    out = tmp_path / "run"
    made = percuss("audit", "--data", images, "--model", factory, "--allow-code", "--out", out, "--split", "all",
                   "--budget", "linf=8/255,32/255", "--attack", "pgd", "--quiet")  # fmt: skip
    assert made.exit_code == 0, made.stderr
    found = percuss("explain", out, "--allow-code", "--what", "saliency,landscape", "--images", 4, "--points", 3)
    assert found.exit_code == 0, found.stderr
    assert "explain.html" in found.stdout and "saliency rank" in found.stdout
    again = percuss("explain", out, "--allow-code", "--what", "saliency", "--images", 2, "--json")
    assert len(json.loads(again.stdout)["images"]) == 2
    assert percuss("explain", out, "--what", "gradkam").exit_code == 2
