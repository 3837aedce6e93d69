"""Class maps for the fake run: blobs as nuclei, decisions that shrink and swap as the change grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fake_parts import texture
from PIL import Image
from scipy import ndimage

from percuss.core.budget import parse_budget
from percuss.core.dense import confusion, text
from percuss.core.outcome import COLUMNS
from percuss.evaluate.dense_summary import with_quality
from percuss.evaluate.instances import components, count_instances

Map = np.ndarray[Any, np.dtype[np.uint8]]


def truth_of(rng: np.random.Generator, side: int, classes: int) -> tuple[Map, np.ndarray[Any, Any]]:
    """A class map of round nuclei and their numbers."""
    up, across = np.mgrid[:side, :side]
    found, numbers = np.zeros((side, side), np.uint8), np.zeros((side, side), np.int32)
    for number in range(1, 10):
        y, x = rng.integers(4, side - 4, 2)
        disc = (up - y) ** 2 + (across - x) ** 2 < (side / 11 + rng.random() * side / 24) ** 2
        found[disc], numbers[disc] = rng.integers(1, max(classes - 1, 2)), number
    return found, numbers


def decided(truth: Map, strength: float, rng: np.random.Generator) -> Map:
    """A decision that loses rims, then whole nuclei, and invents some, as the strength grows from 0 to 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=truth.shape), 3)
    noise /= noise.std()
    found = truth.copy()
    found[(truth > 0) & (noise < 4 * strength - 2.2)] = 0
    found[(truth == 0) & (noise > 3.4 - 2 * strength)] = 1
    swap = (truth == 1) & (noise > 2 - strength)
    found[swap & (truth.max() > 1)] = 2
    return found


def mask_tables(folder: Path, fake: Any) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """clean, rows and dense tables of a run of class maps; writes its images and maps."""
    rng = np.random.default_rng(11)
    cases = [truth_of(rng, fake.side, len(fake.classes)) for _ in range(fake.n)]
    if fake.n > 3:
        cases[3] = (np.zeros_like(cases[3][0]), np.zeros_like(cases[3][1]))
    ids = [f"{fake.id_prefix}{i:04d}" for i in range(fake.n)]
    base = {"id": ids, "group": [f"p{i % 24}" for i in range(fake.n)]}
    maps = {("clean", "", "", 0.0, "stored"): [decided(truth, 0.05, rng) for truth, _ in cases]}
    size = {name: 1.0 for name in fake.attacks} | {"fgsm": 0.5, "noise": 0.02}
    for attack in fake.attacks:
        for name in fake.budgets:
            budget = parse_budget(name)
            eps = budget.eps((3, 32, 32))
            for state in ("float", "stored"):
                grown = min(1.0, size[attack] * min(eps, 0.05) * 255 / (4 * fake.hardness))
                grown = 0.05 + grown if state == "float" or eps * 255 >= 0.99 else 0.05
                maps[attack, str(budget.norm), name, eps, state] = [decided(t, grown, rng) for t, _ in cases]
    parts = []
    for (attack, norm, budget, eps, state), found in maps.items():
        pairs = torch.from_numpy(np.stack(found)), torch.from_numpy(np.stack([truth for truth, _ in cases]))
        tables = confusion(*pairs, len(fake.classes)).flatten(1).tolist()
        counts = [vars(count_instances(components(one), case[1])) for one, case in zip(found, cases, strict=True)]
        what = {
            "attack": attack,
            "norm": norm,
            "budget": budget,
            "eps": eps,
            "state": state,
            "loss": 0.3 + 9 * min(eps, 0.8),
            "linf": min(eps, 0.8),
        }
        parts.append(pd.DataFrame(base | {"pixels": tables}).assign(**what).join(pd.DataFrame(counts)))
    dense = with_quality(pd.concat(parts, ignore_index=True), classes=len(fake.classes))
    clean, rows = _rows(dense, [text(torch.from_numpy(truth)) for truth, _ in cases])
    _pictures(folder, fake, rows, (cases, maps, rng))
    return clean, rows, dense.drop(columns="quality")


def _rows(dense: pd.DataFrame, labels: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    clean = dense[dense["attack"] == "clean"][["id", "group", "quality"]].assign(
        label=labels, prediction=labels, confidence=0.9
    )
    clean["correct"] = clean["quality"] >= 0.5
    attacked = dense[dense["attack"] != "clean"]
    one, two = (attacked[attacked["state"] == state].reset_index(drop=True) for state in ("float", "stored"))
    known = clean.set_index("id").loc[one["id"]].reset_index()
    rows = one[["id", "group", "attack", "norm", "budget", "eps"]].assign(
        label=known["label"],
        clean_prediction=known["prediction"],
        clean_confidence=known["confidence"],
        correct=known["correct"],
        success=known["correct"] & (one["quality"] < 0.5),
        success_stored=known["correct"] & (two["quality"] < 0.5),
        confidence=0.7,
        prediction="0|1",
        margin=0.5 - one["quality"],
        gradient_evaluations=40,
        model_evaluations=42,
        carried=False,
        image="",
        image_sha256="",
        **dict.fromkeys(("linf", "l2", "l1", "l0"), 0.01),
    )
    return clean, rows[list(COLUMNS)]


def _pictures(folder: Path, fake: Any, rows: pd.DataFrame, made: tuple[Any, ...]) -> None:
    cases, maps, rng = made
    if not fake.images:
        return
    for part in ("images/original", "images/attacked", "maps/truth", "maps/clean", "maps/linf"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    strongest = [attack for attack in fake.attacks if attack != "noise"][-1]
    pick = rows[(rows["attack"] == strongest) & rows["correct"] & (rows["norm"] == "linf")]
    first = pick.sort_values(["success_stored", "eps"], ascending=[False, True], kind="stable").drop_duplicates("id")
    for index, row in first.iterrows():
        place, name = int(row["id"][-4:]), str(row["id"]).replace("/", "__")
        clean = texture(rng, fake.side, False)
        attacked = np.clip(clean.astype(int) + rng.choice([-2, 0, 2], size=clean.shape), 0, 255).astype(np.uint8)
        after = maps[strongest, row["norm"], row["budget"], row["eps"], "stored"][place]
        files = {
            f"images/original/{name}.png": clean,
            f"images/attacked/{name}.png": attacked,
            f"maps/truth/{name}.png": cases[place][0],
            f"maps/clean/{name}.png": maps["clean", "", "", 0.0, "stored"][place],
            f"maps/linf/{name}.png": after,
        }
        for file, values in files.items():
            Image.fromarray(values).save(folder / file)
        rows.loc[index, "image"] = f"images/attacked/{name}.png"
