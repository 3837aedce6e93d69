"""The page of a universal change: success on seen and unseen images, per class, where flips go, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from percuss.core.outcome import Finding
from percuss.core.universal import Spread, Tally
from percuss.report.numbers import counted, decimal, percent, share
from percuss.report.sections import Section, Table

HEAD = ("split", "images", "flipped", "as float", "as stored", "noise", "noise, stored", "still right, of all")


def sections(
    found: Sequence[Tally],
    *,
    opening: Sequence[str],
    findings: Sequence[Finding],
    pictures: Sequence[tuple[str, str]],
    tables: Sequence[Table],
) -> list[Section]:
    """The parts of the page; ``tables`` stand at the end."""
    explain = (
        "Flipped: share of the images that the model had right before and has wrong with the change added (values cut "
        "to the range). As stored: the same once the images are rounded to their native depth. Noise: the same values "
        "at shuffled places with random signs, drawn for each image, so that every size is the same.",
    )
    return [
        Section(
            "How often does one change flip all images?",
            tuple(opening),
            tuple(findings),
            tables=(*([areas_table({"": found})] if found[0].auc_pr else []), table(found)),
        ),
        Section("What was counted", explain),
        Section("The change", pictures=tuple(pictures)),
        Section("More numbers", tables=tuple(tables)),
    ]


def table(found: Sequence[Tally]) -> Table:
    """Every count, split by split."""
    body = []
    for item in found:
        number = "–" if item.robust is None else counted(item.success)
        cells = [item.success, item.success_stored, item.noise, item.noise_stored]
        last = "–" if item.robust is None else share(item.robust)
        body.append((item.split, item.name, number, *(share(cell) for cell in cells), last))
    return Table(HEAD, tuple(body), words=2)


def moves_table(split: str, matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Table:
    """Where the images that were right go."""
    body = tuple((name, *map(str, row)) for name, row in zip(classes, matrix, strict=True))
    return Table(("true class", *classes), body, caption=f"{split}: decision with the change, of images right before")


def dice_table(found: Sequence[Tally]) -> Table:
    """Of masks: the mean Dice coefficient in every state, for all images and each class."""
    body = []
    for item in found:
        cells = (item.dice, item.dice_after, item.dice_stored, item.dice_noise)
        shown = [decimal(cell) for cell in cells if cell is not None]
        if shown:
            body.append((item.split, item.name, *shown))
    head = ("split", "images", "without", "with the change", "as stored", "with noise")
    caption = "mean Dice: of all images over the classes each holds, of a class over the images that hold it"
    return Table(head, tuple(body), words=2, caption=caption)


def areas_table(found: Mapping[str, Sequence[Tally]]) -> Table:
    """Of heat maps: AUC-PR in every state, by who judges (empty for the model that the change was made on alone)."""
    body = []
    for name, items in found.items():
        for item in items:
            cells = (item.auc_pr, item.auc_pr_after, item.auc_pr_stored, item.auc_pr_noise, item.auc_pr_lost)
            shown = [decimal(cell) for cell in cells if cell is not None]
            null = "–" if item.null is None else f"{item.null:.3f}"
            body += [(*([name] if name else []), item.split, null, *shown)] if shown else []
    head = ("split", "null model", "without", "with the change", "as stored", "with noise", "noise less change")
    judged = ("judged by",) if any(found) else ()
    caption = "AUC-PR of all judged cells together; the last column is paired over slides"
    return Table((*judged, *head), tuple(body), words=1 + len(judged), caption=caption)


def judges_table(found: Mapping[str, Sequence[Tally]]) -> Table:
    """What the change does to other models, each counted on the images that it has right itself."""
    body = tuple((name, *row) for name, items in found.items() for row in table(items).body)
    caption = "the same change, judged by models that it was not made on"
    return Table(("judged by", *HEAD), body, words=3, caption=caption)


def seeds_table(found: Sequence[Spread]) -> Table:
    """Shares flipped over changes made with different seeds."""
    body = tuple(
        (item.split, item.name, *(_spread(cell) for cell in (item.success, item.success_stored, item.noise)))
        for item in found
    )
    count = max((int(item.success["seeds"] or 0) for item in found), default=0)
    areas = [item for item in found if item.auc_pr_after is not None]
    body += tuple((item.split, "AUC-PR with the change", _area(item), "–", "–") for item in areas)
    caption = f"flipped: mean ± standard deviation (range) over {count} changes, each made with a seed of its own"
    return Table(("split", "images", "as float", "as stored", "noise"), body, words=2, caption=caption)


def _area(item: Spread) -> str:
    cell = item.auc_pr_after or {"mean": None}
    if cell["mean"] is None:
        return "–"
    sd = "" if cell["sd"] is None else f" ± {cell['sd']:.3f}"
    return f"{cell['mean']:.3f}{sd} ({cell['least']:.3f} to {cell['most']:.3f})"


def _spread(cell: Mapping[str, float | None]) -> str:
    if cell["mean"] is None:
        return "–"
    mean, sd, least, most = (percent(cell[name], sign=False) for name in ("mean", "sd", "least", "most"))
    return f"{mean}{'' if cell['sd'] is None else f' ± {sd}'} % ({least} to {most})"
