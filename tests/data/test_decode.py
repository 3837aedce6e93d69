"""Decoding: native depth, orientation, palettes, transparency, and everything that must be refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from percuss.core.errors import DataError
from percuss.core.images import PixelRange
from percuss.data.decode import Reading, decode, decode_mask, reading

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)
DEEP = (np.arange(12).reshape(3, 4) * 5000 + 7).astype(np.uint16)


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


def deep_png(pixels):
    """A 16-bit PNG of any channel count, written by hand since Pillow cannot."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def read(data, **options):
    return decode(data, "x", Reading(**options))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_eight_bit_is_read_as_stored(kind, pixels):
    got, levels = read(saved(pixels, kind))
    assert got.dtype == np.uint8 and levels == PixelRange(0, 255)
    assert np.array_equal(got, np.atleast_3d(pixels).transpose(2, 0, 1))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_every_value(kind):
    got, levels = read(saved(DEEP, kind))
    assert got.dtype == np.uint16 and levels == PixelRange(0, 65535)
    assert np.array_equal(got[0], DEEP)


def test_big_endian_sixteen_bit_tiff():
    image = Image.frombytes("I;16B", (4, 3), DEEP.astype(">u2").tobytes())
    assert np.array_equal(read(saved(image, "TIFF"))[0][0], DEEP)


def test_32_bit_storage_of_16_bit_values_and_values_beyond():
    wide = DEEP.astype(np.int32)
    assert np.array_equal(read(saved(wide, "TIFF"))[0][0], DEEP)
    with pytest.raises(DataError, match=r"leaves the 16-bit range: -9 to .*unsigned 16 bits"):
        read(saved(np.where(wide == wide.min(), -9, wide), "TIFF"))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_png_in_any_channels(channels):
    pixels = np.stack([DEEP + i for i in range(channels)], axis=2)
    if channels == 4:
        pixels[..., 3] = 65535
    got, levels = read(deep_png(pixels))
    assert got.dtype == np.uint16 and levels.levels == 65535
    assert np.array_equal(got, pixels.transpose(2, 0, 1)[: min(channels, 3)])


def deep_tiff(pixels, order="<", planar=1):
    """An uncompressed 16-bit colour TIFF in one strip, by hand: Pillow cannot write one."""
    height, width, channels = pixels.shape
    body = pixels.astype(f"{order}u2").tobytes()
    start = 8 + 2 + 12 * 10 + 4
    tags = [(256, 3, width), (257, 3, height), (259, 3, 1), (262, 3, 2), (277, 3, channels), (278, 3, height)]
    tags += [(258, 3, start), (273, 4, start + 2 * channels), (279, 4, len(body)), (284, 3, planar)]
    parts = b"".join(
        struct.pack(f"{order}HHI", tag, kind, channels if tag == 258 else 1)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 and tag != 258 else struct.pack(f"{order}I", value))
        for tag, kind, value in sorted(tags)
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, 10)
    return head + parts + b"\0" * 4 + struct.pack(f"{order}{channels}H", *[16] * channels) + body


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_colour_tiff_keeps_every_value(order):
    pixels = np.stack([DEEP, DEEP + 1, DEEP + 300], axis=2)
    got, levels = read(deep_tiff(pixels, order))
    assert levels.levels == 65535 and np.array_equal(got, pixels.transpose(2, 0, 1))


def test_sixteen_bit_colour_that_cannot_be_kept_is_refused_not_halved():
    grey_alpha = np.dstack([DEEP, np.full_like(DEEP, 65535)])
    with pytest.raises(DataError, match="16-bit colour in a form that could only be read as 8-bit.*16-bit RGB PNG"):
        read(deep_png(grey_alpha))
    with pytest.raises(DataError, match="16-bit colour in a form|cannot be read"):
        read(deep_tiff(np.dstack([DEEP] * 3), planar=2))


def test_sixteen_bit_colour_with_transparency():
    pixels = np.dstack([DEEP, DEEP, DEEP, np.full_like(DEEP, 13107)])
    with pytest.raises(DataError, match="partly transparent"):
        read(deep_png(pixels))
    assert np.array_equal(read(deep_png(pixels), alpha="white")[0][0], np.rint(DEEP * 0.2 + 65535 * 0.8))


def test_one_bit_is_black_and_white_on_the_eight_bit_scale():
    image = Image.fromarray(GREY > 100)
    assert image.mode == "1"
    assert np.array_equal(read(saved(image))[0][0], np.where(GREY > 100, 255, 0))


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_orientation_is_applied(tag, kind):
    block = np.kron(GREY, np.ones((8, 8), np.uint8))  # whole JPEG blocks, so that values survive
    upright = {
        1: block, 2: block[:, ::-1], 3: block[::-1, ::-1], 4: block[::-1],
        5: block.T, 6: block.T[:, ::-1], 7: block.T[::-1, ::-1], 8: block.T[::-1],
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = tag
    extra = {"quality": 100} if kind == "JPEG" else {}
    got = read(saved(block, kind, exif=exif, **extra))[0][0]
    assert got.shape == upright[tag].shape
    assert np.abs(got.astype(int) - upright[tag]).max() <= (1 if kind == "JPEG" else 0)


def test_orientation_of_sixteen_bit_and_mask():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert np.array_equal(read(saved(DEEP, exif=exif))[0][0], DEEP.T[:, ::-1])
    assert np.array_equal(decode_mask(saved(GREY, exif=exif), "x"), GREY.T[:, ::-1])


def palette(**options):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "L").convert("P")
    image.putpalette([250, 0, 0, 0, 200, 0, 9, 9, 90])
    return saved(image, **options)


def test_palette_gives_its_colours():
    got = read(palette())[0]
    assert got[:, 0, 0].tolist() == [250, 0, 0] and got[:, 0, 1].tolist() == [0, 200, 0]
    assert got[:, 1, 0].tolist() == [9, 9, 90]


def test_palette_with_transparency_is_refused_and_handled_on_request():
    data = palette(transparency=1)
    with pytest.raises(DataError, match=r"partly transparent.*50\.0%.*\?alpha=white.*\?alpha=drop"):
        read(data)
    assert read(data, alpha="white")[0][:, 0, 1].tolist() == [255, 255, 255]
    assert read(data, alpha="drop")[0][:, 0, 1].tolist() == [0, 200, 0]


@pytest.mark.parametrize("base", [GREY, COLOUR], ids=["LA", "RGBA"])
def test_alpha(base):
    body = np.atleast_3d(base)
    solid = np.dstack([body, np.full_like(GREY, 255)])
    assert np.array_equal(read(saved(solid))[0], body.transpose(2, 0, 1))
    half = np.dstack([body, np.full_like(GREY, 51)])
    with pytest.raises(DataError, match="image x is partly transparent"):
        read(saved(half))
    laid = np.rint(body * 0.2 + 255 * 0.8).transpose(2, 0, 1)
    assert np.array_equal(read(saved(half), alpha="white")[0], laid)
    assert np.array_equal(read(saved(half), alpha="drop")[0], body.transpose(2, 0, 1))


def test_colour_key_counts_as_transparency():
    with pytest.raises(DataError, match="partly transparent"):
        read(saved(COLOUR, transparency=tuple(int(v) for v in COLOUR[0, 0])))


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_other_colour_spaces_are_refused(mode):
    with pytest.raises(DataError, match=f"no single reading as RGB: {mode}.*colour profile"):
        read(saved(Image.new(mode, (4, 4)), "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_truncated_files_are_named(kind):
    data = saved(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8), kind)
    with pytest.raises(DataError, match="image x cannot be read.*mend or remove"):
        read(data[: len(data) // 2])


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images(data):
    with pytest.raises(DataError, match="image x cannot be read"):
        read(data)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_byte_gives_pixels_or_a_data_error(place, value):
    data = bytearray(saved(COLOUR))
    data[place % len(data)] = value
    try:
        got, levels = read(bytes(data))
    except DataError:
        return
    assert got.shape[0] in (1, 3) and got.max() <= levels.high


def test_several_pages_are_refused():
    pages = [Image.fromarray(GREY), Image.fromarray(GREY)]
    with pytest.raises(DataError, match="several pages: 2"):
        read(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))


def test_float_tiff():
    values = GREY.astype(np.float32)
    with pytest.raises(DataError, match="floating-point pixels, which have no native depth"):
        read(saved(values / 255, "TIFF"))
    broken = values.copy()
    broken[1, 1] = np.nan
    with pytest.raises(DataError, match="image x holds NaN or infinite pixels"):
        read(saved(broken, "TIFF"), bits=8)
    got, levels = read(saved(values, "TIFF"), bits=8)
    assert got.dtype == np.uint8 and levels == PixelRange(0, 255) and np.array_equal(got[0], GREY)


def test_declared_bits():
    data = saved((DEEP // 16).astype(np.uint16))
    assert read(data, bits=12)[1] == PixelRange(0, 4095)
    with pytest.raises(DataError, match=r"leaves its declared range: largest value 3437\. Allowed: 0 to 2047"):
        read(data, bits=11)
    with pytest.raises(DataError, match="16-bit read as 8-bit: bits=8"):
        read(data, bits=8)
    with pytest.raises(DataError, match="stored in 8 bits and cannot hold"):
        read(saved(GREY), bits=12)


def test_channels_are_changed_only_on_request():
    assert np.array_equal(read(saved(GREY), channels="rgb")[0], np.stack([GREY] * 3))
    assert np.array_equal(read(saved(np.dstack([GREY] * 3)), channels="grey")[0][0], GREY)
    luma = np.rint(COLOUR @ np.array([0.299, 0.587, 0.114]))
    assert np.array_equal(read(saved(COLOUR), channels="grey")[0][0], luma)
    assert np.array_equal(read(saved(DEEP), channels="grey")[0][0], DEEP)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_resizing_stays_on_the_native_grid(size):
    for pixels in (GREY, COLOUR, DEEP):
        got, levels = read(saved(pixels), size=size)
        assert got.dtype == pixels.dtype and got.shape[1:] == (size, size)
        assert pixels.min() <= got.min() and got.max() <= pixels.max() <= levels.high


def test_resizing_averages_and_leaves_the_right_size_alone():
    checks = np.kron(np.indices((16, 16)).sum(0) % 2 * 255, np.ones((2, 2))).astype(np.uint8)
    assert np.abs(read(saved(checks), size=8)[0].astype(int) - 128).max() < 40  # antialiased, not picked
    assert np.array_equal(read(saved(checks), size=32)[0][0], checks)


def test_masks():
    numbers = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    numbers.putdata([0, 1, 2, 1])
    assert decode_mask(saved(numbers), "x").tolist() == [[0, 1], [2, 1]]
    assert decode_mask(saved(numbers), "x", size=4).tolist()[0] == [0, 0, 1, 1]
    with pytest.raises(DataError, match="mask of x is not a single channel: RGB"):
        decode_mask(saved(COLOUR), "x")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "0"}, "size must be a whole number: 0"),
        ({"size": "big"}, "size must be a whole number: big"),
        ({"bits": "17"}, "bits must be a whole number: 17. Allowed: 1 to 16"),
        ({"channels": "gray"}, "channels has an unknown value: gray. Allowed: rgb, grey"),
        ({"alpha": "black"}, "alpha has an unknown value: black. Allowed: white, drop"),
    ],
)
def test_options_are_checked(options, words):
    with pytest.raises(DataError, match=words):
        reading(options)


def test_runs_know_their_images_by_a_text_that_new_options_leave_alone():
    """Fingerprints hold this text: were it to grow, no finished run would find its images again."""
    assert repr(Reading(size=8)) == "Reading(size=8, channels=None, bits=None, alpha=None, sharpen=False)"
    assert repr(Reading(stretch=True)) != repr(Reading()) and repr(Reading(sharpen=True)) != repr(Reading())
