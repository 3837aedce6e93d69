"""What the browser paints is what the files hold: every pixel, at whole steps, through the window of levels chosen."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import select
from tests.study.app.served import serving
from tests.study.small_study import make

from percuss.study.access import enrol
from percuss.study.tables import AnswerRow, PlaceRow

LEVELS = 4095


def files(study, number: int) -> list[np.ndarray]:
    """The images in a place of the only reader, left first, read by another PNG reader than the page's."""
    with study.database.read() as session:
        row = session.scalars(select(PlaceRow).where(PlaceRow.number == number)).one()
    names = [name for name in (row.left_file, row.right_file) if name]
    return [np.asarray(Image.open(study.folder.images / name)).astype(np.int64) for name in names]


def painted(reader, at: int = 0) -> np.ndarray:
    """The pixels of a canvas as the browser holds them, ``[height, width, 4]``."""
    reader.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    canvas = reader.page.locator("#stage canvas.picture").nth(at)
    text = canvas.evaluate("canvas => canvas.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGBA"))


def greys(pixels: np.ndarray, level: float, width: float) -> np.ndarray:
    """The grey of each level: black up to level - width / 2, white from level + width / 2."""
    return np.clip(np.floor(255 * (pixels - (level - width / 2)) / width + 0.5), 0, 255).astype(np.uint8)


def whole_steps(grey: np.ndarray, zoom: int, *, size: tuple[int, ...]) -> np.ndarray:
    """Grey pixels as squares of ``zoom`` by ``zoom``, in the middle of a canvas of this size."""
    high, wide = size
    block = np.kron(grey, np.ones((zoom, zoom), dtype=np.uint8))
    canvas = np.zeros((high, wide, 4), dtype=np.uint8)
    top, left = (
        int(np.floor(side / 2 - length * zoom / 2 + 0.5)) for side, length in zip(size, grey.shape, strict=True)
    )
    canvas[top : top + block.shape[0], left : left + block.shape[1], :3] = block[:, :, None]
    canvas[top : top + block.shape[0], left : left + block.shape[1], 3] = 255
    return canvas


@pytest.fixture
def deep(tmp_path, person):
    """A reader at the first trial of a study of 12 bits, on a screen with two device pixels for each of the page."""
    study, _ = make(tmp_path / "study", shape=(1, 16, 16), levels=LEVELS)
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address, device_scale_factor=2)
        reader.begin(code)
        yield reader, study


def test_window_and_level_of_12_bits_paint_what_was_computed(deep) -> None:
    reader, study = deep
    page, (image,) = reader.page, files(deep[1], 1)
    zoom = int(page.locator("#zoom").inner_text().split()[0])
    level, width = LEVELS / 2, float(LEVELS)

    def check() -> None:
        seen = painted(reader)
        assert np.array_equal(seen, whole_steps(greys(image, level, width), zoom, size=seen.shape[:2]))

    check()
    for key, factor in (("w", 1 / 1.15), ("w", 1 / 1.15), ("Shift+W", 1.15), ("w", 1 / 1.15)):
        page.keyboard.press(key)
        width *= factor
    for key, step in (("l", -0.02), ("l", -0.02), ("Shift+L", 0.02), ("l", -0.02)):
        page.keyboard.press(key)
        level += step * LEVELS
    check()
    box = page.locator("#stage canvas.picture").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x - 128, y - 64)
    page.mouse.up(button="right")
    level, width = level - 64 * LEVELS / 512, width - 128 * LEVELS / 512
    check()
    page.locator("#spread").click()
    level, width = (image.min() + image.max()) / 2, float(image.max() - image.min())
    # The page takes the window over both ends of what is there.
    check()
    page.locator("#level").fill("700")
    level, width = 700.0, float(page.locator("#width").input_value())
    check()
    reader.answer(1)
    reader.ready(2)
    reader.saved()
    with study.database.read() as session:
        shown = session.scalars(select(AnswerRow)).one().shown
    assert (shown["level"], shown["width"]) == (level, width)
    assert shown["zoom_last"] == zoom and shown["pixel_ratio"] == 2


def test_inverting_and_setting_back(deep) -> None:
    reader, _ = deep
    first = painted(reader)
    reader.page.keyboard.press("i")
    turned = painted(reader)
    assert np.array_equal(turned[:, :, 3], first[:, :, 3])
    inside = first[:, :, 3] == 255
    assert np.array_equal(turned[inside][:, :3], 255 - first[inside][:, :3])
    reader.page.keyboard.press("w")
    reader.page.keyboard.press("+")
    assert not np.array_equal(painted(reader), first)
    reader.page.keyboard.press("r")
    assert np.array_equal(painted(reader), first)


def test_zoom_and_pan_keep_true_pixels(tmp_path, person) -> None:
    study, _ = make(tmp_path / "study", tasks=("same",), shape=(3, 60, 80))
    code = enrol(study, "A").code
    with serving(study) as served:
        reader = person(served.address)
        reader.begin(code)
        images, page = files(study, 1), reader.page
        expect(page.locator("#window")).to_be_hidden()
        page.locator("#single").click()
        for zoom in (1, 2, 3, 4):
            for at in (0, 1):
                seen = painted(reader, at)
                high, wide = seen.shape[:2]
                ways = whole_steps(images[at][:, :, 1].astype(np.uint8), zoom, size=(high, wide))
                assert np.array_equal(seen[:, :, 1], ways[:, :, 1]) and np.array_equal(seen[:, :, 3], ways[:, :, 3])
            page.keyboard.press("+")
        page.keyboard.press("0")
        before = painted(reader)
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
        moved = [painted(reader, at) for at in (0, 1)]
        # Both move together, by 60 pixels each way.
        assert np.array_equal(moved[0][:-60, :-60, 3], before[60:, 60:, 3])
        assert np.array_equal(moved[0][:, :, 3], moved[1][:, :, 3])
