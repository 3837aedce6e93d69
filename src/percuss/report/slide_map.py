"""The page of whole-slide heat maps: each slide as it is and attacked, with its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from percuss.core.outcome import Finding
from percuss.report.sections import Panel, Section, Table

HEAD = (
    "slide", "attack", "size", "mean probability", "share above 0.5", "AUC-PR", "constant map", "largest area, mm²",
)  # fmt: skip


def sections(record: Mapping[str, Any], *, findings: Sequence[Finding], pictures: Mapping[str, bytes]) -> list[Section]:
    """The parts of the page; ``record`` is that of results.json, ``pictures`` are PNG by their name there."""
    slides = record["slides"]
    return [
        Section(
            "Where does the model see tumour, and what do attacks make of it?",
            tuple(_opening(record)),
            tuple(findings),
            tables=(table(slides), *froc_tables(record["all"])),
        ),
        *(_slide(slide, pictures) for slide in slides),
        Section("What was counted", _WORDS),
    ]


def table(slides: Sequence[Mapping[str, Any]]) -> Table:
    """The numbers of every map."""
    body = []
    for slide in slides:
        for item in slide["maps"]:
            largest = item["components"][0]["area_mm2"] if item["components"] else 0.0
            cells = (
                _number(item["mean_probability"]),
                _number(item["share_above_half"]),
                _number(item["auc_pr"]),
                _number(item["prevalence"]),
                f"{largest:.3g}",
            )
            body.append((slide["slide"], item["attack"], item["budget"], *cells))
    return Table(HEAD, tuple(body), words=3)


def froc_tables(found: Sequence[Mapping[str, Any]]) -> tuple[Table, ...]:
    """Numbers of all slides together; none of one slide or without a truth."""
    body = []
    for item in found:
        if item["slides"] < 2 or item["auc_pr"] is None:
            continue
        told = item["froc"] or {"score": {"value": None}, "slide_auc": {"value": None}, "lesions": 0}
        cells = (_number(item["auc_pr"]), _number(told["score"]["value"]), _number(told["slide_auc"]["value"]))
        body.append((item["attack"], item["budget"], *cells, str(told["lesions"])))
    head = ("attack", "size", "AUC-PR, all cells", "FROC score", "AUC of slides", "lesions")
    return (Table(head, tuple(body), words=2, caption="all slides together"),) if body else ()


def _opening(record: Mapping[str, Any]) -> list[str]:
    told = record["options"]
    count, tiles = len(record["slides"]), sum(slide["tiles"] for slide in record["slides"])
    return [
        f"{count} {'slide' if count == 1 else 'slides'} at {told['mpp']:g} µm per pixel in {tiles} tiles of "
        f"{told['size']} px with {told['overlap']} px overlap, judged by {record['model']['spec']} in cells of "
        f"{record['model']['cell']} px; tissue by the rule {told['tissue']}."
    ]


def _slide(slide: Mapping[str, Any], pictures: Mapping[str, bytes]) -> Section:
    shown = tuple((f"{item['attack']} {item['budget']}".strip(), pictures[item["picture"]]) for item in slide["maps"])
    known = _KNOWN[slide["truth"]]
    text = (
        f"{slide['height']} x {slide['width']} px at {slide['mpp']:.4g} µm, read by {slide['reader']}; "
        f"{slide['tiles']} of {slide['places']} tiles hold tissue; {known}."
    )
    words = (text, *slide["notes"])
    return Section(slide["slide"], words, panels=(Panel("", pictures=shown, wide=True),) if shown else ())


_WORDS = (
    "Pictures: the more colour, the more probable tumour (orange is certain) over the slide in grey; blue lines are "
    "the outlines given. Tiles without tissue are not judged and stay grey.",
    "A cell is the mean of the logits that overlapping tiles give it, weighted by a window that falls off over the "
    "overlap. Each tile is attacked within the budget by itself, rounded to 8 bits, and judged anew.",
    "AUC-PR is the average precision over the cells that were judged and whose truth is known, from a histogram of "
    "scores; a constant map would reach the share of tumour cells. Areas are connected places of the map, brought down "
    "to 2048 px at most, with a mean probability above one half; detections for FROC are its local maxima from 0.1 on.",
)


_KNOWN = {
    "none": "nothing is known of its tumour",
    "normal": "it is given as free of tumour",
    "outlines": "its tumour is outlined",
    "mask": "its tumour is given by a mask",
}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
