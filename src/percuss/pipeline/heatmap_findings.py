"""Doubts that whole-slide heat maps raise: each a finding with its numbers (docs/findings.md lists them)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from percuss.core.outcome import Finding
from percuss.pipeline.resolution import SAME

Record = Mapping[str, Any]


def findings_of(record: Record) -> list[Finding]:
    """All findings on the record of results.json, warnings first."""
    found = [item for check in _CHECKS for item in check(record)]
    return sorted(found, key=lambda item: item.severity != "warning")


def _bad_slides(record: Record) -> Iterable[Finding]:
    bad = record["bad_slides"]
    if bad:
        text = f"{len(bad)} of {len(bad) + len(record['slides'])} slides could not be used, first {bad[0]['reason']}"
        yield Finding("bad-slides", "warning", text, {"slides": bad[:20]})


def _no_tissue(record: Record) -> Iterable[Finding]:
    bare = [slide["slide"] for slide in record["slides"] if not slide["tiles"]]
    if bare:
        rule = record["options"]["tissue"]
        text = f"No tile of {', '.join(bare[:5])} holds tissue by the rule {rule}: there is no map of it."
        yield Finding("no-tissue", "warning", text, {"slides": bare, "rule": rule})


def _bad_tiles(record: Record) -> Iterable[Finding]:
    bad = {slide["slide"]: len(slide["bad_tiles"]) for slide in record["slides"] if slide["bad_tiles"]}
    if bad:
        name, total = next(iter(bad)), sum(slide["tiles"] for slide in record["slides"])
        text = f"{sum(bad.values())} of {total} tiles cannot be read and are missing in the maps, first of {name}."
        yield Finding("bad-tiles", "warning", text, {"tiles": bad})


def _not_exhaustive(record: Record) -> Iterable[Finding]:
    names = [slide["slide"] for slide in record["slides"] if slide["annotation"] == "partial"]
    if names:
        text = (
            f"Outlines of {', '.join(names[:5])} are known to leave out tumour: nothing outside them is judged "
            "there, so such a slide has no AUC-PR of its own, and FROC leaves it out."
        )
        yield Finding("not-exhaustive", "warning", text, {"slides": names})


def _left_out(record: Record) -> Iterable[Finding]:
    left = {s["slide"]: s["maps"][0]["tumour_cells_left_out"] for s in record["slides"] if s["maps"]}
    left = {name: count for name, count in left.items() if count}
    if left:
        name = max(left, key=lambda key: left[key])
        text = (
            f"Outlined tumour lies in tiles that were left out as free of tissue (most in {name}: {left[name]} cells); "
            "AUC-PR does not count it."
        )
        yield Finding("tumour-outside-tissue", "warning", text, {"cells": left})


def _resolution(record: Record) -> Iterable[Finding]:
    asked, trained = record["options"]["mpp"], record["options"]["trained_mpp"]
    if trained and abs(asked / trained - 1) > SAME:
        text = f"The model was trained at {trained:g} µm per pixel and looks at {asked:g} here."
        yield Finding("other-resolution", "warning", text, {"trained": trained, "asked": asked})


def _own_map(record: Record) -> Iterable[Finding]:
    names = [slide["slide"] for slide in record["slides"] if slide["annotation"] == "none"]
    if names and record["attacks"]:
        text = (
            f"Nothing is known of tumour on {', '.join(names[:5])}: attacks went away from the model's own map, and no "
            "number says whether a change made it worse."
        )
        yield Finding("own-map", "info", text, {"slides": names})


def _overlap(record: Record) -> Iterable[Finding]:
    overlap = record["options"]["overlap"]
    if record["attacks"] and overlap:
        text = (
            f"Tiles overlap by {overlap} px and each was attacked by itself: where they overlap there are several "
            "changed versions of a pixel, and the attacked map is no map of one changed slide."
        )
        yield Finding("overlapping-attacks", "info", text, {"overlap": overlap})


_CHECKS: tuple[Callable[[Record], Iterable[Finding]], ...] = (
    _bad_slides,
    _no_tissue,
    _bad_tiles,
    _not_exhaustive,
    _left_out,
    _resolution,
    _own_map,
    _overlap,
)
