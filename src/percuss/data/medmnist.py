"""medmnist:PATH.npz, a 2-D MedMNIST file with its own train, val and test splits, single- or multi-label."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from percuss.core.errors import DataError
from percuss.core.images import Case, Entry, ImageSet, Task
from percuss.data.decode import Reading, reading, shape
from percuss.data.labels import check_classes
from percuss.data.options import check_names, spec_text
from percuss.data.splits import check_entries, choose

OPTIONS = ("size", "channels", "bits", "names")
SPLITS = ("train", "val", "test")
_ORGANS = "bladder|femur-left|femur-right|heart|kidney-left|kidney-right|liver|lung-left|lung-right|pancreas|spleen"
#: Class names of the official files, by the name of the file; the files themselves hold only numbers.
_NAMES = {
    "pathmnist": "adipose|background|debris|lymphocytes|mucus|smooth muscle|normal colon mucosa|"
    "cancer-associated stroma|colorectal adenocarcinoma epithelium",
    "chestmnist": "atelectasis|cardiomegaly|effusion|infiltration|mass|nodule|pneumonia|pneumothorax|consolidation|"
    "edema|emphysema|fibrosis|pleural|hernia",
    "dermamnist": "actinic keratoses and intraepithelial carcinoma|basal cell carcinoma|benign keratosis-like lesions|"
    "dermatofibroma|melanoma|melanocytic nevi|vascular lesions",
    "octmnist": "choroidal neovascularization|diabetic macular edema|drusen|normal",
    "pneumoniamnist": "normal|pneumonia",
    "breastmnist": "malignant|normal, benign",
    "bloodmnist": "basophil|eosinophil|erythroblast|immature granulocytes|lymphocyte|monocyte|neutrophil|platelet",
    "tissuemnist": "Collecting Duct, Connecting Tubule|Distal Convoluted Tubule|Glomerular endothelial cells|"
    "Interstitial endothelial cells|Leukocytes|Podocytes|Proximal Tubule Segments|Thick Ascending Limb",
    "organamnist": _ORGANS,
    "organcmnist": _ORGANS,
    "organsmnist": _ORGANS,
}


class NpzSet(ImageSet):
    """Cases of one npz file; ids are ``SPLIT/NUMBER`` with the row number within the split."""

    def __init__(
        self, path: Path, spec: str, task: Task, *, classes: Sequence[str], entries: Sequence[Entry], how: Reading
    ) -> None:
        super().__init__(spec, task, classes, entries)
        self._path, self._how = path, how

    def read(self, case_id: str) -> Case:
        """One image, ``[1 or 3, height, width]``, uint8 before any option."""
        entry = self.entry(case_id)
        pixels, levels = shape(self._stored(case_id), case_id, self._how)
        target = entry.target if isinstance(entry.target, int) else np.array(entry.target)
        return Case(case_id, pixels, levels, target)

    def fingerprint(self, case_id: str) -> str:
        """SHA-256 (hex) of the stored values, their shape, the label and the reading options."""
        stored = self._stored(case_id)
        digest = hashlib.sha256(repr((self._how, self.entry(case_id).target, stored.shape)).encode())
        digest.update(stored.tobytes())
        return digest.hexdigest()

    def subset(self, split: str | None = None, ids: Sequence[str] | None = None) -> NpzSet:
        """The same set limited to a split or to some ids, order kept."""
        chosen = choose(self.entries, split, ids)
        return NpzSet(self._path, self.spec, self.task, classes=self.classes, entries=chosen, how=self._how)

    def _stored(self, case_id: str) -> np.ndarray[Any, Any]:
        split, _, number = case_id.partition("/")
        self.entry(case_id)
        # The time of change is part of the key, so that a rewritten file is read anew.
        image = _array(self._path, f"{split}_images", self._path.stat().st_mtime_ns)[int(number)]
        return image[None] if image.ndim == 2 else np.ascontiguousarray(image.transpose(2, 0, 1))


def open_set(location: str, options: Mapping[str, str]) -> NpzSet:
    """Images of a MedMNIST npz file (``train_images``, ``train_labels``, and so on; any splits of the three).

    Options: ``size``, ``channels``, ``bits``, and ``names=a|b|c`` for the class names in order.
    DataError where the file is missing, is no such file, or holds volumes.
    """
    check_names(options, OPTIONS, "medmnist")
    path = Path(location).expanduser()
    shapes = _shapes(path)
    labels = {split: _labels(path, split, shapes) for split in SPLITS if f"{split}_images" in shapes}
    if not labels:
        raise DataError(
            "the file holds no MedMNIST split",
            value=", ".join(shapes) or "nothing",
            allowed="train_images, train_labels, val_images, ...",
            next_step="give the npz file as MedMNIST distributes it",
        )
    for split, values in labels.items():
        _check_shape(shapes[f"{split}_images"], split, len(values))
    if len({values.shape[1] for values in labels.values()}) > 1:
        raise DataError("the splits have different numbers of labels", value=location)
    table = np.concatenate(list(labels.values()))
    task: Task = "classify" if table.shape[1] == 1 else "multilabel"
    classes = _classes(path, table, task, names=options.get("names"))
    entries = [
        Entry(
            f"{split}/{row:06d}",
            int(value[0]) if task == "classify" else tuple(int(part) for part in value),
            split,
            source=str(path),
        )
        for split, values in labels.items()
        for row, value in enumerate(values)
    ]
    check_entries(entries)
    how = reading({name: value for name, value in options.items() if name != "names"})
    return NpzSet(path, spec_text("medmnist", location, options), task, classes=classes, entries=entries, how=how)


@lru_cache(maxsize=3)
def _array(path: Path, key: str, changed: int) -> np.ndarray[Any, Any]:
    """One array of the file, kept in memory while its split is in use."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found: np.ndarray[Any, Any] = file[key]
            return found
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{key} cannot be read", value=f"{path}: {error}", next_step="load the file anew") from error


def _shapes(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every array, from the headers alone."""
    if not path.is_file():
        raise DataError("the npz file does not exist", value=str(path), next_step="check the path behind medmnist:")
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for item in archive.namelist():
                with archive.open(item) as stream:
                    version = np.lib.format.read_magic(stream)
                    reader = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    size, _, kind = reader(stream)
                    found[item.removesuffix(".npy")] = (size, str(kind))
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
        raise DataError(
            "the file is no npz file", value=f"{path}: {error}", next_step="load the file anew from MedMNIST"
        ) from error
    return found


def _labels(
    path: Path, split: str, shapes: Mapping[str, tuple[tuple[int, ...], str]]
) -> np.ndarray[tuple[int, int], Any]:
    key = f"{split}_labels"
    if key not in shapes:
        raise DataError(f"the file has {split}_images but no {key}", value=str(path))
    values = _array(path, key, path.stat().st_mtime_ns)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or values.dtype.kind not in "iub" or int(values.min(initial=0)) < 0:
        raise DataError(
            f"{key} are no labels",
            value=f"{values.dtype} {values.shape}",
            allowed="whole numbers from 0, [N, 1] or [N, K]",
        )
    if values.shape[1] > 1 and int(values.max(initial=0)) > 1:
        raise DataError(f"{key} are no 0/1 labels", value=int(values.max()), allowed="0 or 1 where there are several")
    return values


def _check_shape(header: tuple[tuple[int, ...], str], split: str, rows: int) -> None:
    size, kind = header
    if kind not in ("uint8", "uint16"):
        raise DataError(
            f"{split}_images are not stored grey levels",
            value=kind,
            allowed="uint8, uint16",
            next_step="give the npz file as MedMNIST distributes it",
        )
    if len(size) not in (3, 4) or (len(size) == 4 and size[3] != 3):
        hint = "3-D MedMNIST sets are not supported" if len(size) > 3 else "give the file as MedMNIST distributes it"
        raise DataError(
            f"{split}_images are no 2-D images",
            value=size,
            allowed="[N, height, width] or [N, height, width, 3]",
            next_step=hint,
        )
    if size[0] != rows:
        raise DataError(f"{split} has {size[0]} images but {rows} labels")


def _classes(path: Path, table: np.ndarray[tuple[int, int], Any], task: Task, *, names: str | None) -> tuple[str, ...]:
    """Names given, or of the official file, or numbers."""
    needed = int(table.max(initial=0)) + 1 if task == "classify" else table.shape[1]
    if task == "classify":
        check_classes([str(value) for value in np.unique(table)], task, f"the file {path.name}")
    if names is not None:
        given = tuple(part.strip() for part in names.split("|"))
        if len(given) < needed or len(set(given)) < len(given) or "" in given:
            raise DataError("the names do not fit the labels", value=names, allowed=f"{needed} different names, a|b|c")
        return given
    official = tuple(_NAMES.get(re.sub(r"_(64|128|224)$", "", path.stem), "").split("|"))
    fits = len(official) >= needed if task == "classify" else len(official) == needed
    return official if fits and official != ("",) else tuple(str(number) for number in range(needed))


def miniature(folder: Path) -> str:
    """Write a file of twelve 28 x 28 grey images with two classes in three splits; return its spec."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    for number, split in enumerate(SPLITS):
        images = (np.arange(4 * 784).reshape(4, 28, 28) % 200 + number).astype(np.uint8)
        arrays[f"{split}_images"] = images + np.arange(4, dtype=np.uint8)[:, None, None] * 3
        arrays[f"{split}_labels"] = np.array([[0], [1], [0], [1]], dtype=np.uint8)
    path = folder / "pneumoniamnist.npz"
    np.savez_compressed(path, **arrays)
    return f"medmnist:{path}"
