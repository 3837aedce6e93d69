"""percuss tile against a bare loop that reads the same tiles and writes them as PNG: speed, processes, memory.

    python benchmarks/tiling.py [--side 16384] [--rounds 3] [--processes 1 2 4] [--memory]

Draws tissue once, repeats it to a JPEG slide of SIDE pixels at 0.5 um per pixel with halving levels and an outline, and
cuts tiles of 512 at 1.0 um per pixel. The bare loop opens the slide with the same reader and reads the very tiles that
percuss tile kept, row by row; it writes them with the same PNG writer, with Pillow's at its quickest, or not at all. It
neither looks for tissue, nor makes masks, hashes, a table or a thumbnail.

One process, interleaved (percuss tile packs in a second thread): shortest wall seconds, and median processor seconds.
Several processes: both with as many (the bare loops take every Nth band of tiles), start-up included, wall and
processor seconds. Memory: peak of a process of percuss tile for slides of three sizes.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from percuss.data.slides.open import open_slide
from percuss.data.slides.view import View
from percuss.data.table import table_rows
from percuss.data.tissue.slide import draw_slide
from percuss.pipeline.tile import Known, tile
from percuss.pipeline.tile_plan import TilePlan
from percuss.store.quick_png import quick_png

PLAN = TilePlan(mpp=1.0, size=512, tissue="otsu")
_BASE, _PATTERN, _BLOCK = 0.5, 2048, 256


def write_slide(path: Path, side: int) -> Path:
    """A slide of repeated tissue, packed as JPEG, with an outline of a fifth of its side; made anew only if absent."""
    if path.exists():
        return path
    pattern = np.ascontiguousarray(draw_slide(7, side=_PATTERN, tumours=1, mpp=_BASE).pixels.transpose(1, 2, 0))
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for down in (1, 2, 4, 8, 16, 32, 64):
            small = np.asarray(Image.fromarray(pattern).reduce(down))
            block = np.tile(small, (max(_BLOCK // len(small), 1),) * 2 + (1,))
            writer.write(
                _blocks(block, side // down),
                shape=(side // down, side // down, 3),
                dtype=np.uint8,
                tile=(_BLOCK, _BLOCK),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 85},
                resolution=(1e4 / (_BASE * down),) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=int(down > 1),
                metadata=None,
            )
    turns = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    corners = "".join(
        f'<Coordinate Order="{i}" X="{side / 2 + side / 5 * np.cos(t):.1f}" Y="{side / 2 + side / 5 * np.sin(t):.1f}"/>'
        for i, t in enumerate(turns)
    )
    path.with_suffix(".xml").write_text(
        '<ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" PartOfGroup="_0"><Coordinates>'
        f"{corners}</Coordinates></Annotation></Annotations></ASAP_Annotations>",
        encoding="utf-8",
    )
    return path


def _blocks(pattern: Any, side: int) -> Iterator[Any]:
    for top in range(0, side, _BLOCK):
        for left in range(0, side, _BLOCK):
            y, x = top % len(pattern), left % len(pattern)
            yield pattern[y : y + _BLOCK, x : x + _BLOCK]


def pillow_png(pixels: Any) -> bytes:
    """As most scripts write tiles."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def bare(slide: Path, places: list[tuple[int, int]], out: Path, pack: Callable[[Any], bytes] | None) -> None:
    """Read tiles one by one, and write them where ``pack`` says how."""
    out.mkdir(parents=True, exist_ok=True)
    with open_slide(slide) as opened:
        view = View(opened, PLAN.mpp)
        for row, column in places:
            pixels = view.read(row, column, PLAN.size, PLAN.size)
            if pack is not None:
                (out / f"{row}_{column}.png").write_bytes(pack(pixels))


def kept(out: Path) -> list[tuple[int, int]]:
    """Places in pixels of the view of the tiles that percuss tile kept."""
    _, rows = table_rows(out / "tiles.csv")
    return [(int(row["row"]) // 2, int(row["column"]) // 2) for _, row in rows]


def one_process(slide: Path, work: Path, rounds: int) -> list[tuple[int, int]]:
    """Processor seconds of each way, interleaved."""
    out = work / "tiles"
    shutil.rmtree(out, ignore_errors=True)
    known = Known((slide.with_suffix(".xml"),))
    tile([str(slide)], out, PLAN, known=known)
    places = kept(out)
    ways: dict[str, Callable[[], object]] = {
        "percuss tile": lambda: tile([str(slide)], out, PLAN, known=known),
        "bare loop, same PNG writer": lambda: bare(slide, places, out, quick_png),
        "bare loop, Pillow's PNG level 1": lambda: bare(slide, places, out, pillow_png),
        "bare loop, nothing written": lambda: bare(slide, places, out, None),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in [*ways][number % len(ways) :] + [*ways][: number % len(ways)]:
            shutil.rmtree(out, ignore_errors=True)
            start = time.process_time(), time.perf_counter()
            ways[name]()
            spent[name].append((time.process_time() - start[0], time.perf_counter() - start[1]))
    print(f"{len(places)} tiles of {PLAN.size} px, slide {slide.stat().st_size / 2**20:.0f} MiB, {rounds} rounds")
    _print_ways(spent, len(places))
    return places


def _print_ways(spent: dict[str, list[tuple[float, float]]], tiles: int) -> None:
    """Shortest wall seconds and median processor seconds of each way, and percuss tile's share of its speed."""
    first = spent["percuss tile"]
    for name, times in spent.items():
        cpu, wall = (sorted(time[kind] for time in times) for kind in (0, 1))
        middle, least = statistics.median(cpu), wall[0]
        share = middle / statistics.median(time[0] for time in first), least / min(time[1] for time in first)
        print(
            f"| {name} | {least:.2f} ({least:.2f}-{wall[-1]:.2f}) | {tiles / least:.1f} | {share[1]:.2f} "
            f"| {middle:.2f} ({cpu[0]:.2f}-{cpu[-1]:.2f}) | {share[0]:.2f} |"
        )


def several(slide: Path, work: Path, processes: list[int], rounds: int) -> None:
    """Wall and processor seconds of percuss tile and of as many bare loops, interleaved; start-up included."""
    import percuss.cli.app  # noqa: F401  compiled before the clock runs

    spent: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for count in processes:
            for name, run in (("percuss tile", _tile_command), ("bare loops", _bare_commands)):
                shutil.rmtree(work / "tiles", ignore_errors=True)
                start, before = time.monotonic(), _children()
                run(slide, work / "tiles", count)
                spent.setdefault((name, count), []).append((time.monotonic() - start, _children() - before))
    for (name, count), times in spent.items():
        best, first = (min(wall for wall, _ in found) for found in (times, spent[name, processes[0]]))
        listed = ", ".join(f"{wall:.1f}" for wall, _ in times)
        cpu = statistics.median(used for _, used in times)
        print(f"| {name} | {count} | {best:.1f} ({listed}) | {first / best:.2f} | {cpu:.1f} |")
    print("load of the machine at the end:", " ".join(f"{value:.1f}" for value in os.getloadavg()))


def _children() -> float:
    """Processor seconds of all processes that this one started and that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _tile_command(slide: Path, out: Path, count: int) -> None:
    program = [sys.executable, "-c", "from percuss.cli.app import main; main()", "tile", str(slide), "--quiet"]
    options = [
        "--mpp",
        "1.0",
        "--size",
        "512",
        "--workers",
        str(count),
        "--annotations",
        str(slide.with_suffix(".xml")),
    ]
    subprocess.run([*program, *options, "--out", str(out)], check=True)


def _bare_commands(slide: Path, out: Path, count: int) -> None:
    program = [sys.executable, __file__, "--bare", str(slide), "--out", str(out)]
    running = [subprocess.Popen([*program, "--part", str(part), str(count)]) for part in range(count)]
    if any(process.wait() for process in running):
        raise SystemExit("a bare loop failed")


def bare_part(slide: Path, out: Path, part: int, count: int) -> None:
    """Every ``count``th band of tiles of the whole slide."""
    with open_slide(slide) as opened:
        view = View(opened, PLAN.mpp)
        size = PLAN.size
        rows, columns = view.height // size, view.width // size
    band = [(r * size, c * size) for r in range(part, rows, count) for c in range(columns)]
    bare(slide, band, out / str(part), quick_png)


def memory(work: Path, sides: list[int]) -> None:
    """Peak resident memory of one process of percuss tile, for slides of several sizes."""
    for side in sides:
        slide = write_slide(work / f"slide{side}.tif", side)
        shutil.rmtree(work / "tiles", ignore_errors=True)
        code = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
        )
        program = [sys.executable, "-c", "from percuss.cli.app import main; main()", "tile", str(slide), "--quiet"]
        options = ["--mpp", "1.0", "--out", str(work / "tiles"), "--annotations", str(slide.with_suffix(".xml"))]
        done = subprocess.run(
            [sys.executable, "-c", code, *program, *options], check=True, capture_output=True, text=True
        )
        tiles = len(kept(work / "tiles"))
        print(f"| {side} x {side} | {slide.stat().st_size / 2**20:.0f} MiB | {tiles} | {done.stdout.strip()} MiB |")


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=16384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--work", type=Path, help="Folder for slides and tiles. Default a fresh one that is removed.")
    for name in ("--bare", "--out"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        bare_part(asked.bare, asked.out, *asked.part)
        return
    with tempfile.TemporaryDirectory() as fresh:
        work = asked.work or Path(fresh)
        work.mkdir(parents=True, exist_ok=True)
        slide = write_slide(work / f"slide{asked.side}.tif", asked.side)
        one_process(slide, work, asked.rounds)
        if asked.processes:
            several(slide, work, asked.processes, asked.rounds)
        if asked.memory:
            memory(work, [asked.side // 4, asked.side, asked.side * 2])


if __name__ == "__main__":
    main()
