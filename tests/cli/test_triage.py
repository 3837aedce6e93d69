"""percuss triage on a run made by the commands."""

import json


def test_command(percuss, images, factory, tmp_path):
    out, spec = tmp_path / "run", f"{images}?split=0.3,0.3,0.4"
    made = percuss("audit", "--data", spec, "--model", factory, "--allow-code", "--out", out,
                   "--budget", "linf=8/255,32/255", "--attack", "noise", "--quiet")  # fmt: skip
    assert made.exit_code == 0, made.stderr
    found = percuss("triage", out, "--allow-code", "--share", "0.3")
    assert found.exit_code == 0, found.stderr
    assert "sensitivity" in found.stdout and "makes no error" in found.stdout
    shown = percuss("triage", out, "--allow-code", "--calibrate", "val", "--json")
    record = json.loads(shown.stdout)
    assert record == json.loads((out / "triage.json").read_text(encoding="utf-8"))
    assert {"kept", "deferred", "threshold", "coverage", "aurc"} <= set(record["sensitivity"])
    wrong = percuss("triage", out, "--allow-code", "--share", "20")
    assert wrong.exit_code == 2 and "share to refer" in wrong.stderr
    none = tmp_path / "none"
    whole = percuss("audit", "--data", images, "--model", factory, "--allow-code", "--out", none,
                    "--budget", "linf=8/255", "--attack", "noise", "--quiet")  # fmt: skip
    assert whole.exit_code == 0, whole.stderr
    bare = percuss("triage", none, "--allow-code")
    assert bare.exit_code == 2 and "no split val: no splits at all" in " ".join(bare.stderr.split())
