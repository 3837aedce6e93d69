"""Tiles with dark spots of tumour, their cells of 4 x 4 pixels, and a detector that averages darkness over a cell."""

import hashlib

import numpy as np
import torch
from torch import nn

from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.core.model import Model, ModelInfo
from percuss.data.splits import choose
from percuss.pipeline.interface import audit

CLASSES = ("normal", "tumour")
SIDE, CELL = 24, 4


class Spots(ImageSet):
    """Two tiles of each slide, a block of tumour in the first, none in every fourth; ``faults`` by id spoil some."""

    cell = CELL

    def __init__(self, count=8, entries=None, faults=()):
        known = [Entry(f"tile{i}", 0, "test", f"slide{i // 2}") for i in range(count)]
        super().__init__("spots", "heatmap", CLASSES, known if entries is None else entries)
        self.faults = dict(faults)
        self.partial = ("slide1", "elsewhere")

    def read(self, case_id):
        entry, number = self.entry(case_id), int(case_id[4:])
        rng = np.random.default_rng(number)
        truth = np.zeros((SIDE // CELL, SIDE // CELL), np.uint8)
        if number % 4 != 3:
            top, left = rng.integers(0, 3, 2)
            truth[top : top + 3, left : left + 3] = 1
        truth[0, 0] = 255
        dark = np.kron(truth == 1, np.ones((CELL, CELL)))
        values = 0.7 - 0.1 * dark + rng.normal(0, 0.08, (3, SIDE, SIDE))
        pixels = np.rint(values * 255).clip(0, 255).astype(np.uint8)
        given = {"target": truth} | self.faults.get(case_id, {})
        return Case(case_id, pixels, PixelRange(0, 255), given["target"], None, entry.group)

    def fingerprint(self, case_id):
        return hashlib.sha256(f"spots {self.entry(case_id).id} {sorted(self.faults)}".encode()).hexdigest()

    def subset(self, split=None, ids=None):
        return Spots(entries=choose(self.entries, split, ids), faults=self.faults)


def averager():
    """One logit for each cell, linear in its mean darkness."""
    net = nn.Conv2d(3, 1, CELL, stride=CELL)
    with torch.no_grad():
        net.weight.fill_(-60 / net.weight.numel())
        net.bias.fill_(60 * 0.65)
    return Model(net, ModelInfo("averager", "heatmap", CLASSES, 3, weights="given", cell=CELL))


OPTIONS = {"attacks": ["pgd", "fgsm", "noise"], "budgets": ["l2=0.5,2", "linf=4/255"], "checks": "off"}


def run(out, data=None, model=None, **options):
    """A small audit; options replace its usual ones."""
    given = OPTIONS | options
    if "pgd" in given["attacks"]:
        given["settings"] = {"pgd": {"steps": 5}}
    return audit(data=data or Spots(), model=model or averager(), out=out, **given)
