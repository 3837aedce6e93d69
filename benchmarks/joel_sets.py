"""The four sets of docs/results/joel.md from the development sets: as many training images and classes as one another.

    python benchmarks/joel_sets.py DATA OUT

Writes lung2.csv (cancer or not), mri600.csv (200 training images of each tumour), mnist3.npz and cifar3.npz (the first
three classes, 200 training, 40 validation and 50 test images of each) into OUT; the tables point to the images in DATA.
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

import numpy as np


def table(source: Path, target: Path, *, each: int | None = None) -> None:
    """A table of all rows, cancer or not; or of ``each`` drawn training images per class, and all others."""
    rows = list(csv.DictReader((source / "labels.csv").open(encoding="utf-8")))
    random.seed(0)
    by_class: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["split"] == "train":
            by_class.setdefault(row["label_name"], []).append(row)
    left = {id(row) for some in by_class.values() for row in random.sample(some, each or len(some))}
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "label_name", "split", "group"])
        for row in rows:
            if row["split"] != "train" or id(row) in left:
                cancer = row["label_name"] == "malignant"
                named = [int(cancer), "cancer" if cancer else "noncancer"]
                label = [row["label"], row["label_name"]] if each else named
                writer.writerow([str(source.resolve() / row["path"]), *label, row["split"], row["group"]])


def arrays(source: Path, target: Path) -> None:
    """Three classes of an .npz, in the form of MedMNIST."""
    found, rng = np.load(source), np.random.default_rng(0)
    labels = {split: found[f"{split}_labels"].reshape(-1) for split in ("train", "test")}
    rows: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for name in range(3):
        drawn = rng.permutation(np.flatnonzero(labels["train"] == name))
        rows["train"] += list(drawn[:200])
        rows["val"] += list(drawn[200:240])
        rows["test"] += list(rng.permutation(np.flatnonzero(labels["test"] == name))[:50])
    made = {}
    for split, picked in rows.items():
        home = "test" if split == "test" else "train"
        made[f"{split}_images"] = found[f"{home}_images"][picked]
        made[f"{split}_labels"] = labels[home][picked].reshape(-1, 1).astype(np.uint8)
    np.savez(target, **made)


def main() -> None:
    """Writes the four sets."""
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    table(data / "lung_ct", out / "lung2.csv")
    table(data / "brain_mri", out / "mri600.csv", each=200)
    arrays(data / "mnist_control" / "mnist.npz", out / "mnist3.npz")
    arrays(data / "cifar10_control" / "cifar10.npz", out / "cifar3.npz")


if __name__ == "__main__":
    main()
