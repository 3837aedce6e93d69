"""Slides for the tests: drawn ones, plain TIFF pyramids, and valid DICOM as wsidicom and OpenSlide want it."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from percuss.data.tissue.slide import write_slide

SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"


def write_dicom(folder: Path, levels: list[np.ndarray], *, mpp: float, tile: int = 128) -> list[Path]:
    """One file for each level ``[height, width, 3]``, tiles along rows, padded with black."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series, frame = (generate_uid(entropy_srcs=[name]) for name in ("study", "series", "frame"))
    paths = []
    for number, level in enumerate(levels):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = SLIDE
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["instance", str(number)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"level_{number}.dcm"
        found = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        found.SOPClassUID, found.SOPInstanceUID = SLIDE, meta.MediaStorageSOPInstanceUID
        found.StudyInstanceUID, found.SeriesInstanceUID, found.FrameOfReferenceUID = study, series, frame
        found.Modality, found.InstanceNumber, found.SeriesNumber = "SM", number + 1, 1
        found.StudyDate = found.ContentDate = found.AcquisitionDateTime = "20240101"
        found.StudyTime = found.ContentTime = "120000"
        found.PatientID = found.PatientName = found.StudyID = found.AccessionNumber = "p"
        found.PatientBirthDate = found.PatientSex = found.ReferringPhysicianName = found.PositionReferenceIndicator = ""
        found.Manufacturer = found.ManufacturerModelName = found.DeviceSerialNumber = found.SoftwareVersions = "percuss"
        kind = "ORIGINAL" if number == 0 else "DERIVED"
        found.ImageType = [kind, "PRIMARY", "VOLUME", "NONE" if number == 0 else "RESAMPLED"]
        _pixels(found, level, tile)
        _places(found, level, mpp=mpp * levels[0].shape[0] / level.shape[0], full=(levels[0].shape, mpp))
        found.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _pixels(found: Dataset, level: np.ndarray, tile: int) -> None:
    height, width = level.shape[:2]
    down, across = -(-height // tile), -(-width // tile)
    padded = np.zeros((down * tile, across * tile, 3), np.uint8)
    padded[:height, :width] = level
    frames = padded.reshape(down, tile, across, tile, 3).transpose(0, 2, 1, 3, 4)
    found.SamplesPerPixel, found.PhotometricInterpretation, found.PlanarConfiguration = 3, "RGB", 0
    found.Rows = found.Columns = tile
    found.NumberOfFrames = down * across
    found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 8, 8, 7, 0
    found.BurnedInAnnotation, found.LossyImageCompression = "NO", "00"
    found.SpecimenLabelInImage, found.FocusMethod, found.ExtendedDepthOfField = "NO", "AUTO", "NO"
    found.VolumetricProperties = "VOLUME"
    found.TotalPixelMatrixRows, found.TotalPixelMatrixColumns = height, width
    found.TotalPixelMatrixFocalPlanes = found.NumberOfOpticalPaths = 1
    found.DimensionOrganizationType = "TILED_FULL"
    found.PixelData = frames.tobytes()


def _places(found: Dataset, level: np.ndarray, *, mpp: float, full: tuple[tuple[int, ...], float]) -> None:
    (height, width, _), finest = full
    found.ImagedVolumeHeight, found.ImagedVolumeWidth = height * finest / 1000, width * finest / 1000
    found.ImagedVolumeDepth = 1.0
    found.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 20, 40
    found.TotalPixelMatrixOriginSequence = Sequence([origin])
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [mpp / 1000, mpp / 1000], 0.001
    kind = Dataset()
    kind.FrameType = found.ImageType
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.WholeSlideMicroscopyImageFrameTypeSequence = Sequence([kind])
    found.SharedFunctionalGroupsSequence = Sequence([shared])
    organised = Dataset()
    organised.DimensionOrganizationUID = generate_uid(entropy_srcs=["dimension"])
    found.DimensionOrganizationSequence = Sequence([organised])
    lamp = Dataset()
    lamp.CodeValue, lamp.CodingSchemeDesignator, lamp.CodeMeaning = "111744", "DCM", "Brightfield illumination"
    colour = Dataset()
    colour.CodeValue, colour.CodingSchemeDesignator, colour.CodeMeaning = "414298005", "SCT", "Full Spectrum"
    path = Dataset()
    path.OpticalPathIdentifier = "0"
    path.IlluminationTypeCodeSequence, path.IlluminationColorCodeSequence = Sequence([lamp]), Sequence([colour])
    found.OpticalPathSequence = Sequence([path])
    found.ContainerIdentifier = "c"
    found.IssuerOfTheContainerIdentifierSequence = found.AcquisitionContextSequence = Sequence([])
    found.SpecimenDescriptionSequence = Sequence([])


@pytest.fixture(scope="session")
def dicom():
    """``write_dicom`` for tests."""
    return write_dicom


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A synthetic slide of 1024 pixels with a tumour: what was written."""
    pytest.importorskip("tifffile")
    return write_slide(tmp_path_factory.mktemp("drawn") / "slide.tif", 5, side=1024, mpp=0.5)


@pytest.fixture(scope="session")
def tiff():
    """Writes a tiled pyramid from pixels of level 0, halved by taking every second pixel."""
    tifffile = pytest.importorskip("tifffile")

    def write(path, pixels, *, mpp=None, levels=1, tile=64, **more):
        with tifffile.TiffWriter(path) as writer:
            for number in range(levels):
                across, down = (mpp, mpp) if isinstance(mpp, float) else mpp or (None, None)
                size = {"resolution": (1e4 / across, 1e4 / down), "resolutionunit": "CENTIMETER"} if mpp else {}
                writer.write(
                    np.ascontiguousarray(pixels[:: 2**number, :: 2**number]),
                    **{"tile": (tile, tile), "photometric": "rgb", "metadata": None, "compression": "adobe_deflate"}
                    | size | {"subfiletype": 1 if number else 0} | more,
                )  # fmt: skip
        return path

    return write


@pytest.fixture
def without(monkeypatch):
    """Make a package look as if it were not installed."""
    real = builtins.__import__

    def hide(name):
        def fake(asked, *rest, **more):
            if asked.split(".")[0] == name:
                raise ImportError(asked)
            return real(asked, *rest, **more)

        monkeypatch.setattr(builtins, "__import__", fake)

    return hide
