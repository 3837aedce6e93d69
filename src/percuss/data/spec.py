"""The text that names a data set, ``scheme:LOCATION?key=value&key=value``, and how it is opened."""

from __future__ import annotations

import re
from pathlib import Path

from percuss.core import catalogue
from percuss.core.errors import DataError, nearest
from percuss.core.images import ImageSet

_TAIL = re.compile(r"^[A-Za-z_]+=[^&]*(&[A-Za-z_]+=[^&]*)*$")


def parse_spec(spec: str) -> tuple[str, str, dict[str, str]]:
    """Scheme, location and options of a spec. DataError where there is no scheme, or an option is no key=value."""
    scheme, colon, rest = spec.strip().partition(":")
    if not colon or not re.fullmatch(r"[a-z][a-z0-9_-]+", scheme):
        hint = "csv" if spec.endswith(".csv") else "medmnist" if spec.endswith(".npz") else "folder"
        raise DataError(
            "the data spec names no scheme",
            value=spec,
            allowed="scheme:LOCATION?key=value",
            next_step=f"write {hint}:{spec}",
        )
    location, mark, tail = rest.rpartition("?")
    # A question mark may belong to a file name; only an existing path is read that way.
    if not mark or (not _TAIL.match(tail) and Path(rest).exists()):
        location, tail = rest, ""
    elif not _TAIL.match(tail):
        raise DataError("options are not key=value pairs", value=tail, allowed="key=value&key=value")
    options: dict[str, str] = {}
    for pair in filter(None, tail.split("&")):
        name, _, value = pair.partition("=")
        if name in options:
            raise DataError(f"the option {name} is given twice", value=spec)
        options[name] = value
    return scheme, location, options


def load_data(spec: str, split: str | None = None, **options: object) -> ImageSet:
    """Open a data set.

    Args:
        spec: ``folder:PATH``, ``csv:PATH``, ``medmnist:PATH.npz``, ``synthetic:tissue``, or a scheme that another
            package ships; options may stand behind ``?``.
        split: limit to this split; None gives every case.
        options: the same options as behind ``?``, as keywords.

    Returns:
        The images, in a fixed order. Nothing but names and labels is read yet.

    Raises:
        DataError: the scheme, an option, the location or the split is unknown, or the set cannot be used.
    """
    scheme, location, found = parse_spec(spec)
    known = catalogue.entries("data", marker="open_set")
    if scheme not in known:
        raise DataError(
            "unknown kind of data",
            value=scheme,
            allowed=nearest(scheme, known),
            next_step="percuss list datasets shows them all",
        )
    for name, value in options.items():
        text = str(value)
        if found.get(name, text) != text:
            raise DataError(f"the option {name} is given twice", value=f"{found[name]} and {text}")
        found[name] = text
    images: ImageSet = known[scheme].open_set(location, found)
    return images if split is None else images.subset(split=split)
