import json


def test_matrix_on_the_terminal_and_in_files(percuss, images, factory, tmp_path):
    (tmp_path / "code" / "dark_model.py").write_text(
        "from bright_model import Mean\n\ndef dark(*args, **options):\n    net = Mean()\n"
        "    net.weight.data *= 0.9\n    return net\n"
    )
    call = ("transfer", factory, "factory:dark_model:dark", "--data", images, "--out", tmp_path / "run")
    call += ("--budget", "linf=4/255", "--allow-code", "--attack", "fgsm")
    done = percuss(*call)
    assert done.exit_code == 0, done.stderr
    assert "made on" in done.stdout and "noise" in done.stdout and f"page: {tmp_path / 'run'}" in done.stdout
    done = percuss(*call, "--json", "--quiet")
    assert json.loads(done.stdout) == json.loads((tmp_path / "run" / "results.json").read_text())
    done = percuss(*call[:2], *call[3:])
    assert done.exit_code == 2 and "two models or more" in done.stderr
