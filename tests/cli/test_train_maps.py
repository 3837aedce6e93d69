"""percuss train and percuss harden on class maps."""

import json
import math

import pytest


def test_the_command_line_says_dice(percuss, tmp_path):
    fixed = (
        "--data",
        "synthetic:patterns?n=10&size=16",
        "--epochs",
        "1",
        "--batch-size",
        "4",
        "--device",
        "cpu",
        "--schedule",
        "decades",
    )
    first = percuss(
        "train",
        *fixed,
        "--model",
        "percuss:unet_avramidis?width=8",
        "--out",
        tmp_path / "a",
        "--optimiser",
        "adam",
        "--lr",
        "0.004",
    )
    assert first.exit_code == 0, first.stderr
    assert first.stdout.startswith("images with a Dice of 0.5 and more") and "background everywhere" in first.stdout
    assert ", Dice 0." in first.stderr
    more = ("--model", tmp_path / "a", "--out", tmp_path / "b", "--defence", "fast", "--check-steps", "1")
    second = percuss("harden", *fixed, *more)
    assert second.exit_code == 0, second.stderr
    assert second.stdout.startswith("robust Dice 0.") and "next: percuss audit --data" in second.stdout
    record = json.loads((tmp_path / "b" / "training.json").read_text())
    assert record["history"][0]["lr"] == pytest.approx(1e-3 * math.exp(-0.1))
