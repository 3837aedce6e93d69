"""The page's own reader of PNG files and its viewer: every pixel exactly as stored, at every zoom."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from percuss.core.pixel_range import PixelRange
from percuss.store.png import encode, uncompressed
from percuss.study.app import pages
from percuss.study.pictures import even

STATIC = pages._HERE / "static"
PACK = """
function packed(data) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}"""
BLANK = "<!DOCTYPE html><html><body><div id=stage></div></body></html>"
DECODE = """text => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  try {
    const found = readerStudy.png.decode(bytes.buffer);
    return Object.assign({}, found, {data: packed(found.data)});
  } catch (error) { return {refused: error.message}; }
}"""


def scripts(browser, change=lambda source: source, *, ratio=1):
    """A page of nothing but the scripts that read and show images."""
    made = browser.new_context(viewport={"width": 400, "height": 300}, device_scale_factor=ratio).new_page()
    made.set_content(BLANK)
    made.add_style_tag(content=(STATIC / "page.css").read_text())
    made.add_script_tag(content=PACK)
    for name in ("png.js", "grey.js", "pane.js", "pointer.js", "viewer.js"):
        made.add_script_tag(content=change((STATIC / name).read_text()))
    return made


@pytest.fixture(scope="module")
def page(browser):
    made = scripts(browser)
    yield made
    made.context.close()


def decoded(page, png: bytes) -> dict:
    found = page.evaluate(DECODE, base64.b64encode(png).decode())
    if "data" in found:
        found["data"] = np.frombuffer(base64.b64decode(found["data"]), "<u2" if found["bits"] == 16 else "u1")
    return found


def noise(channels: int, high: int, wide: int, levels: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, levels + 1, (channels, high, wide))


def stored(values: np.ndarray, levels: int) -> bytes:
    return uncompressed(encode(torch.tensor(values / levels), PixelRange(0, levels)))


@pytest.mark.parametrize("levels", [255, 4095, 65535])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("padded", [False, True])
def test_files_of_a_study_are_read_exactly(page, channels, levels, padded):
    values = noise(channels, 37, 251, levels)
    png = stored(values, levels)
    if padded:
        other = stored(noise(channels, 60, 300, levels), levels)
        longer = even({"a": png, "b": other})["a"]
        assert len(longer) > len(png)
        png = longer
    found = decoded(page, png)
    assert (found["width"], found["height"], found["channels"]) == (251, 37, channels)
    assert found["bits"] == (8 if levels == 255 else 16)
    assert (found["data"].reshape(37, 251, channels).transpose(2, 0, 1) == values).all()


def filtered(raw: np.ndarray, step: int, kinds: list[int]) -> bytes:
    """Lines of bytes, each under its filter of the PNG specification (section 9.2)."""
    out = b""
    for row, line in enumerate(raw.astype(int)):
        above = raw[row - 1].astype(int) if row else np.zeros_like(line)
        left = np.concatenate([np.zeros(step, int), line[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        guess = left + above - corner
        distances = np.abs(np.stack([left - guess, above - guess, corner - guess]))
        paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
        taken = [0 * line, left, above, (left + above) // 2, paeth][kinds[row % len(kinds)]]
        out += bytes([kinds[row % len(kinds)]]) + ((line - taken) % 256).astype("u1").tobytes()
    return out


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(
    lines: bytes, *, wide: int, high: int, bits: int = 8, kind: int = 0, level: int = 0, parts: int = 1
) -> bytes:
    packed = zlib.compress(lines, level)
    cuts = np.linspace(0, len(packed), parts + 1).astype(int)
    body = b"".join(chunk(b"IDAT", packed[a:b]) for a, b in pairwise(cuts))
    header = struct.pack(">IIBBBBB", wide, high, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tEXt", b"x\0y") + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(("bits", "kind"), [(8, 0), (8, 2), (16, 0), (16, 2)])
@pytest.mark.parametrize("kinds", [[0], [1], [2], [3], [4], [4, 3, 2, 1, 0]])
def test_every_filter_is_undone(page, bits, kind, kinds):
    channels, step = (3 if kind == 2 else 1), (3 if kind == 2 else 1) * bits // 8
    raw = np.random.default_rng(1).integers(0, 256, (9, 13 * step)).astype("u1")
    png = png_of(filtered(raw, step, kinds), wide=13, high=9, bits=bits, kind=kind, parts=3)
    wanted = raw if bits == 8 else np.ascontiguousarray(raw).view(">u2")
    assert decoded(page, png)["data"].tolist() == wanted.ravel().tolist()
    assert decoded(page, png)["channels"] == channels


def test_what_is_damaged_is_refused(page):
    lines = filtered(np.full((4, 5), 7, "u1"), 1, [0])
    good = png_of(lines, wide=5, high=4)
    assert decoded(page, good)["data"].tolist() == [7] * 20
    other = bytearray(good)
    other[good.index(b"\x07\x07\x07")] = 8
    faults = {
        "checksum": bytes(other),
        "ends too early": good[:-20],
        "not a PNG": b"GIF89a" + good,
        "compressed": png_of(lines * 50, wide=5, high=200, level=9),
        "damaged": png_of(lines + lines, wide=5, high=4),
        "checksum says": png_of(lines, wide=5, high=5),
        "filter": png_of(b"\x05" + lines[1:], wide=5, high=4),
        "grey or RGB": png_of(lines, wide=5, high=4, kind=3),
    }
    for word, png in faults.items():
        assert word in decoded(page, png).get("refused", "nothing"), word


SHOW = """async ({width, height, channels, levels, data, zoom, window, invert}) => {
  const stage = document.getElementById("stage");
  stage.className = "stage";
  Object.assign(stage.style, {width: "301px", height: "203px"});
  const viewer = readerStudy.viewer.open(stage, () => null);
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const picture = {width, height, channels, levels, data: levels > 255 ? new Uint16Array(bytes.buffer) : bytes};
  viewer.show([picture]);
  const step = readerStudy.pane.STEPS.indexOf(zoom) - readerStudy.pane.STEPS.indexOf(viewer.state().zoom_last);
  if (step) viewer.zoom(step, 0, 0);
  if (window) viewer.setWindow(window[0], window[1]);
  if (invert) viewer.invert();
  const canvas = stage.querySelector("canvas");
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const css = canvas.getBoundingClientRect();
  viewer.clear();
  return {width: canvas.width, height: canvas.height, ratio: devicePixelRatio, css: [css.width, css.height],
    data: packed(all.data)};
}"""


def shown(page, values: np.ndarray, *, levels: int, **settings) -> np.ndarray:
    """What the viewer paints, as [3, H, W] with -1 where there is nothing."""
    channels, high, wide = values.shape
    depth = "<u2" if levels > 255 else "u1"
    found = page.evaluate(
        SHOW,
        {
            "width": wide,
            "height": high,
            "channels": channels,
            "levels": levels,
            "data": base64.b64encode(values.transpose(1, 2, 0).astype(depth).tobytes()).decode(),
            "zoom": 1,
            **settings,
        },
    )
    assert (found["width"], found["height"]) == tuple(side * found["ratio"] for side in found["css"])
    pixels = np.frombuffer(base64.b64decode(found["data"]), "u1").astype(int)
    pixels = pixels.reshape(found["height"], found["width"], 4)
    painted = np.where(pixels[:, :, 3:] == 255, pixels[:, :, :3], -1)
    assert set(np.unique(pixels[:, :, 3])) <= {0, 255}
    return painted.transpose(2, 0, 1)


def expected(painted: np.ndarray, grey: np.ndarray, zoom: int) -> np.ndarray:
    """Each pixel of the image as a square of ``zoom`` pixels, in the middle."""
    _, high, wide = painted.shape
    large = grey.repeat(zoom, axis=1).repeat(zoom, axis=2)
    whole = np.full((3, high + 2 * large.shape[1], wide + 2 * large.shape[2]), -1)
    top = int(np.floor(high / 2 - large.shape[1] / 2 + 0.5)) + large.shape[1]
    left = int(np.floor(wide / 2 - large.shape[2] / 2 + 0.5)) + large.shape[2]
    whole[:, top : top + large.shape[1], left : left + large.shape[2]] = large
    return whole[:, large.shape[1] : large.shape[1] + high, large.shape[2] : large.shape[2] + wide]


@pytest.mark.parametrize("zoom", [1, 2, 3, 24])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_pixel_is_a_whole_square_and_nothing_is_blended(page, zoom, channels):
    values = noise(channels, 51, 70, 255)
    painted = shown(page, values, levels=255, zoom=zoom)
    assert (painted == expected(painted, np.broadcast_to(values, (3, 51, 70)), zoom)).all()


def test_a_reduced_image_shows_pixels_that_are_there(page):
    values = noise(1, 600, 900, 255)
    painted = shown(page, values, levels=255, zoom=1 / 3)
    assert (painted[0] >= 0).sum() == 300 * 200
    picked = painted[0][painted[0] >= 0].reshape(200, 300)
    assert any((picked == values[0, y::3, x::3]).all() for y in range(3) for x in range(3))


@pytest.mark.parametrize("invert", [False, True])
def test_a_window_is_applied_to_native_levels(page, invert):
    values = noise(1, 40, 60, 4095)
    level, width = 1000.5, 300
    painted = shown(page, values, levels=4095, window=[level, width], invert=invert)
    grey = np.clip(np.floor(255 * (values - (level - width / 2)) / width + 0.5), 0, 255)
    wanted = np.broadcast_to(255 - grey if invert else grey, (3, 40, 60))
    assert (painted == expected(painted, wanted, 1)).all()


def test_neighbouring_levels_can_be_told_apart(page):
    """The window of a few levels shows each as its own grey, whatever the depth of the file."""
    values = np.arange(30000, 30010).reshape(1, 1, 10).repeat(4, axis=1)
    painted = shown(page, values, levels=65535, window=[30004.5, 9])
    assert np.unique(painted[painted >= 0]).tolist() == [round(255 * step / 9) for step in range(10)]


def test_blending_would_be_seen(browser):
    """A planted fault: the same viewer with the browser's smoothing on."""
    smooth = scripts(browser, lambda source: source.replace("SmoothingEnabled = false", "SmoothingEnabled = true"))
    values = noise(1, 51, 70, 255)
    painted = shown(smooth, values, levels=255, zoom=3)
    smooth.context.close()
    assert (painted != expected(painted, np.broadcast_to(values, (3, 51, 70)), 3)).mean() > 0.3


@pytest.mark.parametrize("ratio", [1, 1.25, 1.5, 2, 3])
@pytest.mark.parametrize("place", [("13.4px", "21.7px"), ("10.6px", "9.2px"), ("0px", "52.3px")])
def test_the_screen_shows_the_canvas_pixel_by_pixel(browser, ratio, place):
    """Also where the page is scaled, and the image begins between two pixels of the screen."""
    page = scripts(browser, ratio=ratio)
    values = noise(1, 80, 90, 255)
    page.evaluate(
        """([data, width, height, left, top]) => {
          const stage = document.getElementById("stage");
          stage.className = "stage";
          Object.assign(stage.style, {position: "absolute", left, top, width: "301px", height: "203px"});
          const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
          readerStudy.viewer.open(stage, () => null).show([{width, height, channels: 1, levels: 255, data: bytes}]);
        }""",
        [base64.b64encode(values.astype("u1").tobytes()).decode(), 90, 80, *place],
    )
    screen = np.array(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)[..., 0]
    page.context.close()
    zoom = int(202 * ratio // 80)
    large = values[0].repeat(zoom, axis=0).repeat(zoom, axis=1)
    tops, lefts = (range(side - part + 1) for side, part in zip(screen.shape, large.shape, strict=True))
    assert any(
        (screen[top, left : left + 40] == large[0, :40]).all()
        and (screen[top : top + large.shape[0], left : left + large.shape[1]] == large).all()
        for top in tops
        for left in lefts
    )
