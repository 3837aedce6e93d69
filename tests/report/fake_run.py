"""A plausible finished run folder, made without model or attack, for the tests of the report."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from fake_heat import heat_tables
from fake_masks import mask_tables
from fake_parts import texture, wilson
from PIL import Image

from percuss.core.budget import parse_budget
from percuss.core.outcome import COLUMNS
from percuss.core.results import Interval, Results
from percuss.evaluate.dense_summary import dense_summary
from percuss.evaluate.summary import summarise
from percuss.report.schema import write_results


@dataclass(frozen=True)
class Fake:
    """What the run should look like."""

    n: int = 96
    budgets: tuple[str, ...] = ("linf=0.25/255", "linf=0.5/255", "linf=1/255", "linf=2/255", "linf=4/255", "linf=8/255")
    attacks: tuple[str, ...] = ("fgsm", "pgd", "noise")
    hardness: float = 1.0  # median flipping size in grey levels (linf) or in the first budget's size (others)
    classes: tuple[str, ...] = ("normal", "tumour")
    task: str = "classify"
    side: int = 96
    sixteen: bool = False
    images: bool = True
    auc: bool = True
    patients: int | None = 24
    findings: tuple[tuple[str, str, str], ...] = (
        ("stored-survival", "warning", "Of 95 flips found as float, 3 do not survive rounding to 8 bit."),
        ("gradient-zero-share", "info", "0.2 % of the gradient values are exactly zero."),
    )
    id_prefix: str = "slide/patch-"
    requirements: tuple[dict[str, object], ...] = ()


def build(folder: Path, fake: Fake = Fake()) -> Path:
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)
    if fake.task == "segment":
        clean, rows, dense = mask_tables(folder, fake)
        dense.to_parquet(folder / "dense.parquet")
        masks = dense_summary(dense, classes=fake.classes, seed=0)
        numbers = summarise(rows, clean, classes=fake.classes, task="segment", dense=masks)
        update = {"dense": masks, "clean": numbers.clean, "curves": numbers.curves, "sensitivity": numbers.sensitivity}
    elif fake.task == "heatmap":
        clean, rows, dense, heat = heat_tables(folder, fake)
        dense.to_parquet(folder / "dense.parquet")
        masks = dense_summary(dense, classes=fake.classes, seed=0)
        numbers = summarise(rows, clean, classes=fake.classes, task="heatmap", dense=masks)
        update = {"clean": numbers.clean, "curves": numbers.curves, "sensitivity": numbers.sensitivity}
        update |= {"dense": masks, "heat": heat}
    else:
        clean = _clean(fake, rng)
        rows = _rows(fake, clean, rng)
        update = {}
        if fake.images:
            _images(folder, fake, rows, rng)
    clean.to_parquet(folder / "clean.parquet")
    rows.to_parquet(folder / "rows.parquet")
    write_results(_results(fake, clean, rows).model_copy(update=update), folder / "results.json")
    return folder


def _clean(fake: Fake, rng: np.random.Generator) -> pd.DataFrame:
    many = len(fake.classes)
    rows = []
    for i in range(fake.n):
        right = fake.n < 3 or rng.random() < 0.94
        if fake.task == "multilabel":
            label = "".join(str(int(bit)) for bit in rng.random(many) < 0.4)
            decision = label if right else label[:-1] + str(1 - int(label[-1]))
        else:
            truth = i % many
            label, decision = str(truth), str(truth if right else (truth + 1) % many)
        rows.append(
            {
                "id": f"{fake.id_prefix}{i:04d}",
                "group": f"p{i % 24}",
                "label": label,
                "prediction": decision,
                "confidence": float(0.6 + 0.4 * rng.random()),
                "correct": right,
                **{f"score_{k}": float(rng.normal()) for k in range(many)},
            }
        )
    return pd.DataFrame(rows)


def _rows(fake: Fake, clean: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    size = {name: 1.0 for name in fake.attacks} | {"fgsm": 1.7, "noise": 60.0}
    found = []
    first = {b.norm: b.eps((3, 32, 32)) for b in map(parse_budget, reversed(fake.budgets))}
    for case in clean.to_dict("records"):
        need = fake.hardness * float(np.exp(rng.normal() * 0.8))
        for attack in fake.attacks:
            for text in fake.budgets:
                budget = parse_budget(text)
                eps = budget.eps((3, 32, 32))
                scale = 1 / 255 if budget.norm == "linf" else first[budget.norm] if math.isfinite(eps) else 1
                flip = bool(case["correct"] and eps >= need * size[attack] * scale)
                kept = flip and (budget.norm != "linf" or eps * 255 >= 0.99) and rng.random() < 0.98
                other = (
                    str((int(case["label"]) + 1) % len(fake.classes))
                    if fake.task == "classify"
                    else case["label"][::-1]
                )
                found.append(
                    {
                        "id": case["id"],
                        "group": case["group"],
                        "label": case["label"],
                        "clean_prediction": case["prediction"],
                        "clean_confidence": case["confidence"],
                        "correct": case["correct"],
                        "attack": attack,
                        "norm": str(budget.norm),
                        "budget": text,
                        "eps": eps,
                        "success": flip,
                        "success_stored": kept,
                        "linf": min(eps, 1),
                        "l2": 0.1,
                        "l1": 3.0,
                        "l0": 0.9,
                        "confidence": 0.5 + 0.5 * float(rng.random()),
                        "prediction": other if flip else case["prediction"],
                        "margin": 0.3,
                        "gradient_evaluations": 1 if attack == "fgsm" else 40,
                        "model_evaluations": 42,
                        "carried": False,
                        "image": "",
                        "image_sha256": "",
                    }
                )
    return pd.DataFrame(found, columns=list(COLUMNS))


def _images(folder: Path, fake: Fake, rows: pd.DataFrame, rng: np.random.Generator) -> None:
    for part in ("original", "attacked"):
        (folder / "images" / part).mkdir(parents=True, exist_ok=True)
    strongest = [a for a in fake.attacks if a != "noise"][-1]
    pick = rows[(rows["attack"] == strongest) & rows["correct"]]
    first = pick.sort_values(["success_stored", "eps"], ascending=[False, True], kind="stable").drop_duplicates("id")
    for index, row in first.head(60).iterrows():
        name = str(row["id"]).replace("/", "__")
        clean = texture(rng, fake.side, fake.sixteen)
        top = 65535 if fake.sixteen else 255
        step = max(1, round(min(float(row["eps"]), 0.03) * top))
        attacked = np.clip(clean.astype(int) + rng.choice([-step, 0, step], size=clean.shape), 0, top).astype(
            clean.dtype
        )
        Image.fromarray(clean).save(folder / "images" / "original" / f"{name}.png")
        path = folder / "images" / "attacked" / f"{name}.png"
        Image.fromarray(attacked).save(path)
        rows.loc[index, "image"] = path.relative_to(folder).as_posix()
        rows.loc[index, "image_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()


def _results(fake: Fake, clean: pd.DataFrame, rows: pd.DataFrame) -> Results:
    none = Interval(value=None, low=None, high=None, n=0, method="")
    right = int(clean["correct"].sum())
    curves, eps_of = [], {}
    proper = [a for a in fake.attacks if a != "noise"]
    for attack in (*(("worst",) if set(fake.attacks) - {"noise"} else ()), *fake.attacks):
        for text in fake.budgets:
            budget = parse_budget(text)
            eps = budget.eps((3, 32, 32))
            eps_of[text] = eps
            part = rows[
                (rows["attack"].isin(proper) if attack == "worst" else rows["attack"] == attack)
                & (rows["norm"] == str(budget.norm))
                & (rows["eps"] <= eps)
            ]
            hit = int(part.groupby("id")["success"].any().sum())
            kept = int(part.groupby("id")["success_stored"].any().sum())
            curves.append(
                {
                    "attack": attack,
                    "norm": str(budget.norm),
                    "budget": text,
                    "eps": eps if math.isfinite(eps) else None,
                    "robust_accuracy": wilson(right - hit, fake.n),
                    "robust_accuracy_stored": wilson(right - kept, fake.n),
                    "success_rate": wilson(hit, right),
                    "success_rate_stored": wilson(kept, right),
                    "confidence_change": Interval(value=-0.62, low=-0.7, high=-0.5, n=right, method="bootstrap, 95 %"),
                    "median_gradient_evaluations": 40.0,
                }
            )
    many = len(fake.classes)
    confusion = [
        [int(((clean["label"] == str(t)) & (clean["prediction"] == str(p))).sum()) for p in range(many)]
        for t in range(many)
    ]
    multi = fake.task == "multilabel"
    per_class = {
        name: wilson(int(clean["correct"][i::many].sum()), len(clean[i::many])) for i, name in enumerate(fake.classes)
    }
    return Results.model_validate(
        {
            "percuss_version": "0.1.0",
            "run_id": "3f2a9c1d77b04be2",
            "started": "2026-11-21T03:00:00Z",
            "finished": "2026-11-21T03:04:10Z",
            "seconds": 250.2,
            "seed": 0,
            "protocol": "standard",
            "data": {
                "spec": "folder:pcam_patches",
                "split": "test",
                "task": fake.task,
                "classes": list(fake.classes),
                "n_images": fake.n,
                "n_groups": fake.patients,
                "n_bad": 1,
                "bad": [{"id": "broken.png", "reason": "truncated"}],
                "shape": [1 if fake.sixteen else 3, fake.side, fake.side],
                "unit": "grey level",
                "levels": 65535 if fake.sixteen else 255,
                "sha256": "ab" * 32,
            },
            "model": {
                "spec": "timm:resnet18",
                "weights": "model.safetensors",
                "parameters": 11177538,
                "classes": list(fake.classes),
                "channels": 3,
                "sha256": "cd" * 32,
            },
            "threat_model": {
                "goal": "any wrong decision (untargeted)",
                "knowledge": "full: the attacker has model and weights (white box)",
                "capability": "changes pixels of the stored image within the stated size",
                "scope": "NISTAML.022 Evasion; ATLAS T0043",
            },
            "attacks": [
                {"name": a, "steps": 1 if a == "fgsm" else 40, "restarts": 1, "step_size": None, "loss": "margin"}
                for a in fake.attacks
            ],
            "budgets": list(fake.budgets),
            "clean": {
                "accuracy": wilson(right, fake.n),
                "balanced_accuracy": wilson(right, fake.n),
                "auc": Interval(
                    value=0.987, low=0.961, high=0.998, n=fake.n, method="patient-cluster bootstrap, 24 clusters, 95 %"
                )
                if fake.auc
                else none,
                "confusion": None if multi else confusion,
                "per_class": per_class,
            },
            "curves": curves,
            "sensitivity": [
                _sensitivity(norm, stored, rows, right)
                for norm in dict.fromkeys(str(parse_budget(b).norm) for b in fake.budgets)
                for stored in (False, True)
            ],
            "findings": [
                {"id": i, "severity": s, "message": m, "evidence": {"n": 95, "lost": 3}} for i, s, m in fake.findings
            ],
            "not_tested": [
                "attacks without access to the model (black box)",
                "changes that keep the tissue plausible, such as stain or blur",
                "JPEG storage",
                "other scanners or sites",
            ],
            "environment": {"python": "3.11.9", "torch": "2.8.0", "device": "cpu", "os": "Linux"},
            "requirements": list(fake.requirements),
        }
    )


def _sensitivity(norm: str, stored: bool, rows: pd.DataFrame, right: int) -> dict[str, object]:
    part = rows[(rows["norm"] == norm) & (rows["attack"] != "noise")]
    first = part[part["success_stored" if stored else "success"]].groupby("id")["eps"].min()
    sizes = sorted([*first.tolist(), *[math.inf] * (right - len(first))])
    quartiles = [sizes[min(int(q * right), right - 1)] if right else math.inf for q in (0.25, 0.5, 0.75)]
    largest = part["eps"].max()
    return {
        "norm": norm,
        "stored": stored,
        "n_correct": right,
        "n_flipped": len(first),
        "n_censored": right - len(first),
        "quartiles": [q if math.isfinite(q) else None for q in quartiles],
        "largest_tried": float(largest) if math.isfinite(largest) else None,
    }
