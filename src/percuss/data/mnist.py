"""mnist:FOLDER, the four idx files of MNIST or of a set in its format, packed with gzip or not."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.arrays import ArraySet, changed, folder_of, row_of
from percuss.data.decode import Pixels, reading
from percuss.data.labels import check_classes
from percuss.data.options import check_names, spec_text
from percuss.data.splits import with_val

OPTIONS = ("size", "channels", "names", "val", "seed")
IMAGES, LABELS = 2051, 2049
_SPLITS = {"train": "train", "test": "t10k"}
_HOMES = ("", "raw", "MNIST/raw", "MNIST")


def open_set(location: str, options: Mapping[str, str]) -> ArraySet:
    """Images of idx files in ``location`` (or ``raw``, ``MNIST/raw`` in it), in the splits train and test as given.

    Options: ``size``, ``channels``, ``names=a|b|c`` (class names), ``val=0.1`` with ``seed`` (validation out of train).
    DataError where a file is missing, damaged, or not what its name says.
    """
    check_names(options, OPTIONS, "mnist")
    root = folder_of(location, "mnist")
    entries: list[Entry] = []
    for split, stem in _SPLITS.items():
        images, labels = _find(root, f"{stem}-images", 3), _find(root, f"{stem}-labels", 1)
        if images is None and labels is None:
            continue
        if images is None or labels is None:
            raise DataError(
                f"the split {split} lacks its {'images' if images is None else 'labels'}",
                value=str(images or labels),
                next_step=f"put {stem}-images-idx3-ubyte and {stem}-labels-idx1-ubyte side by side",
            )
        entries += _entries(split, images, labels)
    if not entries:
        raise DataError(
            "the folder holds no idx files",
            value=location,
            allowed="train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., with .gz or without",
            next_step="check the path behind mnist:",
        )
    classes = _classes(entries, options.get("names"))
    check_classes(sorted({str(entry.target) for entry in entries}), "classify", f"the folder {location}")
    found = with_val(entries, options)
    return ArraySet(
        spec_text("mnist", location, options), "classify", classes, entries=found, how=reading(options), stored=_stored
    )


def _find(root: Path, stem: str, dims: int) -> Path | None:
    """The file of this stem, in any usual spelling; one that is not packed goes first (some tools leave both)."""
    names = [f"{stem}{dash}idx{dims}-ubyte{end}" for end in ("", ".gz") for dash in ("-", ".")]
    found = (root / home / name for home in _HOMES for name in names)
    return next((path for path in found if path.is_file()), None)


def _entries(split: str, images: Path, labels: Path) -> list[Entry]:
    count = _header(images, IMAGES)[0]
    values = _values(labels, LABELS, changed(labels))
    if len(values) != count:
        raise DataError(
            f"the split {split} has {count} images but {len(values)} labels",
            value=f"{images.name} and {labels.name}",
            next_step="load both files anew, from one source",
        )
    return [Entry(f"{split}/{row:05d}", int(value), split, source=str(images)) for row, value in enumerate(values)]


def _stored(entry: Entry) -> tuple[Pixels, None]:
    path = Path(entry.source)
    image: Pixels = _values(path, IMAGES, changed(path))[row_of(entry)]
    return image[None], None


def _read(path: Path, count: int) -> bytes:
    """The first ``count`` bytes as unpacked; all of them for -1."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return stream.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError("the idx file cannot be read", value=f"{path}: {error}", next_step="load it anew") from error


def _header(path: Path, magic: int) -> tuple[int, ...]:
    """The sizes in the head of a file, after its magic number was checked."""
    dims = magic & 0xFF
    head = _read(path, 4 + 4 * dims)
    if len(head) < 4 + 4 * dims or struct.unpack(">I", head[:4])[0] != magic:
        raise DataError(
            "the file does not start as an idx file of this kind",
            value=f"{path}: {head[:4]!r}",
            allowed=f"magic number {magic} ({'images' if magic == IMAGES else 'labels'}), bytes",
            next_step="load it anew; a web page may have been saved in its place, or images and labels swapped",
        )
    return struct.unpack(f">{dims}I", head[4:])


@lru_cache(maxsize=4)
def _values(path: Path, magic: int, _changed: int) -> Pixels:
    """The array of one file, kept in memory while its split is in use."""
    sizes = _header(path, magic)
    data = np.frombuffer(_read(path, -1), dtype=np.uint8, offset=4 + 4 * len(sizes))
    if data.size != int(np.prod(sizes)):
        raise DataError(
            "the idx file is longer or shorter than its head says",
            value=f"{path}: {data.size} bytes",
            allowed=f"{int(np.prod(sizes))} for {sizes}",
            next_step="load it anew",
        )
    return data.reshape(sizes)


def _classes(entries: list[Entry], names: str | None) -> tuple[str, ...]:
    needed = max(int(entry.target) for entry in entries if isinstance(entry.target, int)) + 1
    if names is None:
        return tuple(str(number) for number in range(max(needed, 10)))
    given = tuple(part.strip() for part in names.split("|"))
    if len(given) < needed or len(set(given)) < len(given) or "" in given:
        raise DataError("the names do not fit the labels", value=names, allowed=f"{needed} different names, a|b|c")
    return given


def miniature(folder: Path) -> str:
    """Write twenty training images (gzip) and five test images (plain, names with a dot); return their spec."""
    home = folder / "MNIST" / "raw"
    home.mkdir(parents=True, exist_ok=True)
    for stem, count in (("train", 20), ("t10k", 5)):
        images = (np.arange(count * 784).reshape(count, 28, 28) * 7 % 251).astype(np.uint8)
        data = struct.pack(">4I", IMAGES, count, 28, 28) + images.tobytes()
        labels = struct.pack(">2I", LABELS, count) + bytes(number % 10 for number in range(count))
        if stem == "train":
            (home / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(data, mtime=0))
            (home / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, mtime=0))
        else:
            (home / "t10k-images.idx3-ubyte").write_bytes(data)
            (home / "t10k-labels.idx1-ubyte").write_bytes(labels)
    return f"mnist:{folder}"
