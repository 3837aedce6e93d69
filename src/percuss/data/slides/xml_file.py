"""An XML file of outlines, parsed without following anything that a hostile file may hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from percuss.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_FORMATS = "XML of ASAP (ASAP_Annotations) or of Aperio ImageScope (Annotations)"


def read_root(path: Path) -> Element:
    """The root element of a file.

    Raises:
        DataError: no such file, no XML, or XML that declares entities.
        UsageError: defusedxml is not installed (extra ``wsi``).
    """
    try:
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    except ImportError:
        raise UsageError(
            "reading outlines needs the package defusedxml", next_step='install it with pip install "percuss[wsi]"'
        ) from None
    try:
        found: Element = fromstring(path.read_bytes(), forbid_dtd=False)
    except OSError as error:
        raise DataError(
            "the outlines cannot be opened",
            value=f"{path}: {error.strerror or error}",
            next_step="check the path given with --annotations",
        ) from error
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise DataError(
            "the outlines are no XML that can be read",
            value=f"{path.name}: {error}",
            allowed=_FORMATS,
            next_step="export the annotations again; a file cut short by a download ends like this",
        ) from error
    return found


def number(element: Element, name: str, where: str) -> float:
    """A finite number of an attribute; DataError naming ``where`` it stands."""
    try:
        value = float(element.get(name, ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"a point of {where} has no number {name}",
            value=element.get(name),
            allowed="a finite number, in pixels of the slide's largest level",
            next_step="export the annotations again, or mend the point",
        )
    return value
