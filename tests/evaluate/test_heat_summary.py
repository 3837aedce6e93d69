"""The heat part of results.json from a table made by hand: pooled numbers, the worst of all, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from percuss.core.errors import RunError
from percuss.evaluate.heat_summary import heat_summary

RNG = np.random.default_rng(5)
TRUTH = (RNG.random((6, 8, 8)) < 0.3).astype(np.uint8)
TRUTH[0, :2] = 255
TRUTH[5] = 0
BASE = RNG.normal(size=TRUTH.shape) + 2.0 * (TRUTH == 1)


def loss(scores, truth):
    kept = truth != 255
    sign = np.where(truth == 1, 1.0, -1.0)
    return float(np.logaddexp(0, -sign * scores)[kept].mean())


def rows(scores, *, attack="clean", norm="", budget="", eps=0.0, state="stored"):
    half = scores.astype("<f2")
    return pd.DataFrame(
        {
            "id": [f"i{k}" for k in range(len(half))],
            "group": [f"s{k // 2}" for k in range(len(half))],
            "attack": attack,
            "norm": norm,
            "budget": budget,
            "eps": eps,
            "state": state,
            "loss": [loss(item, truth) for item, truth in zip(scores, TRUTH, strict=True)],
            "shape": [list(item.shape) for item in half],
            "scores": [item.tobytes() for item in half],
            "truth": [item.tobytes() if attack == "clean" else b"" for item in TRUTH],
        }
    )


def lowered(size, seed=0):
    noise = np.random.default_rng(seed).normal(size=BASE.shape)
    return BASE - size * (TRUTH == 1) + 0.3 * noise


def exact(scores):
    kept = TRUTH != 255
    return average_precision_score(TRUTH[kept], scores.astype(np.float16)[kept].astype(np.float64))


def table(*extra):
    parts = [rows(BASE)]
    for attack, budget, eps, seed in (("pgd", "l2=1", 1.0, 1), ("pgd", "l2=2", 2.0, 2), ("apgd", "l2=2", 2.0, 3)):
        for state in ("float", "stored"):
            parts.append(rows(lowered(eps, seed), attack=attack, norm="l2", budget=budget, eps=eps, state=state))
    parts.append(rows(lowered(9.0), attack="noise", norm="l2", budget="l2=2", eps=2.0))
    return pd.concat([*parts, *extra], ignore_index=True)


def of(heat, attack, budget, stored=True):
    (found,) = [p for p in heat.points if (p.attack, p.budget, p.stored) == (attack, budget, stored)]
    return found


def test_every_point_is_what_a_library_counts():
    heat = heat_summary(table(), cell=4, seed=0)
    assert (heat.cell, heat.slides, heat.meaning, heat.not_exhaustive) == (4, 3, [], [])
    assert heat.clean.auc_pr.value == pytest.approx(exact(BASE)) and heat.clean.cells == int((TRUTH != 255).sum())
    assert heat.null == heat.clean.prevalence == pytest.approx((TRUTH == 1).sum() / (TRUTH != 255).sum())
    point = of(heat, "apgd", "l2=2")
    assert point.auc_pr.value == pytest.approx(exact(lowered(2.0, 3))) and point.eps == 2.0
    assert point.auc_pr_binned == pytest.approx(point.auc_pr.value, abs=0.01)
    assert point.auc_pr.low <= point.auc_pr.value <= point.auc_pr.high
    assert point.auc_pr.method.startswith("bootstrap over 3 slides")
    each = []
    for slide in range(3):
        pair = slice(2 * slide, 2 * slide + 2)
        kept = TRUTH[pair] != 255
        each.append(average_precision_score(TRUTH[pair][kept], lowered(2.0, 3).astype(np.float16)[pair][kept]))
    assert point.by_slide.value == pytest.approx(np.mean(each)) and point.by_slide.n == 3
    assert [p.attack for p in heat.points][-4:] == ["worst"] * 4


def test_worst_pools_the_map_of_highest_loss_of_each_image():
    heat, stored = heat_summary(table(), cell=4, seed=0), table()
    real = stored[(stored["norm"] == "l2") & (stored["attack"] != "noise") & (stored["state"] == "stored")]
    pick = real.sort_values("loss", ascending=False).drop_duplicates("id").sort_values("id")
    maps = np.stack([np.frombuffer(item, "<f2").reshape(8, 8) for item in pick["scores"]])
    worst = of(heat, "worst", "l2=2").auc_pr.value
    assert worst == pytest.approx(
        min(exact(maps), exact(lowered(2.0, 2)), exact(lowered(2.0, 3)), exact(lowered(1.0, 1)))
    )
    assert of(heat, "worst", "l2=1").auc_pr.value >= worst


def test_worst_is_a_single_attack_where_that_is_lower():
    """Its loss is lower, since all logits are small, but its order is the wrong way round."""
    sly = rows(-0.01 * BASE, attack="sly", norm="l2", budget="l2=2", eps=2.0)
    worst = of(heat_summary(table(sly), cell=4, seed=0), "worst", "l2=2")
    assert worst.auc_pr.value == pytest.approx(exact(-0.01 * BASE))


def test_worst_never_rises_with_the_size():
    """The sly map of the smaller size stays the lowest at the larger one."""
    sly = rows(-0.01 * BASE, attack="sly", norm="l2", budget="l2=1", eps=1.0)
    late = rows(lowered(0.0), attack="sly", norm="l2", budget="l2=2", eps=2.0)
    heat = heat_summary(table(sly, late), cell=4, seed=0)
    assert of(heat, "worst", "l2=2").auc_pr.value == of(heat, "worst", "l2=1").auc_pr.value


def test_noise_alone_has_no_worst_and_no_limit_has_no_size():
    only = pd.concat([rows(BASE), rows(lowered(1.0), attack="noise", norm="none", budget="none", eps=np.inf)])
    heat = heat_summary(only, cell=4, seed=0)
    assert [p.attack for p in heat.points] == ["noise"] and heat.points[0].eps is None


def test_no_tumour_anywhere_is_undefined_not_zero():
    clean = rows(BASE)
    clean["truth"] = [np.zeros((8, 8), np.uint8).tobytes()] * 6
    heat = heat_summary(clean, cell=4, seed=0)
    assert heat.clean.auc_pr.value is None and heat.null == 0 and heat.clean.by_slide.value is None


def test_what_does_not_fit_is_refused():
    whole = table()
    with pytest.raises(RunError, match="two rows"):
        heat_summary(pd.concat([whole, whole[5:6]]), cell=4, seed=0)
    with pytest.raises(RunError, match="no row of unattacked"):
        heat_summary(whole[whole["attack"] != "clean"], cell=4, seed=0)
    with pytest.raises(RunError, match="rows are missing.*has 5 of 6"):
        heat_summary(whole.drop(index=8), cell=4, seed=0)
    short = whole.copy()
    short.at[9, "scores"] = short.at[9, "scores"][:-2]
    with pytest.raises(RunError, match="do not fill its shape"):
        heat_summary(short, cell=4, seed=0)
