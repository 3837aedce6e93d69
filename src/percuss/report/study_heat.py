"""Pictures of a study's heat maps and codes: tiles before and after with their maps, kernels and features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from percuss.core.errors import RunError
from percuss.core.results import Results
from percuss.report import rows as table
from percuss.report.code_part import read_code
from percuss.report.gallery import difference
from percuss.report.heat_pictures import heat_pictures
from percuss.report.heat_rows import choose_heat, with_loss
from percuss.report.mask_rows import load_masks, with_dice
from percuss.report.numbers import visible_text
from percuss.report.schema import read_results
from percuss.report.sections import Panel
from percuss.report.study_pictures import eight, opened, png_of
from percuss.store.png import slug

#: Which tiles first: those from the middle, as the worst are no example and the best flatter.
_ORDER = ("middle", "most", "least", "normal")
#: Pictures of a code in one row.
_ROW = 4


def heat_panels(name: str, folder: Path, cases: int) -> list[Panel]:
    """Tiles of an audit of heat maps: before, after, amplified change, truth, heat map before and after.

    Tiles from the middle of the order of how far the loss rose, each norm in turn. RunError where the audit judged no
    heat maps.
    """
    results = read_results(folder / "results.json")
    if results.heat is None:
        raise RunError("the audit judged no heat maps", value=results.data.spec)
    outcome, _ = table.load(folder)
    maps = load_masks(folder, len(results.data.classes))
    outcome = with_loss(with_dice(outcome, maps), maps)
    chosen = [
        sorted(choose_heat(outcome, norm, results.run_id), key=lambda item: _ORDER.index(item.why))
        for norm in table.norms(outcome)
    ]
    turns = [shown[turn] for turn in range(cases) for shown in chosen if turn < len(shown)]
    return [_panel(name, folder, item.row, results) for item in turns[:cases]]


def _panel(name: str, folder: Path, row: dict[str, Any], results: Results) -> Panel:
    data, file = results.data, f"{slug(str(row['id']))}.png"
    clean, attacked = opened(folder / "images" / "original" / file), opened(folder / str(row["image"]))
    factor, signed = difference(clean, attacked, data)
    maps = heat_pictures(folder, str(row["id"]), str(row["norm"]), clean=clean, levels=data.levels)
    pictures = (
        ("tile", png_of(eight(clean, data.levels))),
        (f"attacked, {row['budget']}", png_of(eight(attacked, data.levels))),
        (f"difference, times {factor}", png_of(signed)),
        *((one.caption, one.png) for one in maps[:3]),
    )
    size = visible_text(str(row["norm"]), float(row["eps"]), data)
    title = f"{name}: {row['id']}, {row['attack']}, {row['budget']} ({size})"
    said = [f"{one.caption}: {one.note}" for one in maps[:3]]
    loss = f"loss {row['clean_loss']:.3f} before, {row['loss_stored']:.3f} after"
    scale = f"heat maps from 0 (dark) to 1 (bright), the probability of {data.classes[-1]}"
    return Panel(title, None, pictures, (f"{'; '.join(said)}; {loss}; {scale}.",))


def code_panels(name: str, folder: Path, _cases: int) -> list[Panel]:
    """The kernels of an audit's network with a code, and the code of one tile; none where it has no code."""
    found = read_code(folder)
    if found is None:
        return []
    code, kernels = folder / "code", found["kernels"]
    facts = "; ".join(f"{key}: {value}" for key, value in found["facts"])
    made = [Panel(name, None, ((str(kernels["caption"]), (code / kernels["file"]).read_bytes()),), (facts,), wide=True)]
    pictures = [(str(item["caption"]), (code / item["file"]).read_bytes()) for item in found["pictures"]]
    for start in range(0, len(pictures), _ROW):
        title = f"{name}: the code of {found['image']}" if not start else f"{name}, further"
        made.append(Panel(title, None, tuple(pictures[start : start + _ROW])))
    return made
