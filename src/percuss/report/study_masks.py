"""Pictures of a study's masks: truth, decisions before and after an attack, and where these differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from percuss.core.errors import RunError
from percuss.core.results import Results
from percuss.report import masks
from percuss.report import rows as table
from percuss.report.mask_rows import load_masks, with_dice
from percuss.report.numbers import absolute_text
from percuss.report.schema import read_results
from percuss.report.sections import Panel
from percuss.report.study_pictures import eight, middle, opened, png_of
from percuss.store.png import slug


def mask_panels(name: str, folder: Path, cases: int) -> list[Panel]:
    """Images of an audit of class maps with truth, decision before and after, and their difference.

    Flips from the middle of the order of sizes, each norm in turn; other images where nothing was flipped. RunError
    where the audit judged no class maps.
    """
    results = read_results(folder / "results.json")
    if results.dense is None:
        raise RunError("the audit judged no class maps", value=results.data.spec)
    outcome, _ = table.load(folder)
    outcome = with_dice(outcome, load_masks(folder, len(results.data.classes)))
    chosen = [middle(table.choose(outcome, norm, results.run_id)) for norm in table.norms(outcome)]
    turns = [shown[turn] for turn in range(cases) for shown in chosen if turn < len(shown)]
    return [_panel(name, folder, item.row, results) for item in turns[:cases]]


def _panel(name: str, folder: Path, row: dict[str, Any], results: Results) -> Panel:
    data, file = results.data, f"{slug(str(row['id']))}.png"
    clean = opened(folder / "images" / "original" / file)
    attacked = opened(folder / str(row["image"]))
    base = masks.grey(clean, data.levels)
    truth, before, after = (opened(folder / "maps" / part / file) for part in ("truth", "clean", str(row["norm"])))
    size = absolute_text(str(row["norm"]), float(row["eps"]), data)
    words = f"Dice {row['clean_dice']:.3f} before, {row['dice_stored']:.3f} after"
    pictures = (
        ("image", png_of(eight(clean, data.levels))),
        (f"attacked, {size}", png_of(eight(attacked, data.levels))),
        ("truth", masks.overlay(base, truth)),
        (f"before: Dice {row['clean_dice']:.3f}", masks.overlay(base, before)),
        (f"after: Dice {row['dice_stored']:.3f}", masks.overlay(base, after)),
        ("before against after", masks.fate(base, before, after)),
    )
    said = ", ".join(f"{thing} in {word}" for thing, word in masks.colour_words(data.classes))
    fate = "difference: removed in orange, hallucinated in light blue, another class in yellow"
    return Panel(
        f"{name}: {row['id']}, {row['attack']}, {row['budget']}; {words}", None, pictures, (f"{said}; {fate}.",)
    )
