"""cifar10:FOLDER, CIFAR-10 in its binary version, or its Python version read without running anything in it."""

from __future__ import annotations

import codecs
import io
import pickle
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.arrays import ArraySet, changed, folder_of, row_of
from percuss.data.decode import Pixels, reading
from percuss.data.labels import check_classes
from percuss.data.options import check_names, spec_text
from percuss.data.splits import with_val

OPTIONS = ("size", "channels", "val", "seed")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS


def open_set(location: str, options: Mapping[str, str]) -> ArraySet:
    """Images of ``data_batch_1`` to ``5`` (train) and ``test_batch`` (test), with ``.bin`` (preferred) or pickled.

    Options: ``size``, ``channels``, ``val=0.1`` with ``seed`` (validation out of train). Pickles are read by an
    unpickler that knows arrays and nothing else. DataError where a batch is damaged or holds anything but its kind.
    """
    check_names(options, OPTIONS, "cifar10")
    batches = _batches(folder_of(location, "cifar10"))
    if not batches:
        raise DataError(
            "the folder holds no CIFAR-10 batch",
            value=location,
            allowed="data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the same without .bin",
            next_step="unpack the archive, and give the folder cifar-10-batches-bin",
        )
    entries = []
    for path in batches:
        labels, split = _batch(path, changed(path))[0], "test" if path.stem == "test_batch" else "train"
        if int(labels.max(initial=0)) >= len(CLASSES):
            raise DataError(
                "a batch holds a label beyond CIFAR-10's",
                value=f"{path}: {int(labels.max())}",
                allowed="0 to 9",
                next_step="load the archive of CIFAR-10 anew; CIFAR-100 has another layout",
            )
        entries += [
            Entry(f"{path.stem}/{row:05d}", int(value), split, source=str(path)) for row, value in enumerate(labels)
        ]
    check_classes(sorted({str(entry.target) for entry in entries}), "classify", f"the folder {location}")
    found = with_val(entries, options)
    spec = spec_text("cifar10", location, options)
    return ArraySet(spec, "classify", CLASSES, entries=found, how=reading(options), stored=_stored)


def _batches(root: Path) -> list[Path]:
    """The batches of one version, the binary one if both are there."""
    for folder, end in (("cifar-10-batches-bin", ".bin"), ("cifar-10-batches-py", "")):
        for home in (root, root / folder):
            found = [home / f"{name}{end}" for name in _BATCHES if (home / f"{name}{end}").is_file()]
            if found:
                return found
    return []


def _stored(entry: Entry) -> tuple[Pixels, None]:
    path = Path(entry.source)
    image: Pixels = _batch(path, changed(path))[1][row_of(entry)]
    return image.reshape(3, 32, 32), None


@lru_cache(maxsize=6)
def _batch(path: Path, _changed: int) -> tuple[Pixels, Pixels]:
    """Labels ``[N]`` and pixels ``[N, 3072]`` (red, green and blue planes) of one file, kept in memory."""
    data = path.read_bytes()
    return _records(path, data) if path.suffix == ".bin" else _pickled(path, data)


def _records(path: Path, data: bytes) -> tuple[Pixels, Pixels]:
    if not data or len(data) % _RECORD:
        raise DataError(
            "the batch is no whole number of records",
            value=f"{path}: {len(data)} bytes",
            allowed=f"{_RECORD} bytes for each image",
            next_step="unpack the archive anew",
        )
    table = np.frombuffer(data, dtype=np.uint8).reshape(-1, _RECORD)
    return table[:, 0], table[:, 1:]


def _pickled(path: Path, data: bytes) -> tuple[Pixels, Pixels]:
    try:
        found = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
        found = {key.decode() if isinstance(key, bytes) else key: value for key, value in found.items()}
        labels, pixels = np.asarray(found["labels"]), np.asarray(found["data"])
        sound = labels.ndim == 1 and labels.dtype.kind in "iu" and labels.min(initial=0) >= 0
        if not sound or pixels.dtype != np.uint8 or pixels.shape != (len(labels), _PIXELS):
            raise ValueError(f"labels {labels.dtype} {labels.shape}, data {pixels.dtype} {pixels.shape}")
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(
            "the pickled batch cannot be read safely",
            value=f"{path}: {error}",
            allowed="a dictionary with labels and data [N, 3072] of bytes, and no other object",
            next_step="take the binary version, cifar-10-batches-bin, which needs no pickle",
        ) from error
    return labels, pixels


class _ArraysOnly(pickle.Unpickler):
    """Knows what NumPy needs to rebuild an array; whatever else a pickle asks for is refused before it runs."""

    def find_class(self, module: str, name: str) -> Any:
        """One of four harmless names; UnpicklingError for all others."""
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.zeros(0).__reduce__()[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which could run code")


def miniature(folder: Path) -> str:
    """Write six batches of four records of the binary version, a harmful pickle beside them; return their spec."""
    home = folder / "cifar-10-batches-bin"
    home.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(_BATCHES):
        rows = [
            bytes([(4 * number + row) % 10])
            + ((np.arange(_PIXELS) * 3 + 17 * (4 * number + row)) % 256).astype(np.uint8).tobytes()
            for row in range(4)
        ]
        (home / f"{name}.bin").write_bytes(b"".join(rows))
    # A pickle that would run code stands beside: the binary version goes first, so nobody opens it.
    other = folder / "cifar-10-batches-py"
    other.mkdir(exist_ok=True)
    (other / "data_batch_1").write_bytes(b"cbuiltins\nexec\n(S'raise SystemExit'\ntR.")
    (home / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n", encoding="utf-8")
    return f"cifar10:{folder}"
