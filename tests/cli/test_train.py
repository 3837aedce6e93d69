import json

import pytest


@pytest.fixture
def train(percuss, tmp_path):
    data = "synthetic:tissue?n=40&size=32&patients=20&mpp=1.5"

    def run(*more, out="model"):
        fixed = ("--data", data, "--model", "timm:test_resnet", "--out", tmp_path / out, "--batch-size", "8")
        return percuss("train", *fixed, "--epochs", "1", "--device", "cpu", *more)

    return run


def test_says_what_it_does_and_what_comes_next(train, tmp_path):
    done = train()
    assert done.exit_code == 0, done.stderr
    assert "training timm:test_resnet on 24 images (8 for validation, 8 for the test)" in done.stderr
    assert "epoch 1 of 1: loss" in done.stderr
    assert done.stdout.startswith("accuracy") and "on 8 test images" in done.stdout
    assert f"--model {tmp_path / 'model'} --out" in done.stdout and "next: percuss audit --data" in done.stdout


def test_json_is_the_record_alone(train, tmp_path):
    done = train("--json", "--quiet", "--class-weights", "--augment", "flips", "--schedule", "step")
    assert done.exit_code == 0 and done.stderr == ""
    assert json.loads(done.stdout) == json.loads((tmp_path / "model" / "training.json").read_text())


def test_wrong_options_end_with_what_is_allowed(train, tmp_path):
    for more, words in (
        (("--optimiser", "lion"), "the option optimiser cannot be used: lion"),
        (("--epochs", "0"), "the option epochs cannot be used: 0"),
        (("--pretrained", "--weights", "w.pt"), "exclude each other"),
        (("--repeats", "2"), "repeats need folds"),
    ):
        done = train(*more)
        assert done.exit_code == 2 and words in done.stderr, done.stderr
    assert not (tmp_path / "model").exists()


def test_another_training_in_the_folder_is_refused(train):
    assert train("--quiet").exit_code == 0
    done = train("--quiet", "--seed", "1")
    assert done.exit_code == 2 and "the folder holds another training" in done.stderr
