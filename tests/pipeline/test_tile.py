"""percuss tile: the same tiles whatever the processes, killed or not; bad slides among good ones."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from percuss.core.errors import DataError, RunError
from percuss.data.spec import load_data
from percuss.pipeline.tile_plan import SlideJob, TilePlan

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("tiffslide")

from tiny_slides import PLAN, content, pixels, three_slides, write_slide  # noqa: E402

from percuss.pipeline.tile import Known, _each, _executor, tile  # noqa: E402


@pytest.fixture
def slides(tmp_path):
    return three_slides(tmp_path / "slides")


def test_tiles_masks_and_table(slides, tmp_path):
    done = tile([str(slides)], tmp_path / "out", PLAN, known=Known((slides,), normal=("second",)))
    assert [s["name"] for s in done.manifest["slides"]] == ["first", "second", "tumor_010"]
    assert [s["annotation"] for s in done.manifest["slides"]] == ["exhaustive", "exhaustive", "partial"]
    images = load_data(f"tiled:{tmp_path / 'out'}?test=second&annotated=yes")
    assert images.partial == ("tumor_010",)
    kept = {entry.id for entry in images.entries if entry.group == "first"}
    assert kept == {f"first/{r}_{c}" for r in range(0, 640, 64) for c in range(0, 640, 64) if r >= 320 or c >= 320}
    for name in kept:
        row, column = map(int, name.partition("/")[2].split("_"))
        case = images.read(name)
        assert np.array_equal(case.pixels.transpose(1, 2, 0), pixels(0)[row : row + 64, column : column + 64])
        inside = np.zeros((640, 640), np.uint8)
        inside[96:544, 400:560] = 1
        assert np.array_equal(case.target, inside[row : row + 64 : 4, column : column + 64 : 4])
        partial = f"tumor_010/{row}_{column}"
        if case.target.any():
            other = images.read(partial).target
            assert np.array_equal(other == 1, case.target == 1) and set(np.unique(other)) <= {1, 255}
        else:
            assert partial not in images.ids  # nothing of it is judged
    assert not images.read("second/320_320").target.any()
    with Image.open(tmp_path / "out" / "thumbnails" / "first.png") as shown:
        assert shown.size == (640, 640)
        found = np.asarray(shown)
    assert found[96:544, 400].tolist().count([0, 110, 0]) > 400  # the outline
    assert (found[330:, 0] == [0, 70, 190]).all(-1).any() and (found[:64, :300] == [0, 70, 190]).all(-1).sum() == 0


def test_without_annotation_nothing_is_judged(slides, tmp_path):
    tile([str(slides / "second.tif")], tmp_path / "out", PLAN)
    with pytest.raises(DataError, match="no tile has a judged cell"):
        load_data(f"tiled:{tmp_path / 'out'}?annotated=yes")
    images = load_data(f"tiled:{tmp_path / 'out'}")
    assert (images.read(images.ids[0]).target == 255).all()


def test_result_does_not_depend_on_the_processes_and_is_kept(slides, tmp_path):
    known = Known((slides,), normal=("second",))
    for workers, name in ((1, "one"), (3, "three")):
        tile([str(slides)], tmp_path / name, PLAN, known=known, workers=workers)
    one = content(tmp_path / "one")
    assert one == content(tmp_path / "three") and len(one) > 300
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one" / "tiles").rglob("*.png")}
    tile([str(slides)], tmp_path / "one", PLAN, known=known)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "one" / "tiles").rglob("*.png")}
    next(iter(before)).unlink()
    tile([str(slides)], tmp_path / "one", PLAN, known=known)  # a slide with a lost tile is cut again
    assert content(tmp_path / "one") == one


def running(process):
    """Whether a process is there, and not only its exit status."""
    try:
        return (Path("/proc") / process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux for the children of a process")
def test_killed_and_given_again(slides, tmp_path):
    known = Known((slides,), normal=("second",))
    tile([str(slides)], tmp_path / "whole", PLAN, known=known)
    options = f"--mpp 0.5 --size 64 --min-tissue 0.25 --annotations {slides} --normal second --quiet --workers 2"
    program = [sys.executable, "-c", "from percuss.cli.app import main; main()"]
    command = [*program, "tile", str(slides), *options.split(), "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    until = time.monotonic() + 60
    while time.monotonic() < until and not list((tmp_path / "killed").glob("tiles/*/*.png")):
        time.sleep(0.005)
    children = (Path("/proc") / str(process.pid) / "task" / str(process.pid) / "children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 20
    while time.monotonic() < until and any(running(child) for child in children):
        time.sleep(0.05)
    assert len(children) >= 2 and not any(running(child) for child in children)  # none stays behind
    assert json.loads((tmp_path / "killed" / "manifest.json").read_text())["state"] == "running"
    with pytest.raises(DataError, match="not all cut yet"):
        load_data(f"tiled:{tmp_path / 'killed'}")
    half = next((tmp_path / "killed").glob("tiles/*/*.png"))
    half.write_bytes(half.read_bytes()[:100])  # as a kill in mid-write leaves it
    recorded = list((tmp_path / "killed" / "parts").glob("*/0*.json"))
    for unit in recorded:  # the torn tile belongs to no recorded unit
        if half.name in unit.read_text():
            unit.unlink()
    tile([str(slides)], tmp_path / "killed", PLAN, known=known)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_process_that_dies_is_an_error_that_says_what_to_do():
    job = SlideJob("slide", Path("slide.tif"))
    with _executor(2) as executor, pytest.raises(RunError, match="fewer --workers"):
        list(_each(executor, [(job, partial(os._exit, 9))]))


def test_one_bad_slide_among_good_ones(slides, tmp_path):
    whole = (slides / "second.tif").read_bytes()
    (slides / "second.tif").write_bytes(whole[: len(whole) // 2])
    write_slide(slides / "unsaid.tif", pixels(5), mpp=None)
    write_slide(slides / "white.tif", np.full((640, 640, 3), 250, np.uint8))
    done = tile([str(slides), str(slides / "absent.tif")], tmp_path / "out", PLAN, known=Known((slides,)))
    assert [item.name for item in done.bad] == ["absent", "second", "unsaid", "white"]
    words = {item.name: str(item.error()) for item in done.bad}
    assert "--slide-mpp" in words["unsaid"] and "no tile of the slide holds tissue" in words["white"]
    assert "no such slide" in words["absent"]
    lines = (tmp_path / "out" / "bad.csv").read_text().splitlines()
    assert len(lines) == 5 and lines[2].startswith("second,")
    assert {entry.group for entry in load_data(f"tiled:{tmp_path / 'out'}").entries} == {"first", "tumor_010"}
    said = TilePlan(mpp=0.5, size=64, min_tissue=0.25, slide_mpp=0.25)
    given = tile([str(slides / "unsaid.tif")], tmp_path / "out", said)  # into the same folder, beside the others
    assert {item["name"]: item["scale"] for item in given.manifest["slides"]} == {
        "first": 1, "tumor_010": 1, "unsaid": 2}  # fmt: skip


def test_a_tile_that_cannot_be_decoded_makes_the_slide_bad(slides, tmp_path):
    with tifffile.TiffFile(slides / "second.tif") as file:
        start = file.pages[0].dataoffsets[-1]
    data = bytearray((slides / "second.tif").read_bytes())
    data[start : start + 50] = bytes(50)
    (slides / "second.tif").write_bytes(data)
    plan = TilePlan(mpp=0.5, size=64, tissue="all")
    done = tile([str(slides)], tmp_path / "out", plan, known=Known((slides,)))
    assert [item.name for item in done.bad] == ["second"] and "decoded" in str(done.bad[0].error())
    assert not (tmp_path / "out" / "tiles" / "second").exists()
    assert {item["name"] for item in done.manifest["slides"]} == {"first", "tumor_010"}


def test_all_bad_is_an_error_that_names_the_first(slides, tmp_path):
    for name in ("first", "second", "tumor_010"):
        (slides / f"{name}.tif").write_bytes(b"no slide")
    with pytest.raises(DataError, match="none of 3 slides can be used; the first, first"):
        tile([str(slides)], tmp_path / "out", PLAN)
    with pytest.raises(DataError, match="^the file is no slide"):
        tile([str(slides / "first.tif")], tmp_path / "other", PLAN)
