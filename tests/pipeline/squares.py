"""Images of coloured squares with their class maps, and a network of one point that tells the colours apart."""

import hashlib

import numpy as np
import torch
from torch import nn

from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.core.model import Model, ModelInfo
from percuss.data.splits import choose
from percuss.pipeline.interface import audit

CLASSES = ("background", "red", "green")
COLOURS = torch.tensor([[0.6, 0.6, 0.6], [0.6, 0.55, 0.55], [0.55, 0.6, 0.55]])
SIDE = 16


class Squares(ImageSet):
    """Two squares on each image, except for number 3, which is background alone; ``faults`` by id spoil some."""

    def __init__(self, count=8, entries=None, faults=()):
        known = [Entry(f"case{i}", 0, "test", f"patient{i // 2}") for i in range(count)]
        super().__init__("squares", "segment", CLASSES, known if entries is None else entries)
        self.faults = dict(faults)

    def read(self, case_id):
        entry, number = self.entry(case_id), int(case_id[4:])
        rng = np.random.default_rng(number)
        truth, things = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.int32)
        for kind in (1, 2) if number != 3 else ():
            top, left = 8 * (kind - 1) + rng.integers(0, 3), rng.integers(0, 9)
            truth[top : top + 5, left : left + 6] = kind
            things[top : top + 5, left : left + 6] = kind
        noise = rng.normal(0, 0.005, (3, SIDE, SIDE))
        values = COLOURS.numpy()[truth].transpose(2, 0, 1) + noise
        pixels = np.rint(values * 255).clip(0, 255).astype(np.uint8)
        given = {"target": truth, "instances": things} | self.faults.get(case_id, {})
        return Case(case_id, pixels, PixelRange(0, 255), given["target"], None, entry.group, None, given["instances"])

    def fingerprint(self, case_id):
        return hashlib.sha256(f"squares {self.entry(case_id).id} {sorted(self.faults)}".encode()).hexdigest()

    def subset(self, split=None, ids=None):
        return Squares(entries=choose(self.entries, split, ids), faults=self.faults)


def teller():
    """The nearest colour of each pixel, as logits that are linear in it."""
    net = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        net.weight.copy_(200 * COLOURS.view(3, 3, 1, 1))
        net.bias.copy_(-100 * (COLOURS**2).sum(1))
    return Model(net, ModelInfo("squares", "segment", CLASSES, 3, weights="given"))


#: Of a small audit of the squares.
OPTIONS = {
    "attacks": ["pgd", "fgsm", "noise"],
    "budgets": ["linf=2/255,12/255", "l2=0.5"],
    "checks": "off",
}


def run(out, data=None, model=None, **options):
    """A small audit; options replace its usual ones."""
    given = OPTIONS | options
    if "pgd" in given["attacks"]:
        given["settings"] = {"pgd": {"steps": 4}}
    return audit(data=data or Squares(), model=model or teller(), out=out, **given)
