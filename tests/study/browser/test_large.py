"""A large case in tiles: native levels, true pixels at whole steps, two of them side by side."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import select
from tests.study import small_study
from tests.study.app.served import serving
from tests.study.small_study import ARMS, SIZE

from percuss.core.pixel_range import PixelRange
from percuss.pipeline.study_tiles import halved, tiles_of
from percuss.study.access import enrol
from percuss.study.creating import create_folder
from percuss.study.design.order import OrderRules
from percuss.study.design.trials import Arm
from percuss.study.pictures import even, sha_of
from percuss.study.tables import AnswerRow

HIGH, WIDE, SIDE = 500, 700, 128
FRAMES = (
    "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"
)


def grain(number, at, shape, levels):
    """Noise in steps that a screen can show, the same for every arm but for a mark of the arm in its first line."""
    values = np.random.default_rng(number).integers(0, 16, shape) * (levels // 16)
    values[:, 0, :] = at
    return torch.tensor(values / levels)


def made(path, monkeypatch, *, levels, **fields):
    """A small study whose cases are cut into tiles, and the values of its pictures by case number."""
    monkeypatch.setattr(small_study, "image", grain)
    values = {
        "cases": 2,
        "tasks": ("diagnosis",),
        "copies": 1,
        "arms": ARMS,
        "rules": OrderRules(distance=1),
        "washout_days": 0,
        "readers": 2,
        "slots": 6,
        "shape": (1, HIGH, WIDE),
        "levels": levels,
        "seed": 7,
        **fields,
    }
    draft = small_study.small_draft(**values)
    cut = {sha: tiles_of(png, PixelRange(0, levels), side=SIDE) for sha, png in draft.pictures.items()}
    tiles = even({(sha, place): tile for sha, found in cut.items() for place, tile in found.items()})
    pictures = {sha: {place: tiles[sha, place] for place in found} for sha, found in cut.items()}
    cases = tuple(
        case.model_copy(update={"images": {arm: sha_of(pictures[sha]) for arm, sha in case.images.items()}})
        for case in draft.protocol.cases
    )
    protocol = draft.protocol.model_copy(update={"cases": cases})
    by_sha = {sha_of(picture): picture for picture in pictures.values()}
    study, _ = create_folder(path, type(draft)(**{**vars(draft), "protocol": protocol, "pictures": by_sha}))
    return study


def on_screen(page) -> list[np.ndarray]:
    """What the screen shows of every pane once all tiles of the view are there, as [H, W] of greys."""
    # In the first frame the viewer draws, and sees which tiles are missing; what it draws is painted by the next.
    page.evaluate(FRAMES)
    page.locator('#stage[aria-busy="false"]').wait_for()
    page.evaluate(FRAMES)
    shots = [pane.screenshot() for pane in page.locator("#stage .pane > .picture").all()]
    found = [np.array(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int) for shot in shots]
    return [shot[..., 1] for shot in found]


def greys(values: np.ndarray, level: float, width: float) -> np.ndarray:
    return np.clip(np.floor(255 * (values - (level - width / 2)) / width + 0.5), 0, 255).astype(int)


def lies_in(part: np.ndarray, zoom: int, shot: np.ndarray) -> bool:
    """Whether a picture, each pixel a square of ``zoom`` pixels, is on the screen around its middle."""
    high, wide = (side // 2 for side in shot.shape)
    piece = shot[high - 60 : high + 60, wide - 60 : wide + 60]
    large = part.repeat(zoom, axis=0).repeat(zoom, axis=1)
    if any(whole < 120 for whole in large.shape):
        return False
    rows = [at for at in range(large.shape[0] - 119) if _columns(large[at], piece[0])]
    return any(
        (large[row : row + 120, column : column + 120] == piece).all()
        for row in rows
        for column in _columns(large[row], piece[0])
    )


def _columns(line: np.ndarray, wanted: np.ndarray) -> list[int]:
    starts = np.flatnonzero(line[: len(line) - len(wanted) + 1] == wanted[0])
    return [int(at) for at in starts if (line[at : at + len(wanted)] == wanted).all()]


@pytest.mark.parametrize("ratio", [1, 1.25, 2])
def test_tiles_show_true_pixels_through_a_window_of_native_levels(tmp_path, person, monkeypatch, ratio):
    study = made(tmp_path / "study", monkeypatch, levels=4095)
    pictures = [np.rint(grain(number, 0, (1, HIGH, WIDE), 4095)[0].numpy() * 4095) for number in range(2)]
    with serving(study) as served:
        reader = person(served.address, device_scale_factor=ratio)
        reader.page.set_default_timeout(30_000)
        reader.begin(enrol(study, "A").code)
        zoom = reader.page.locator("#zoom")
        reader.page.click("#single")
        (shot,) = on_screen(reader.page)
        (case,) = [at for at in range(2) if lies_in(greys(pictures[at], 2047.5, 4095), 1, shot)]
        for key, step in (("+", 2), ("+", 3)):
            reader.page.keyboard.press(key)
            expect(zoom).to_have_text(f"{step} : 1")
            (shot,) = on_screen(reader.page)
            assert lies_in(greys(pictures[case], 2047.5, 4095), step, shot)
        reader.page.keyboard.press("w")
        reader.page.keyboard.press("Shift+ArrowLeft")
        (shot,) = on_screen(reader.page)
        assert lies_in(greys(pictures[case], 2047.5, 4095 / 1.15), 3, shot)
        for _ in range(3):
            reader.page.keyboard.press("-")
        expect(zoom).to_have_text("1 : 2")
        half = halved(pictures[case].astype(np.int64)[None])[0]
        (shot,) = on_screen(reader.page)
        assert lies_in(greys(half, 2047.5, 4095 / 1.15), 1, shot)
        reader.answer(1)
        reader.ready(2)
        reader.saved()
        with study.database.read() as session:
            shown = session.scalars(select(AnswerRow.shown)).one()
        assert (shown["zoom_last"], shown["zoom_most"]) == (0.5, 3)
        assert shown["width"] == pytest.approx(4095 / 1.15)


def test_a_pair_of_large_images_moves_together(tmp_path, person, monkeypatch):
    arms = (Arm(kind="adversarial", size=SIZE), Arm(kind="identical"))
    study = made(tmp_path / "study", monkeypatch, levels=255, tasks=("same",), arms=arms)
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(enrol(study, "A").code)
        reader.page.click("#single")
        reader.page.keyboard.press("+")
        reader.page.keyboard.press("Shift+ArrowUp")
        pane = reader.page.locator("#stage .pane").last.bounding_box()
        middle = pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2
        reader.page.mouse.move(*middle)
        reader.page.mouse.down()
        reader.page.mouse.move(middle[0] - 41, middle[1] - 23, steps=3)
        reader.page.mouse.up()
        left, right = on_screen(reader.page)
        room = min(left.shape[1], right.shape[1])
        assert (left[20:, 100 : room - 2] == right[20:, 100 : room - 2]).mean() > 0.99
        assert len(np.unique(left)) > 8
        assert not reader.page.locator("#window").is_visible()


def test_a_window_of_another_size_still_shows_true_pixels(tmp_path, person, monkeypatch):
    study = made(tmp_path / "study", monkeypatch, levels=255)
    pictures = [np.rint(grain(number, 0, (1, HIGH, WIDE), 255)[0].numpy() * 255) for number in range(2)]
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(enrol(study, "A").code)
        zoom = reader.page.locator("#zoom")

        def shown(step):
            for _ in range(20):  # the page is told of its size when the next frame is made
                (shot,) = on_screen(reader.page)
                if any(lies_in(picture.astype(int), step, shot) for picture in pictures):
                    return True
            return False

        # Whoever has not moved it sees the whole image again, else the zoom stays.
        for width, height, step in ((1000, 533, 1 / 2), (1990, 1301, 2)):
            reader.page.set_viewport_size({"width": width, "height": height})
            expect(zoom).to_have_text(f"{step} : 1" if step >= 1 else "1 : 2")
        assert shown(2)
        reader.page.keyboard.press("+")
        expect(zoom).to_have_text("3 : 1")
        reader.page.set_viewport_size({"width": 1111, "height": 777})
        assert shown(3)
        expect(zoom).to_have_text("3 : 1")


def test_tiles_wait_for_the_connection_and_nothing_is_seen_before_all_are_there(tmp_path, person, monkeypatch):
    study = made(tmp_path / "study", monkeypatch, levels=255)
    with serving(study) as served:
        reader = person(served.address, cut=True)
        reader.log_in(enrol(study, "A").code)
        reader.page.route("**/tiles/2/**", lambda route: route.abort("connectionreset"))
        reader.go_on("Your display")
        reader.go_on("Your diagnosis")
        expect(reader.page.locator("#stage")).to_have_class(re.compile("loading"))
        expect(reader.page.locator("#stage .picture")).to_be_hidden()
        reader.page.wait_for_timeout(500)
        assert reader.page.locator("#trial[data-ready]").count() == 0
        reader.page.unroute("**/tiles/2/**")
        reader.ready(1)
        expect(reader.page.locator("#stage .picture")).to_be_visible()


def test_while_coarser_tiles_stand_in_the_page_says_so(tmp_path, person, monkeypatch):
    study = made(tmp_path / "study", monkeypatch, levels=255)
    with serving(study) as served:
        reader = person(served.address, cut=True, viewport={"width": 950, "height": 450})
        reader.begin(enrol(study, "A").code)
        stage = reader.page.locator("#stage")
        expect(stage).to_have_attribute("aria-busy", "false")
        reader.page.route("**/tiles/**", lambda route: route.abort("connectionreset"))
        reader.page.keyboard.press("+")
        expect(stage).to_have_attribute("aria-busy", "true")
        reader.page.unroute("**/tiles/**")
        expect(stage).to_have_attribute("aria-busy", "false")
