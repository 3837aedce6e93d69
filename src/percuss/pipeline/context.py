"""What a run says beside its rows: data, model, threat model, what was not tested, findings of the pipeline."""

from __future__ import annotations

from typing import Any

import pandas as pd

from percuss.attacks.codes import EMPTY_CODE
from percuss.attacks.foreign import LEFT_OUT
from percuss.core.budget import Norm
from percuss.core.class_maps import EMPTY
from percuss.core.images import DENSE, BadImage
from percuss.core.outcome import Finding
from percuss.evaluate.curves import CONTROLS
from percuss.evaluate.masking import suite_questions
from percuss.pipeline import environment
from percuss.pipeline.parts import Work
from percuss.pipeline.plan import AuditPlan
from percuss.pipeline.resolution import other_resolution

WHITE_BOX = "full: the attacker has the model with its weights (white box)"


def own_findings(work: Work, bad: list[BadImage], parts: list[pd.DataFrame]) -> list[Finding]:
    """Images left out, random weights, and batches that had to shrink."""
    found = []
    if bad:
        found.append(
            Finding(
                "bad-images",
                "warning",
                f"{len(bad)} of {len(work.chosen.ids)} images could not be used and were left out, first {bad[0].id}: "
                f"{bad[0].reason}",
                {"n_bad": len(bad), "n": len(work.chosen.ids)},
            )
        )
    if work.model.info.weights == "random":
        found.append(
            Finding(
                "random-weights",
                "severe",
                "The model has random weights: it was never trained, so its robustness says nothing.",
                {"weights": work.model.info.weights},
            )
        )
    found += _silence(work, parts) + suite_questions([part for part in parts if _is_suite(part)])
    every = [str(note) for part in parts for note in part.attrs.get("notes", ())]
    found += _left_out([note for note in every if note.endswith(LEFT_OUT)])
    found += _curve_on_masks(work) + _empty_codes(every) + other_resolution(work.plan.model, work.chosen.images)
    notes = [note for note in every if "out of memory" in note]
    if notes:
        found.append(
            Finding(
                "smaller-batch",
                "info",
                f"Memory ran out {len(notes)} times; the batches were made smaller. Results do not depend on it.",
                {"times": len(notes), "first": notes[0]},
            )
        )
    return found


def noted_images(noted: list[dict[str, list[str]]]) -> list[Finding]:
    """One finding that counts the images by what they are noted for, from the notes of each portion.

    Images that show nothing but background have a finding of their own (``no-nuclei-images``).
    """
    found: dict[str, list[str]] = {}
    for part in noted:
        for note, names in part.items():
            if note == EMPTY:
                continue
            found.setdefault(note, []).extend(names)
    if not found:
        return []
    text = "; ".join(f"{note} in {len(names)} images, first {names[0]}" for note, names in sorted(found.items()))
    counts = {note: len(names) for note, names in sorted(found.items())}
    return [Finding("noted-images", "info", f"Images that were kept, with a note: {text}.", counts)]


def _curve_on_masks(work: Work) -> list[Finding]:
    """What the attack curve does not look for."""
    if work.model.task not in DENSE or "curve" not in work.plan.attacks:
        return []
    text = (
        f"The attack curve looks for the smallest change that takes a {_map(work)} below a Dice of 0.5 and goes no "
        f"further: its {_map(work)}s are not the worst at their size, and what was below before is left alone."
    )
    return [Finding("curve-on-masks", "info", text, {"attacks": list(work.plan.attacks)})]


def _map(work: Work) -> str:
    return "heat map" if work.model.task == "heatmap" else "mask"


def _empty_codes(notes: list[str]) -> list[Finding]:
    """Images that attacks on a code could not change."""
    names = sorted({note.removesuffix(f": {EMPTY_CODE}") for note in notes if note.endswith(EMPTY_CODE)})
    if not names:
        return []
    text = (
        f"The code of {len(names)} images has no active unit, first {names[0]}: attacks on the code left them as they "
        "were, which says nothing of their robustness."
    )
    return [Finding("empty-code", "warning", text, {"images": len(names), "ids": names[:20]})]


def _left_out(notes: list[str]) -> list[Finding]:
    """What attacks not of Percuss gave and the engine refused."""
    if not notes:
        return []
    return [
        Finding(
            "foreign-breach",
            "warning",
            f"An attack that is not of Percuss left budget or range, or gave NaN, and was refused {len(notes)} times, "
            f"first: {notes[0]}. It may be stronger than its curve shows.",
            {"times": len(notes), "first": notes[0]},
        )
    ]


#: Attacks whose gradient is a stand-in's: that it is zero says nothing where another attack asks for the model's own.
_STAND_INS = frozenset({"unrolled", "straight_through"})


def _silence(work: Work, parts: list[pd.DataFrame]) -> list[Finding]:
    """Images whose gradient was zero whenever an attack asked: nothing can be said of them by following gradients."""
    own = [part for part in parts if part["attack"].iloc[0] not in _STAND_INS]
    asked = own if any(part["attack"].iloc[0] not in CONTROLS for part in own) else parts
    silent = {str(name) for part in asked for name in part.attrs.get("silent", ())}
    attacked = {str(name) for part in parts for name in part.loc[part["correct"] | _tireless(work), "id"]}
    if not silent:
        return []
    return [
        Finding(
            "no-gradient-images",
            "severe" if len(silent) > 0.01 * len(attacked) else "warning",
            f"On {len(silent)} of {len(attacked)} images an attack got no gradient at all, first {min(silent)}: "
            "that they did not flip says nothing, and the curve may look better than the model is.",
            {"images_without_gradient": len(silent), "images": len(attacked), "ids": sorted(silent)[:20]},
        )
    ]


def _tireless(work: Work) -> bool:
    """Whether images are attacked that were wrong before: maps can always get worse."""
    return work.model.task in DENSE


def _is_suite(part: pd.DataFrame) -> bool:
    return bool(part["attack"].iloc[0] == "standard")


def describe(work: Work, clean: pd.DataFrame, bad: list[BadImage], *, command: str) -> dict[str, Any]:
    """The context of the results, as plain values by the names of ``core.results.Results``."""
    plan, chosen, model = work.plan, work.chosen, work.model
    groups = set(clean["group"]) - {""}
    identity = work.folder.manifest["identity"]
    return {
        "percuss_version": environment.version(),
        "seed": plan.seed,
        "protocol": plan.protocol,
        "data": {
            "spec": plan.data,
            "split": chosen.split,
            "task": chosen.images.task,
            "classes": list(chosen.images.classes),
            "n_images": len(clean),
            "n_groups": len(groups) if groups and not (clean["group"] == "").any() else None,
            "n_bad": len(bad),
            "bad": [{"id": item.id, "reason": item.reason} for item in bad],
            "dropped": dict(chosen.images.dropped),
            "shape": list(chosen.shape),
            "unit": chosen.pixels.unit,
            "levels": chosen.pixels.levels,
            "window": [chosen.pixels.low, chosen.pixels.high],
            "sha256": identity["images (--data, --split, --limit)"],
        },
        "model": {
            "spec": plan.model,
            "weights": model.info.weights,
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "classes": list(model.classes),
            "channels": model.info.channels,
            "sha256": identity["model (--model, --weights)"],
        },
        "threat_model": threat_model(plan, model.info.spec),
        "not_tested": not_tested(plan),
        "attacks": [{"name": name, **work.settings(name)} for name in plan.attacks],
        "budgets": list(plan.budgets),
        "environment": environment.describe(work.device) | ({"command": command} if command else {}),
        "require": list(plan.require),
        "not_exhaustive": [name for name in chosen.images.partial if name in groups],
    }


def threat_model(plan: AuditPlan, spec: str = "") -> dict[str, str]:
    """Who is assumed to attack, with what; ``spec`` is the model's own, which says what lies before its network."""
    aim = "any wrong decision (untargeted)" if plan.protocol == "corrected" else "any other decision than its own"
    if any("target" in plan.attack_settings(name) for name in plan.attacks):
        aim = "a chosen wrong decision (targeted)"
    if set(plan.attacks) - CONTROLS and set(plan.attacks) - CONTROLS <= {"remove", "hallucinate"}:
        aim = "one class removed from the mask, or invented in it; everything else stays"
    sure = f", with a probability of at least {plan.confidence:g}" if plan.confidence else ""
    where = f" inside the region {plan.region}" if plan.region else ""
    depth = "its native depth" + (", among which the attacks search" if plan.rounding == "native" else "")
    return {
        "goal": aim + sure,
        "knowledge": "none: changes are random" if set(plan.attacks) <= CONTROLS else WHITE_BOX,
        "capability": f"changes pixels of the image{where} within {', '.join(plan.budgets)}{_place(plan, spec)}",
        "judged": f"on the image in full precision, and as stored in {depth}",
        "scope": "evasion when the model is used (NIST AI 100-2 evasion; MITRE ATLAS AML.T0043)",
    }


def _place(plan: AuditPlan, spec: str) -> str:
    """Where the change is made, before or after the preparation of X-rays; empty where there is none."""
    fronts = [name for name in ("stretched", "sharpened") if name in spec.split(":")[:-1]]
    done = {"stretched": "stretch=yes", "sharpened": "sharpen=yes"}
    after = [name for name, option in done.items() if option in plan.data.rpartition("?")[2].split("&")]
    words = [f"before they are {' and '.join(fronts)} inside the model"] if fronts else []
    words += [f"after they were {' and '.join(after)}"] if after else []
    return f", {', and '.join(words)}" if words else ""


def not_tested(plan: AuditPlan) -> list[str]:
    """What the numbers say nothing about."""
    norms = {norm.value for norm in plan.by_norm()}
    missing = [norm.value for norm in Norm if norm.value not in norms and norm is not Norm.NONE]
    found = [f"changes measured in {', '.join(missing)}"] if missing else []
    return [
        *found,
        "attacks without access to the model (black box), and adaptive ones made for this model",
        "changes that keep the tissue or anatomy plausible, such as stain, blur, rotation or contrast",
        "lossy storage (JPEG) of the attacked images",
        "images of other scanners, sites or patients than these",
        "poisoned training data and tampered weights",
    ]
