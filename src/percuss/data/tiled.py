"""tiled:DIR, the tiles of slides that percuss tile cut, with the truth of their cells: task heatmap."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError, nearest
from percuss.core.images import Case, Entry, ImageSet, PixelRange
from percuss.data.files import content
from percuss.data.options import check_names, choice, spec_text
from percuss.data.slides.tile_table import COLUMNS
from percuss.data.splits import check_entries, choose, with_splits, with_val
from percuss.data.table import Row, check_paths, table_rows

OPTIONS = ("task", "test", "val", "split", "seed", "annotated")
CLASSES = ("normal", "tumour")
_AGAIN = "give the percuss tile command that made the folder again: it puts right what is missing"


@dataclass(frozen=True)
class Tile:
    """The files of a tile, as the table has them; ``partial`` where its slide is not outlined everywhere."""

    mask: Path
    sha256: str
    mask_sha256: str
    size: int
    mpp: float
    partial: bool


class TileSet(ImageSet):
    """Tiles of slides; ``cell`` is the side of a cell in pixels, the group of a tile is its slide."""

    def __init__(
        self, spec: str, entries: Sequence[Entry], *, tiles: Mapping[str, Tile], cell: int, dropped: Mapping[str, int]
    ) -> None:
        super().__init__(spec, "heatmap", CLASSES, entries)
        self.cell, self.dropped, self._tiles = cell, dropped, tiles
        self.partial = tuple(dict.fromkeys(str(entry.group) for entry in self.entries if tiles[entry.id].partial))

    def read(self, case_id: str) -> Case:
        """One tile uint8 ``[3, size, size]``; target uint8 ``[size / cell, size / cell]``: 0, 1, or 255 not judged.

        DataError where a file is missing, is not the one in the table, or has another size.
        """
        entry, tile = self.entry(case_id), self._tiles[case_id]
        pixels = _decoded(Path(entry.source), case_id, "the tile", sha256=tile.sha256)
        target = _decoded(tile.mask, case_id, "the mask", sha256=tile.mask_sha256)
        _check_size(case_id, "the tile", pixels.shape, (tile.size, tile.size, 3))
        _check_size(case_id, "the mask", target.shape, (tile.size // self.cell, tile.size // self.cell))
        if not set(np.unique(target).tolist()) <= {0, 1, IGNORE}:
            raise DataError(f"the mask of {case_id} holds other values", allowed=f"0, 1 and {IGNORE}", next_step=_AGAIN)
        spacing = (tile.mpp / 1000, tile.mpp / 1000)
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        return Case(case_id, planes, PixelRange(0, 255), target, group=entry.group, spacing_mm=spacing)

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the hashes of tile and mask (which ``read`` checks), its slide, size and cell."""
        entry, tile = self.entry(case_id), self._tiles[case_id]
        parts = (tile.sha256, tile.mask_sha256, entry.group, tile.size, tile.mpp, self.cell)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> TileSet:
        """The same set limited to a split or to some ids, order kept."""
        chosen = choose(self.entries, split, ids)
        return TileSet(self.spec, chosen, tiles=self._tiles, cell=self.cell, dropped=self.dropped)


def open_set(location: str, options: Mapping[str, str]) -> TileSet:
    """The tiles that ``percuss tile`` wrote into a folder; each slide is a group, which no split divides.

    Options: ``test=SLIDE,SLIDE`` and ``val=SLIDE`` (names of slides; the others are train; ``val=0.2`` draws that share
    of the others by slide), or ``split=0.6,0.2,0.2`` and ``seed=0`` (drawn by slide); ``annotated=yes`` leaves out
    tiles without any judged cell (``dropped`` counts them); ``task=heatmap``, which they have in any case.

    Raises:
        DataError: no such folder, an unfinished one, a table of another folder or other slides, or an option that
            makes no sense.
    """
    check_names(options, OPTIONS, "tiled")
    choice(options, "task", ("heatmap",))
    home = Path(location).expanduser()
    slides = _slides(home)
    header, rows = table_rows(home / "tiles.csv")
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError("the table of tiles lacks a column", value=missing[0], next_step=_AGAIN)
    for line, row in rows:
        _check_slide(line, row, slides)
    every = choice(options, "annotated", ("yes",)) is None
    kept = [(line, row) for line, row in rows if every or float(row["judged"])]
    if not kept:
        raise DataError("no tile has a judged cell", value=location, next_step="cut the slides with --annotations")
    check_paths(kept, [str(home / row["path"]) for _, row in kept], "path")
    entries = [Entry(row["id"], _shown(row), None, row["slide"], str(home / row["path"])) for _, row in kept]
    check_entries(entries)
    tiles = {row["id"]: _tile(home, row) for _, row in kept}
    dropped = {"no judged cell": len(rows) - len(kept)} if len(kept) < len(rows) else {}
    text = spec_text("tiled", location, options)
    return TileSet(text, _split(entries, options), tiles=tiles, cell=_cell(kept), dropped=dropped)


def _slides(home: Path) -> dict[str, str]:
    """Hash of each slide of a finished folder, by name."""
    if not home.is_dir():
        raise DataError("there is no such folder of tiles", value=home, next_step="check the path behind tiled:")
    try:
        manifest = json.loads((home / "manifest.json").read_text(encoding="utf-8"))
        state, slides = manifest["state"], {item["name"]: item["sha256"] for item in manifest["slides"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the folder holds no tiles of percuss tile", value=home, next_step="name the --out folder of percuss tile"
        ) from error
    if state != "finished":
        raise DataError("the slides are not all cut yet", value=home, next_step=_AGAIN)
    return slides


def _check_slide(line: int, row: dict[str, str], slides: Mapping[str, str]) -> None:
    known = slides.get(row["slide"])
    if known != row["slide_sha256"]:
        what = "of no slide of this folder" if known is None else "of another file of that name"
        raise DataError(
            f"line {line} of tiles.csv is {what}",
            value=row["slide"],
            allowed=nearest(row["slide"], slides),
            next_step="put back the table that percuss tile wrote here, or give its command again",
        )


def _shown(row: dict[str, str]) -> tuple[int, ...]:
    """The classes that a tile shows."""
    tumour, judged = float(row["tumour"]), float(row["judged"])
    return (*((0,) if judged > tumour else ()), *((1,) if tumour else ()))


def _tile(home: Path, row: dict[str, str]) -> Tile:
    files = home / row["mask"], row["sha256"], row["mask_sha256"]
    return Tile(*files, int(row["size"]), float(row["mpp"]), row["annotation"] == "partial")


def _cell(rows: Sequence[Row]) -> int:
    cells = {int(row["cell"]) for _, row in rows}
    if len(cells) > 1:
        raise DataError("the tiles have cells of several sizes", value=cells, next_step=_AGAIN)
    return cells.pop()


def _split(entries: list[Entry], options: Mapping[str, str]) -> list[Entry]:
    """Entries with the splits that the options name or draw."""
    named = {name: options[name] for name in ("test", "val") if name in options and not _is_share(options[name])}
    homes: dict[str, str] = {}
    known = {str(entry.group) for entry in entries}
    for split, text in named.items():
        for slide in text.split(","):
            if slide not in known:
                raise DataError(
                    f"there is no such slide for the split {split}", value=slide, allowed=nearest(slide, known)
                )
            if homes.setdefault(slide, split) != split:
                raise DataError("a slide stands in two splits", value=slide, next_step="name it once")
    if not named:
        return _drawn(entries, options)
    found = [replace(entry, split=homes.get(str(entry.group), "train")) for entry in entries]
    if "split" in options:
        raise DataError(
            "slides are named for a split, and splits are to be drawn",
            value=f"split={options['split']}",
            next_step="leave split= out; val=0.2 draws a share of the other slides for val",
        )
    rest = {name: value for name, value in options.items() if name != "val" or _is_share(value)}
    return _drawn(found, rest)


def _drawn(entries: Sequence[Entry], options: Mapping[str, str]) -> list[Entry]:
    """Entries with drawn splits: whole slides, tiles with and without tumour in their shares."""
    plain = [replace(entry, target=tuple(int(kind in _kinds(entry)) for kind in (0, 1))) for entry in entries]
    drawn = with_val(with_splits(plain, options), options)
    return [replace(entry, split=other.split) for entry, other in zip(entries, drawn, strict=True)]


def _kinds(entry: Entry) -> tuple[int, ...]:
    return entry.target if isinstance(entry.target, tuple) else (entry.target,)


def _is_share(text: str) -> bool:
    try:
        return 0 < float(text) < 1
    except ValueError:
        return False


def _decoded(path: Path, name: str, what: str, *, sha256: str) -> np.ndarray[Any, Any]:
    data = content(path, name)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(
            f"{what} of {name} is not the one in the table of tiles",
            value=path,
            allowed="the file that percuss tile wrote",
            next_step="copy the whole folder again, or cut the slides again into a new one",
        )
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image)
    except Exception as error:  # Pillow raises many kinds of error on damaged files
        raise DataError(f"{what} of {name} cannot be read", value=path, next_step=_AGAIN) from error


def _check_size(name: str, what: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if found != wanted:
        raise DataError(
            f"{what} of {name} has another size", value=found, allowed=f"{wanted}, as tiles.csv says", next_step=_AGAIN
        )


def miniature(folder: Path) -> str:
    """Write five tiny slides as tiles of 16 pixels with cells of 4, one slide without tumour; return the spec."""
    rows, slides = [], []
    for number in range(5):
        name, digest = f"slide{number}", hashlib.sha256(f"slide {number}".encode()).hexdigest()
        slides.append({"name": name, "sha256": digest})
        for place in range(2):
            pixels = (np.arange(16 * 16 * 3).reshape(16, 16, 3) // 4 + 9 * number + 50 * place).astype(np.uint8)
            cells = np.zeros((4, 4), np.uint8)
            cells[:, : place + 1] = int(number > 0)
            cells[3, 3] = IGNORE
            rows.append(_mini_row(folder, f"{name}/0_{16 * place}", {"path": pixels, "mask": cells}, slide=slides[-1]))
    table = "\n".join([",".join(COLUMNS), *(",".join(str(row[name]) for name in COLUMNS) for row in rows)])
    (folder / "tiles.csv").write_text(table + "\n", encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps({"state": "finished", "slides": slides}), encoding="utf-8")
    return f"tiled:{folder}?test=slide0,slide1&val=slide2"


def _mini_row(folder: Path, name: str, pictures: dict[str, Any], *, slide: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": name, "slide": slide["name"], "slide_sha256": slide["sha256"]}
    for key, home, digest in (("path", "tiles", "sha256"), ("mask", "masks", "mask_sha256")):
        path = folder / home / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[key]).save(path)
        row |= {key: f"{home}/{name}.png", digest: hashlib.sha256(path.read_bytes()).hexdigest()}
    mask = pictures["mask"]
    row |= {"row": 0, "column": name.rpartition("_")[2], "mpp": 1.0, "size": 16, "cell": 4, "annotation": "exhaustive"}
    return row | {"tumour": float((mask == 1).mean()), "judged": float((mask != IGNORE).mean())}
