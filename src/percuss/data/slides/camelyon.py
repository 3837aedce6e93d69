"""CAMELYON16 on disk: which slide has which annotation, mask, class and centre, in both distributed layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from percuss.core.errors import DataError
from percuss.data.slides.camelyon_reference import CENTRES, Reference, find_reference

# The organisers' list of training slides whose tumour is not outlined everywhere.
_PARTIAL_TRAINING = (10, 15, 18, 20, 25, 29, 33, 34, 44, 46, 51, 54, 55, 56, 67, 79, 85, 92, 95, 110)
PARTIAL = frozenset(f"tumor_{number:03d}" for number in _PARTIAL_TRAINING) | {"test_114"}

_TRAPS = {
    "normal_086": "normal_086 was withdrawn as a normal slide: it holds tumour and is distributed as tumor_111.",
    "test_049": "test_049 was withdrawn as the duplicate of another slide; counting it counts a patient twice.",
    "normal_144": "normal_144 has been reported as unreadable by some readers.",
}
_LAYOUTS = "training/normal, training/tumor and testing/images, or images, annotations and masks"


@dataclass(frozen=True)
class CamelyonSlide:
    """One slide of CAMELYON16.

    Attributes:
        name: in small letters without ending, such as "tumor_110".
        image: the TIFF.
        annotation: the ASAP XML, None where there is none.
        mask: the mask pyramid, None where there is none.
        split: "train" or "test".
        tumour: whether the slide holds tumour, None where nothing says.
        centre: "RUMC" or "UMCU", None where nothing says.
        exhaustive: whether every tumour is outlined; a slide that is not must not give negatives.
        notes: what a report should say of this slide.
    """

    name: str
    image: Path
    annotation: Path | None
    mask: Path | None
    split: str
    tumour: bool | None
    centre: str | None
    exhaustive: bool
    notes: tuple[str, ...]


def slide_name(name: str | Path) -> str:
    """The name of a slide in small letters, without folder, ending or "_mask": "x/Tumor_110.tif" is "tumor_110"."""
    stem = Path(str(name)).name
    for ending in (".tif", ".tiff", ".xml", ".png"):
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
    return stem.lower().removesuffix("_mask")


def not_exhaustive(name: str | Path) -> bool:
    """Whether the organisers list a slide as not outlined exhaustively: 20 training slides and test_114.

    Args:
        name: name or path of a slide, in small or capital letters.
    """
    return slide_name(name) in PARTIAL


def trap(name: str | Path) -> str | None:
    """What is known to be wrong with a slide of this name, as a sentence; None for most."""
    return _TRAPS.get(slide_name(name))


def read_camelyon(folder: Path | str) -> tuple[CamelyonSlide, ...]:
    """The slides in a folder of CAMELYON16, in order of split (train first) and name. No pixel is read.

    Either layout: that of GigaDB (``training/normal``, ``training/tumor``, ``training/lesion_annotations``,
    ``testing/images``, ``testing/lesion_annotations``, ``testing/reference.csv`` without a header) or that of the AWS
    bucket (``images``, ``annotations``, ``masks``, ``evaluation/reference.csv`` with one). A part of the slides is
    fine. Names may be capitalised, also differently in the slide and its annotation.

    Raises:
        DataError: neither layout, no slide, annotations still packed in a zip, two slides or annotations of one name,
            a damaged reference, or a reference that contradicts a slide's name.
    """
    home = Path(folder)
    if not home.is_dir():
        raise DataError("there is no such folder", value=home, next_step="check the path")
    found = _gigadb(home) if (home / "training").is_dir() or (home / "testing").is_dir() else _bucket(home)
    return tuple(sorted(found, key=lambda slide: (slide.split != "train", slide.name)))


def _gigadb(home: Path) -> list[CamelyonSlide]:
    """Layout of GigaDB."""
    references = find_reference(home / "testing" / "reference.csv", slide_name)
    found = []
    for part in ("training", "testing"):
        places = [home / part / name for name in ("normal", "tumor", "images")]
        slides = _named([file for place in places for file in _files(place, ".tif")])
        marks = _annotations(home / part)
        found += [_slide(name, slides, marks, references=references) for name in slides]
    return _some(found, home)


def _bucket(home: Path) -> list[CamelyonSlide]:
    """Layout of the AWS bucket."""
    references = find_reference(home / "evaluation" / "reference.csv", slide_name)
    slides = _named(_files(home / "images", ".tif"))
    marks = _named(_files(home / "annotations", ".xml"))
    masks = _named(_files(home / "masks", ".tif"))
    return _some([_slide(name, slides, marks, masks=masks, references=references) for name in slides], home)


def _slide(
    name: str,
    slides: Mapping[str, Path],
    marks: Mapping[str, Path],
    *,
    references: Mapping[str, Reference],
    masks: Mapping[str, Path] | None = None,
) -> CamelyonSlide:
    image, mark, mask = slides[name], marks.get(name), (masks or {}).get(name)
    kind, reference = name.split("_", maxsplit=1)[0], references.get(name)
    by_name = {"tumor": True, "normal": False}.get(kind)
    if by_name is None and kind != "test":
        raise DataError(
            "the name is none of CAMELYON16", value=image, allowed="normal_001, tumor_001, test_001 and so on"
        )
    if reference is not None and by_name is not None and reference.tumour != by_name:
        raise DataError(
            "the reference contradicts the name of a slide",
            value=f"{name} is {'tumor' if reference.tumour else 'negative'} in the reference",
            next_step="correct the reference or the name",
        )
    tumour = by_name if reference is None else reference.tumour
    notes = [note for note in (trap(name),) if note]
    if name in PARTIAL:
        notes.append(f"The organisers list {name} as not outlined exhaustively; it gives no negatives.")
    if tumour is None:
        notes.append(f"Nothing says whether {name} holds tumour: it is not in a reference.")
    if tumour and mark is None and mask is None:
        notes.append(f"{name} holds tumour, and no annotation or mask of it is here.")
    if tumour is False and mark is not None:
        raise DataError(
            "a slide without tumour has an annotation", value=f"{name}: {mark}", next_step="check the reference"
        )
    split = "test" if kind == "test" else "train"
    centre = None if reference is None else reference.centre
    # A withdrawn normal slide holds tumour that nobody outlined.
    exhaustive = name not in PARTIAL and name != "normal_086" and not (tumour and mark is None and mask is None)
    return CamelyonSlide(name, image, mark, mask, split, tumour, centre, exhaustive, tuple(notes))


def _annotations(part: Path) -> dict[str, Path]:
    """Annotations of a part of GigaDB's layout: unpacked into a folder of the zip's name, or beside it."""
    found = _files(part / "lesion_annotations", ".xml") + _files(part, ".xml")
    packed = part / "lesion_annotations.zip"
    if not found and packed.is_file():
        raise DataError(
            "the annotations are still packed",
            value=packed,
            next_step=f"unzip it into {part / 'lesion_annotations'}",
        )
    return _named(found)


def _files(folder: Path, ending: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ending and not file.name.startswith("."))


def _named(files: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        name = slide_name(file)
        if name in found:
            raise DataError(
                "two files have the name of one slide", value=f"{found[name]}, {file}", next_step="keep one of them"
            )
        found[name] = file
    return found


def _some(slides: list[CamelyonSlide], home: Path) -> list[CamelyonSlide]:
    if not slides:
        raise DataError("there is no slide of CAMELYON16", value=home, allowed=_LAYOUTS)
    return slides


__all__ = ["CENTRES", "PARTIAL", "CamelyonSlide", "not_exhaustive", "read_camelyon", "slide_name", "trap"]
