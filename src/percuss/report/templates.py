"""The pages' templates and style, as Jinja reads them: escaped, and strict about names."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent


def environment() -> Environment:
    """Templates of this folder; what they are given is escaped, and a name that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def style() -> Markup:
    """The style sheet of every page."""
    return Markup((_HERE / "page.css").read_text(encoding="utf-8"))
