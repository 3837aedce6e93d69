"""Which slides percuss tile is asked for, and which annotation belongs to which."""

from __future__ import annotations

import fnmatch
import glob
import tempfile
from collections.abc import Sequence
from pathlib import Path

from percuss.core.errors import DataError, UsageError, nearest
from percuss.data.slides.camelyon import not_exhaustive, trap
from percuss.pipeline.tile_plan import SlideJob

SYNTHETIC = "synthetic:slide"
ENDINGS = frozenset({".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".dcm", ".czi"})
_MASK = "_mask"
_MARKS = frozenset({".xml", ".tif", ".tiff"})
_DRAWN = {"seed": 0, "side": 2048, "tumours": 1}


def find_slides(given: str | Path | Sequence[str | Path], out: Path) -> list[SlideJob]:
    """The slides of some arguments, in order of name, before annotations.

    Each is a file, a pattern, a folder (its slides; a folder of DICOM files alone is one slide), or
    ``synthetic:slide?seed=0&side=2048&tumours=1``, which is drawn into ``out/slides``.

    Raises:
        UsageError: nothing fits an argument, two slides have one name, or an option of a drawn slide is unknown.
    """
    found: dict[str, SlideJob] = {}
    texts = [given] if isinstance(given, str | Path) else given
    for text in map(str, texts):
        for job in _drawn(text, out) if text.startswith("synthetic:") else _files(text):
            if job.name in found and found[job.name].path != job.path:
                raise UsageError(
                    "two slides have the same name",
                    value=f"{found[job.name].path} and {job.path}",
                    next_step="rename one, or cut them into folders of their own",
                )
            found[job.name] = job
    return [found[name] for name in sorted(found)]


def annotate(
    jobs: Sequence[SlideJob],
    annotations: Sequence[Path],
    *,
    normal: Sequence[str] = (),
    partial: Sequence[str] = (),
    outside: Sequence[str] = (),
) -> list[SlideJob]:
    """The slides with their annotations: a file for the only slide, or by name, as NAME.xml or NAME_mask.tif.

    Args:
        jobs: the slides.
        annotations: files, or folders that may hold files of other slides too. Letters count, not their case.
        normal: names or patterns of slides that hold no tumour.
        partial: names or patterns of slides that are not outlined everywhere; those that CAMELYON16's organisers
            list are known.
        outside: names or patterns of such slides where what lies outside the outlines counts as normal all the same.

    Raises:
        UsageError: an annotation of no slide, a pattern that fits none, or a slide declared normal that has one.
        DataError: a slide has two annotations.
    """
    marks: dict[str, list[Path]] = {}
    for place in annotations:
        for name, path in _marks(place, jobs):
            marks.setdefault(name, []).append(path)
    for option, patterns in (("--normal", normal), ("--not-exhaustive", partial), ("--count-outside", outside)):
        for pattern in patterns:
            if not any(_like(job.name, pattern) for job in jobs):
                raise UsageError(
                    f"{option} fits no slide", value=pattern, allowed=nearest(pattern, [job.name for job in jobs])
                )
    told = {"normal": normal, "partial": partial, "outside": outside}
    return [_annotated(job, marks.get(job.name.lower(), []), **told) for job in jobs]


def check_values(jobs: Sequence[SlideJob], values: str | None) -> None:
    """UsageError where a slide has a mask and nobody says what its values mean; before any slide is opened."""
    masks = [job.annotation for job in jobs if job.annotation is not None and job.annotation.suffix.lower() != ".xml"]
    if masks and values is None:
        raise UsageError(
            "the values of a mask have to be declared",
            value=masks[0],
            allowed="VALUE=normal|tumour|ignore by commas",
            next_step='say what they mean, for instance --values "0=normal,1=tumour"; conventions differ',
        )


def _annotated(
    job: SlideJob, marks: Sequence[Path], *, normal: Sequence[str], partial: Sequence[str], outside: Sequence[str]
) -> SlideJob:
    if len(marks) > 1:
        raise DataError(
            "a slide has two annotations", value=", ".join(map(str, marks)), next_step="give one of them alone"
        )
    annotation = marks[0] if marks else job.annotation
    told = trap(job.name)
    clean = job.normal or any(_like(job.name, pattern) for pattern in normal)
    if clean and annotation is not None:
        raise UsageError("a slide is declared normal and has an annotation", value=f"{job.name}: {annotation}")
    if clean and told and "holds tumour" in told:
        clean = False
    some = not_exhaustive(job.name) or any(_like(job.name, pattern) for pattern in partial)
    notes = [told] if told else []
    counted = some and any(_like(job.name, pattern) for pattern in outside)
    if counted:
        notes.append("Not outlined exhaustively: what lies outside its outlines counts as normal, as asked.")
    elif some:
        notes.append("Not outlined exhaustively: nothing outside its outlines is judged.")
    return SlideJob(job.name, job.path, annotation, clean, some, counted, tuple(notes))


def _like(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())


def _marks(place: Path, jobs: Sequence[SlideJob]) -> list[tuple[str, Path]]:
    """Name of the slide (in small letters) and file of each annotation at a place."""
    names = {job.name.lower() for job in jobs}
    if place.is_dir():
        files = sorted(path for path in place.iterdir() if _mark_of(path) in names)
        if not files:
            raise UsageError(
                "the folder holds no annotation of these slides",
                value=place,
                allowed="NAME.xml or NAME_mask.tif for a slide NAME.*",
                next_step="check the folder given with --annotations; slides without tumour need none: --normal NAME",
            )
        return [(str(_mark_of(path)), path) for path in files]
    if not place.is_file():
        raise UsageError("there are no such annotations", value=place, next_step="check the path of --annotations")
    if place.suffix.lower() not in _MARKS:
        raise UsageError(
            "the annotations are neither outlines nor a mask",
            value=place,
            allowed="outlines as .xml, a mask as .tif",
            next_step="export them in one of these forms",
        )
    if len(jobs) == 1:
        return [(jobs[0].name.lower(), place)]
    name = _mark_of(place)
    if name not in names:
        raise UsageError(
            "the annotations belong to no slide given",
            value=place,
            allowed=nearest(place.stem, [job.name for job in jobs]),
            next_step="name the file as its slide: NAME.xml or NAME_mask.tif",
        )
    return [(name, place)]


def _mark_of(path: Path) -> str | None:
    """Name, in small letters, of the slide that an annotation would belong to; None for other files."""
    stem, ending = path.stem.lower(), path.suffix.lower()
    if ending == ".xml":
        return stem
    return stem.removesuffix(_MASK) if ending in (".tif", ".tiff") and stem.endswith(_MASK) else None


def _files(text: str) -> list[SlideJob]:
    path = Path(text).expanduser()
    if path.is_dir():
        found = _in_folder(path)
    elif path.exists() or not glob.has_magic(text):
        found = [path]  # a file that is not there becomes a bad slide, beside the others
    else:
        names = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
        found = [Path(name) for name in names if not _is_mask(Path(name))]
    if not found:
        raise UsageError(
            "there is no slide here",
            value=text,
            allowed=f"files that end in {', '.join(sorted(ENDINGS))}",
            next_step="name the files themselves, or a folder that holds them",
        )
    return [SlideJob(file.name if file.is_dir() else file.stem, file) for file in found]


def _in_folder(path: Path) -> list[Path]:
    files = [file for file in sorted(path.iterdir()) if file.is_file() and not file.name.startswith(".")]
    slides = [file for file in files if file.suffix.lower() in ENDINGS and not _is_mask(file)]
    if len(slides) > 1 and all(file.suffix.lower() == ".dcm" for file in slides):
        return [path]
    return slides


def _is_mask(path: Path) -> bool:
    return path.stem.lower().endswith(_MASK)


def _drawn(text: str, out: Path) -> list[SlideJob]:
    """A slide drawn into ``out/slides``, once: the same options, the same slide."""
    kind, _, tail = text.partition("?")
    options: dict[str, int] = dict(_DRAWN)
    for part in filter(None, tail.split("&")):
        name, _, value = part.partition("=")
        if kind != SYNTHETIC or name not in options or not value.isdigit():
            raise UsageError(
                "a drawn slide has other options",
                value=text,
                allowed=f"{SYNTHETIC}?seed=0&side=2048&tumours=1",
                next_step="give whole numbers; --slide-mpp is not needed",
            )
        options[name] = int(value)
    if kind != SYNTHETIC:
        raise UsageError("no such drawn slide", value=kind, allowed=SYNTHETIC)
    name = "drawn_" + "_".join(f"{key}{value}" for key, value in options.items())
    image = out / "slides" / f"{name}.tif"
    marks = image.with_suffix(".xml")
    if not image.exists():
        _draw(image, options)
    return [SlideJob(name, image, marks if options["tumours"] else None, normal=not options["tumours"])]


def _draw(image: Path, options: dict[str, int]) -> None:
    """Beside its place first, so that a killed draw leaves nothing that looks like a slide."""
    from percuss.data.tissue.slide import write_slide
    from percuss.store.safe import SCRATCH, disk_errors

    with disk_errors(image):
        image.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=image.parent) as scratch:
        made = write_slide(
            Path(scratch) / image.name, options["seed"], side=options["side"], tumours=options["tumours"]
        )
        if made.outlines_file is not None:
            made.outlines_file.replace(image.with_suffix(".xml"))
        made.image.replace(image)
