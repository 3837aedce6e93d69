"""The folder of percuss tile: what it holds, what counts as finished, and its table."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from percuss.core.errors import RunError
from percuss.data.slides.tile_table import COLUMNS
from percuss.pipeline.tile_plan import TilePlan
from percuss.store.safe import SCRATCH, disk_errors, write_bytes

FORMAT = "percuss-tiles-1"
TABLE, MANIFEST, BAD = "tiles.csv", "manifest.json", "bad.csv"
_PARTS = "parts"
#: What a folder may hold before its first manifest: slides drawn for it.
_BEFORE = {"slides"}


def claim(out: Path, plan: TilePlan) -> None:
    """Make the folder, or go on in one of the same plan.

    Raises:
        RunError: it holds something else, or tiles that were cut otherwise; or it cannot be written.
    """
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        content = {item.name for item in out.iterdir() if not item.name.startswith(SCRATCH)}
    if MANIFEST in content:
        held = read_manifest(out)
        now = plan.shared()
        # Where no slide is finished there is nothing to lose, and the folder may be taken over.
        if held["plan"] != now and any((out / _PARTS).glob("*.json")):
            other = [name for name in now if held["plan"].get(name) != now[name]]
            raise RunError(
                "the folder holds tiles that were cut otherwise",
                value=", ".join(f"{name} {held['plan'].get(name)}, not {now[name]}" for name in other),
                next_step="give the same options to go on, or another --out",
            )
        if held["plan"] == now:
            return
        for name in ("tiles", "masks", _PARTS):
            shutil.rmtree(out / name, ignore_errors=True)
    elif content - _BEFORE:
        raise RunError(
            "the output folder is not empty and holds no tiles",
            value=f"{out} ({', '.join(sorted(content)[:3])})",
            next_step="give a new folder with --out",
        )
    write_manifest(out, {"format": FORMAT, "state": "running", "plan": plan.shared(), "slides": [], "bad": []})


def read_manifest(out: Path) -> dict[str, Any]:
    """The manifest of a folder; RunError where it is none of percuss tile."""
    try:
        found = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RunError("the folder holds no tiles of percuss tile", value=out, next_step="give a new folder with --out")
    return found


def write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest whole or not at all."""
    write_bytes(out / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())


def finish(out: Path, plan: TilePlan, bad: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Write table, list of bad slides and manifest from what is finished; the manifest is returned."""
    from importlib.metadata import version

    slides = [content["slide"] for content in finished(out)]
    lines = _table(COLUMNS, (row for content in finished(out) for row in content["rows"]))
    digest = write_bytes(out / TABLE, lines)
    if bad:
        write_bytes(out / BAD, _table(("slide", "path", "reason"), bad))
    else:
        (out / BAD).unlink(missing_ok=True)
    manifest = {
        "format": FORMAT,
        "state": "finished",
        "percuss": version("percuss"),
        "plan": plan.shared(),
        "tiles": sum(slide["tiles"] for slide in slides),
        "tiles_sha256": digest,
        "slides": slides,
        "bad": list(bad),
    }
    write_manifest(out, manifest)
    return manifest


def finished(out: Path) -> Iterator[dict[str, Any]]:
    """Record and rows of each finished slide, in order of name, one at a time."""
    for path in sorted((out / _PARTS).glob("*.json"), key=lambda path: path.stem):
        content = _json(path)
        if content is not None:
            yield content


def finished_slide(out: Path, name: str, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """Record and rows of a finished slide whose record agrees with ``wanted`` and whose files are all there."""
    found = _json(out / _PARTS / f"{name}.json")
    if found is None or any(found["slide"].get(key) != value for key, value in wanted.items()):
        return None
    return found if _present(out, found["rows"]) else None


def finish_slide(out: Path, record: dict[str, Any], units: int) -> dict[str, Any]:
    """Gather the units of a slide into its record, which makes it finished."""
    name = record["name"]
    rows = [row for unit in range(units) for row in read_unit(out, name, unit)]
    record = record | {
        "tiles": len(rows),
        "tumour_tiles": sum(float(row["tumour"]) > 0 for row in rows),
    }
    write_bytes(out / _PARTS / f"{name}.json", json.dumps({"slide": record, "rows": rows}).encode())
    shutil.rmtree(out / _PARTS / name, ignore_errors=True)
    return record


def start_slide(out: Path, record: dict[str, Any]) -> None:
    """Make ready for units of a slide: those of another file of this name, or of other annotations, are dropped."""
    home = out / _PARTS / record["name"]
    if _json(home / "slide.json") == record:
        return
    drop_slide(out, record["name"])
    with disk_errors(home):
        for folder in ("tiles", "masks"):
            (out / folder / record["name"]).mkdir(parents=True, exist_ok=True)
    write_bytes(home / "slide.json", json.dumps(record).encode())


def drop_slide(out: Path, name: str) -> None:
    """Remove everything of a slide."""
    for folder in ("tiles", "masks", _PARTS):
        shutil.rmtree(out / folder / name, ignore_errors=True)
    (out / _PARTS / f"{name}.json").unlink(missing_ok=True)
    (out / "thumbnails" / f"{name}.png").unlink(missing_ok=True)


def write_unit(out: Path, name: str, unit: int, *, rows: Sequence[dict[str, str]]) -> None:
    """Record a unit, after which its tiles count."""
    write_bytes(_unit(out, name, unit), json.dumps(list(rows)).encode())


def has_unit(out: Path, name: str, unit: int) -> bool:
    """Whether a unit is recorded and its files are there."""
    found = _json(_unit(out, name, unit))
    return found is not None and _present(out, found)


def read_unit(out: Path, name: str, unit: int) -> list[dict[str, str]]:
    """The rows of a recorded unit."""
    found: list[dict[str, str]] | None = _json(_unit(out, name, unit))
    if found is None:
        raise RunError("a part of the tiles is gone", value=_unit(out, name, unit), next_step="give the command again")
    return found


def _unit(out: Path, name: str, unit: int) -> Path:
    return out / _PARTS / name / f"{unit:06d}.json"


def _present(out: Path, rows: Iterable[dict[str, str]]) -> bool:
    return all((out / row["path"]).is_file() and (out / row["mask"]).is_file() for row in rows)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _table(columns: Sequence[str], rows: Iterable[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
