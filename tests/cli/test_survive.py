"""percuss survive on a run made by the commands."""


def test_command(percuss, images, factory, tmp_path):
    out = tmp_path / "run"
    made = percuss("audit", "--data", images, "--model", factory, "--allow-code", "--out", out, "--split", "all",
                   "--budget", "linf=8/255,32/255", "--attack", "pgd", "--quiet")  # fmt: skip
    assert made.exit_code == 0, made.stderr
    found = percuss("survive", out, "--format", "native,jpeg90", "--format", "dicom16")
    assert found.exit_code == 0, found.stderr
    assert "linf native: 100.0%" in found.stdout and "linf dicom16" in found.stdout
    assert percuss("survive", out, "--format", "gif").exit_code == 2
