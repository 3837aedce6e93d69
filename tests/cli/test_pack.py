"""percuss pack on a run made by the commands."""

import json


def test_command(percuss, images, factory, tmp_path):
    out, run = tmp_path / "pack", tmp_path / "run"
    made = percuss("audit", "--data", images, "--model", factory, "--allow-code", "--out", run,
                   "--budget", "linf=96/255", "--attack", "pgd", "--checks", "off", "--quiet")  # fmt: skip
    assert made.exit_code == 0, made.stderr
    done = percuss("pack", run, "--out", out, "--cases", "1", "--copies", "2")
    assert done.exit_code == 0, done.stderr
    assert "hand out" in done.stdout and len(list((out / "reader").glob("*.png"))) == 4
    shown = percuss("pack", run, "--out", out, "--cases", "1", "--json", "--quiet")
    assert json.loads(shown.stdout)["sets"] == [{"set": n, "original": 1, "perturbed": 1} for n in (1, 2)]
    few = percuss("pack", run, "--out", tmp_path / "few", "--cases", "5000")
    assert few.exit_code == 2 and "too few true positives" in few.stderr
