"""Heat maps for the fake run: tumour in blobs of cells, scores that sink as the change grows, a code with kernels."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fake_masks import mask_tables, truth_of
from fake_parts import texture
from PIL import Image
from scipy import ndimage

from percuss.core.budget import parse_budget
from percuss.core.results import Heat, Interval, Meaning
from percuss.evaluate.heat_summary import heat_summary

CELL = 4


class _Cells:
    """What ``mask_tables`` asks of a fake, at the size of the cells."""

    def __init__(self, fake: Any) -> None:
        self.__dict__.update(vars(fake))
        self.side = fake.side // CELL


def heat_tables(folder: Path, fake: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, Heat]:
    """clean, rows, dense and the summary of a run of heat maps; writes its tiles and maps."""
    clean, rows, dense = mask_tables(folder, _Cells(fake))
    rng, side = np.random.default_rng(3), fake.side // CELL
    slides = fake.patients or 3
    dense["group"] = [f"slide_{int(str(name)[-4:]) % slides}" for name in dense["id"]]
    truths = {}
    for name in clean["id"]:
        truth = (truth_of(rng, side, 3)[0] > 0).astype(np.uint8)
        truth[:, : side // 6] = 255 if str(name).endswith("1") else truth[:, : side // 6]
        truths[str(name)] = truth * (not str(name).endswith("0003"))
    scores = [_scores(truths[str(row["id"])], _strength(row, fake), rng) for _, row in dense.iterrows()]
    dense["loss"] = [_loss(one, truths[str(name)]) for one, name in zip(scores, dense["id"], strict=True)]
    dense["shape"] = [list(one.shape) for one in scores]
    dense["scores"] = [one.astype("<f2").tobytes() for one in scores]
    plain = dense["attack"] == "clean"
    dense["truth"] = [truths[str(n)].tobytes() if p else b"" for n, p in zip(dense["id"], plain, strict=True)]
    _files(folder, fake, (rows, dense, truths, scores))
    found = heat_summary(dense, cell=CELL, seed=0)
    return clean, rows, dense, found.model_copy(update={"meaning": _meaning(fake), "not_exhaustive": ["slide_1"]})


def _strength(row: pd.Series, fake: Any) -> float:
    if row["attack"] == "clean":
        return 0.0
    size = {"noise": 0.02, "code_noise": 0.05, "bim": 0.6}.get(str(row["attack"]), 1.0)
    largest = max(parse_budget(name).eps((3, fake.side, fake.side)) for name in fake.budgets)
    part = min(float(row["eps"]) / largest, 1.0) if math.isfinite(row["eps"]) else 1.0
    return size * part * (1.0 if row["state"] == "float" else 0.9) / fake.hardness


def _scores(truth: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    noise = ndimage.gaussian_filter(rng.normal(size=truth.shape), 1.2)
    signal = ndimage.gaussian_filter((truth == 1).astype(float), 0.7) - 0.4
    return np.clip(9 * signal * (1 - 1.3 * strength) + 6 * noise / noise.std() * (0.2 + 0.3 * strength), -30, 30)


def _loss(scores: np.ndarray, truth: np.ndarray) -> float:
    judged = truth != 255
    signed = np.where(truth == 1, -scores, scores)[judged]
    return float(np.logaddexp(0, signed).mean())


def _files(folder: Path, fake: Any, parts: tuple[Any, ...]) -> None:
    rows, dense, truths, scores = parts
    rng = np.random.default_rng(5)
    norms = {str(parse_budget(name).norm) for name in fake.budgets}
    for part in ("truth", "clean", *norms):
        (folder / "maps" / part).mkdir(parents=True, exist_ok=True)
        (folder / "heat" / part).mkdir(parents=True, exist_ok=True)
    for part in ("original", "attacked"):
        (folder / "images" / part).mkdir(parents=True, exist_ok=True)
    rows["image"] = ""
    attack = next(name for name in reversed(fake.attacks) if "noise" not in name)
    last = rows[rows["attack"] == attack].sort_values("eps").drop_duplicates(["id", "norm"], keep="last")
    places = {(r.id, r.attack, r.budget): place for place, r in enumerate(dense.itertuples()) if r.state == "stored"}
    for index, row in last.iterrows():
        file = f"{str(row['id']).replace('/', '__')}.png"
        clean = texture(rng, fake.side, False)
        attacked = np.clip(clean.astype(int) + rng.choice([-4, 0, 4], size=clean.shape), 0, 255).astype(np.uint8)
        Image.fromarray(clean).save(folder / "images" / "original" / file)
        Image.fromarray(attacked).save(folder / "images" / "attacked" / file)
        Image.fromarray(truths[str(row["id"])]).save(folder / "maps" / "truth" / file)
        for part, key in (("clean", ("clean", "")), (str(row["norm"]), (attack, row["budget"]))):
            found = 1 / (1 + np.exp(-scores[places[(row["id"], *key)]]))
            Image.fromarray(np.round(255 * found).astype(np.uint8)).save(folder / "heat" / part / file)
        rows.loc[index, "image"] = f"images/attacked/{file}"


def _meaning(fake: Any) -> list[Meaning]:
    def interval(value: float, half: float = 0.1) -> Interval:
        return Interval(value=value, low=value - half, high=value + half, n=fake.n, method="bootstrap over 3 slides")

    values = {"slope": (-0.4, 0.0), "haematoxylin": (0.02, 0.0), "nuclei": (0.31, 0.01), "tumour": (0.7, 1.0)}
    return [
        Meaning(
            attack=attack,
            norm=str(parse_budget(fake.budgets[-1]).norm),
            budget=fake.budgets[-1],
            measure=name,
            change=interval(one),
            noise=interval(two),
            difference=interval(one - two),
        )
        for attack in fake.attacks
        if "noise" not in attack
        for name, (one, two) in values.items()
    ]


def write_code(folder: Path, *, kernels: int = 24) -> None:
    """The files of ``code/`` as the pipeline writes them."""
    rng = np.random.default_rng(9)
    (folder / "code").mkdir(exist_ok=True)
    Image.fromarray(rng.integers(0, 255, (49, 201, 3), dtype=np.uint8)).save(folder / "code" / "dictionary.png")
    Image.fromarray(texture(rng, 64, False)).save(folder / "code" / "feature-00.png")
    told = {
        "kind": "sparse code",
        "facts": [["Code of a tile", "48 × 48 × 24"], ["Active coefficients", "1.1 %"]],
        "words": ["The network judges a sparse code."],
        "kernels": {"file": "dictionary.png", "caption": f"{kernels} kernels of 8 × 8", "width": 201},
        "image": "slide/patch-0002",
        "pictures": [{"file": "feature-00.png", "caption": "tile"}],
        "use": [0.1] * kernels,
    }
    (folder / "code" / "told.json").write_text(json.dumps(told), encoding="utf-8")
