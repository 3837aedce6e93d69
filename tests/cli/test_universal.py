import json


def test_change_page_and_json(percuss, images, factory, tmp_path):
    call = ("universal", factory, "--data", f"{images}?split=0.5,0.5&seed=0", "--out", tmp_path / "run")
    call += ("--budget", "linf=12/255", "--allow-code", "--epochs", "2", "--method", "sgd")
    done = percuss(*call)
    assert done.exit_code == 0, done.stderr
    assert "mean over classes" in done.stdout and "epoch 2: " in done.stderr
    assert (tmp_path / "run" / "perturbation.npz").exists() and (tmp_path / "run" / "universal.html").exists()
    done = percuss(*call, "--json", "--quiet")
    assert json.loads(done.stdout) == json.loads((tmp_path / "run" / "results.json").read_text())
    done = percuss(*call, "--method", "newton")
    assert done.exit_code == 2 and "unknown method: newton" in done.stderr
