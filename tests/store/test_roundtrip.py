"""Files give back the levels they hold: exactly where the format is lossless, within its step else."""

import io

import pytest
import torch
from PIL import Image

from percuss.core.errors import UsageError
from percuss.core.images import PixelRange
from percuss.store.roundtrip import FORMATS, formats_for, packed, round_trips

CT = PixelRange(-1350, 150, 1, "HU")


def drawn(channels, levels, n=2, side=17):
    rng = torch.Generator().manual_seed(channels + levels)
    return torch.randint(0, levels + 1, (n, channels, side, side + 1), generator=rng).float() / levels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pixels", [PixelRange(), PixelRange(0, 4095), PixelRange(0, 65535), CT])
@pytest.mark.parametrize("name", ["native", "png"])
def test_lossless_formats_give_levels_back(channels, pixels, name):
    images = drawn(channels, pixels.levels)
    assert (round_trips(images, FORMATS[name], pixels) - images).abs().max() <= 1e-7


@pytest.mark.parametrize("channels, bits", [(1, 8), (1, 12), (1, 16), (3, 8)])
@pytest.mark.parametrize("pixels", [PixelRange(), CT])
def test_dicom_keeps_its_own_levels(channels, bits, pixels):
    images = drawn(channels, 2**bits - 1)
    found = round_trips(images, FORMATS[f"dicom{bits}"], pixels)
    assert (found - images).abs().max() <= 2e-7
    between = (images + 0.4 / (2**bits - 1)).clamp(0, 1)
    assert (round_trips(between, FORMATS[f"dicom{bits}"], pixels) - images).abs().max() <= 2e-7


def test_dicom_is_a_file_of_explicit_little_endian_in_hounsfield_units():
    from pydicom import dcmread
    from pydicom.pixels import apply_rescale

    image = drawn(1, 1500)[0]
    found = dcmread(io.BytesIO(packed(image, FORMATS["dicom12"], CT)))
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert (found.BitsAllocated, found.BitsStored, found.HighBit, found.RescaleType) == (16, 12, 11, "HU")
    native = torch.from_numpy(apply_rescale(found.pixel_array, found))
    assert (native - (image[0] * 1500 - 1350)).abs().max() < 0.5 * 1500 / 4095 + 1e-3


def test_jpeg_is_that_of_the_imaging_library_and_colour_suffers_from_subsampling():
    image = drawn(3, 255)[0]
    file = io.BytesIO()
    Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=90)
    assert packed(image, FORMATS["jpeg90"], PixelRange()) == file.getvalue()
    gaps = {
        name: float((round_trips(image[None], FORMATS[name], PixelRange())[0] - image).abs().mean())
        for name in ("jpeg95", "jpeg95-444", "jpeg80-444")
    }
    assert gaps["jpeg95-444"] < gaps["jpeg80-444"] and gaps["jpeg95-444"] < gaps["jpeg95"]


def test_formats_fit_the_channels():
    assert [item.name for item in formats_for(3)] == ["native", "png", "dicom8", "jpeg95-444", "jpeg90-444",
                                                      "jpeg80-444", "jpeg95", "jpeg90", "jpeg80"]  # fmt: skip
    assert "dicom12" in [item.name for item in formats_for(1)]
    with pytest.raises(UsageError, match="dicom12"):
        formats_for(3, ["dicom12"])
    with pytest.raises(UsageError, match="unknown format"):
        formats_for(1, ["jpg"])
