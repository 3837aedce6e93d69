"""Options of class maps, whatever lists their files: names of classes, a value left out, tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from percuss.core.dense import IGNORE
from percuss.core.errors import DataError
from percuss.core.images import Entry
from percuss.data.decode import READING_OPTIONS, reading
from percuss.data.map_set import MapReading, MapSet, Part
from percuss.data.options import whole
from percuss.data.splits import check_entries, with_splits
from percuss.data.tiles import cut_up, cutting

#: Options of class maps alone.
MAP_OPTIONS = ("names", "ignore", "tile", "stride")
#: Options of every set of class maps from files.
SHARED_OPTIONS = (*READING_OPTIONS, "split", "seed", "task", *MAP_OPTIONS)
#: Classes where only the numbers of nuclei are known.
FOUND = ("background", "nucleus")


def open_files(
    spec: str, entries: Sequence[Entry], parts: Mapping[str, Part], *, options: Mapping[str, str], maps: bool
) -> MapSet:
    """The set of some files, with splits drawn and images cut where asked.

    Args:
        spec: its text.
        entries: one for each image, its file as ``source``.
        parts: the files of its maps, by id.
        options: those of the spec.
        maps: whether there are class maps; numbers of nuclei alone else.

    DataError where options make no sense, an id occurs twice, or a group stands in two splits.
    """
    classes, ignore, cut = named(options, maps), ignored(options, maps), cutting(options)
    listed = with_splits(entries, options)
    check_entries(listed)
    dropped = dict[str, int]()
    if cut is not None:
        listed, parts, dropped = cut_up(listed, parts, cut)
    found = MapSet(spec, classes, entries=listed, parts=parts, how=MapReading(reading(options), ignore))
    found.dropped = dropped
    return found


def ignored(options: Mapping[str, str], maps: bool) -> int | None:
    """The value that ``ignore=`` leaves out; DataError without class maps."""
    found = whole(options, "ignore", low=0, high=65535)
    if found is not None and not maps:
        raise DataError(
            "ignore speaks of class maps, and there are numbers of nuclei alone",
            value=found,
            next_step="leave it out, or give class maps too",
        )
    return found


def named(options: Mapping[str, str], maps: bool) -> tuple[str, ...]:
    """Class names; DataError where they are needed and missing, empty, repeated, or too few or many."""
    if "names" not in options:
        if not maps:
            return FOUND
        raise DataError(
            "the values of class maps have no names",
            allowed="names=background|A|B, in the order of the values 0, 1, 2",
            next_step="add ?names=background|... behind the data spec",
        )
    found = tuple(name.strip() for name in options["names"].split("|"))
    allowed = f"2 to {IGNORE} different names, background first" if maps else "two: the background and the nuclei"
    if not 2 <= len(found) <= (IGNORE if maps else 2) or not all(found) or len(set(found)) < len(found):
        raise DataError(
            "the names of classes do not fit",
            value=options["names"],
            allowed=allowed,
            next_step="give one for each value of the maps, with | between them",
        )
    return found
