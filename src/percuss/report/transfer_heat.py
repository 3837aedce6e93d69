"""The page of a transfer matrix of heat maps: AUC-PR of the judged model, its drop, and all of it by size."""

from __future__ import annotations

from collections.abc import Sequence

from percuss.core.outcome import Finding
from percuss.core.results import Interval
from percuss.core.transfer import NOISE, TransferCell, TransferHeat
from percuss.report.numbers import UNDEFINED, decimal, percent, size_text
from percuss.report.sections import Section, Table

_KINDS = (
    ("auc_pr", "AUC-PR of the judged model"),
    ("drop", "AUC-PR lost against the clean images, paired"),
    ("auc_pr_stored", "AUC-PR as stored: images rounded to native depth"),
)
_CLEAN = "nothing (clean)"


def heat_sections(
    cells: Sequence[TransferCell], heat: TransferHeat, *, findings: Sequence[Finding], models: Table, n: int
) -> list[Section]:
    """The parts of the page."""
    null = UNDEFINED if heat.null is None else percent(heat.null)
    over = "tiles of one slide" if heat.slides == 1 else f"{heat.slides} slides" if heat.slides else "images"
    explain = (
        f"{n} tiles, {over}. Rows: the model an attack was made on; columns: the model it was judged on; the diagonal "
        "is the attack on the model itself. Every tile is attacked with its whole budget.",
        f"AUC-PR is the average precision over the judged cells of all tiles together; a map that knows nothing has "
        f"{null}, the share of tumour cells. Intervals are 95 %, by bootstrap over {over}.",
        "The row noise is random noise of the same size: what a change does that was made on no model.",
    )
    return [
        Section(
            "Does an attack on one detector lower another's AUC-PR?",
            explain,
            tuple(findings),
            tables=heat_matrices(cells, heat),
        ),
        Section("By size of the change", tables=(by_size(cells, heat),)),
        *(
            Section(
                f"{attack} within {budget}, all numbers",
                tables=tuple(
                    heat_matrix(cells, (attack, budget), heat, kind=kind, caption=words) for kind, words in _KINDS
                ),
            )
            for attack, budget in _keys(cells)
        ),
        Section("The models", tables=(models,)),
    ]


def heat_matrices(cells: Sequence[TransferCell], heat: TransferHeat) -> tuple[Table, ...]:
    """AUC-PR of every attack and budget, clean images first and noise last."""
    kind, words = _KINDS[0]
    return tuple(
        heat_matrix(cells, key, heat, kind=kind, caption=f"{key[0]} within {key[1]}: {words}") for key in _keys(cells)
    )


def heat_matrix(
    cells: Sequence[TransferCell], key: tuple[str, str], heat: TransferHeat, *, kind: str, caption: str
) -> Table:
    """One attack at one budget: sources down, targets across; a source that it cannot be made on has no row."""
    attack, budget = key
    chosen = [c for c in cells if c.budget == budget and (c.attack == attack or c.source == NOISE)]
    values: dict[tuple[str, str], Interval] = {(c.source, c.target): getattr(c, kind) for c in chosen}
    targets = list(heat.clean)
    sources = [name for name in targets if any((name, target) in values for target in targets)]
    clean = () if kind == "drop" else ((_CLEAN, *(decimal(heat.clean[target]) for target in targets)),)
    body = tuple(
        (
            source,
            *(
                decimal(values[source, target], signed=False) if (source, target) in values else "–"
                for target in targets
            ),
        )
        for source in (*sources, NOISE)
    )
    return Table(("made on", *targets), (*clean, *body), caption=caption)


def by_size(cells: Sequence[TransferCell], heat: TransferHeat) -> Table:
    """All attacks, sources and targets down and sizes across, as the paper's figure of transfer has them: AUC-PR in
    per cent, and in brackets the points lost."""
    sizes = list(dict.fromkeys((c.norm, c.budget) for c in sorted(cells, key=_size)))
    values = {(c.attack, c.source, c.target, c.budget): c for c in cells}
    lines = dict.fromkeys((c.attack, c.source, c.target) for c in cells)
    body = tuple(
        (
            target,
            attack,
            "–" if source == NOISE else source,
            percent(heat.clean[target].value),
            *(_lost(values.get((attack, source, target, budget))) for _, budget in sizes),
        )
        for attack, source, target in sorted(lines, key=lambda line: list(heat.clean).index(line[2]))
    )
    head = ("judged on", "attack", "made on", "clean", *(f"{norm} {size_text(budget)}" for norm, budget in sizes))
    return Table(head, body, words=3, caption="AUC-PR by size, in brackets the points lost")


def _lost(cell: TransferCell | None) -> str:
    if cell is None or cell.auc_pr is None or cell.auc_pr.value is None:
        return "–"
    lost = "" if cell.drop is None or cell.drop.value is None else f" ({round(-100 * cell.drop.value, 1) + 0.0:+.1f})"
    return percent(cell.auc_pr.value) + lost.replace("-", "−")


def _keys(cells: Sequence[TransferCell]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((cell.attack, cell.budget) for cell in cells if cell.source != NOISE))


def _size(cell: TransferCell) -> float:
    return float("inf") if cell.eps is None else cell.eps
