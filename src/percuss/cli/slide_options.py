"""Options that the commands on whole slides share: which slides, and what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Option = typer.Option

Slides = Annotated[
    list[str],
    typer.Argument(help="Slides: files, patterns, folders, or synthetic:slide?seed=0&side=2048&tumours=1."),
]
Annotations = Annotated[
    list[Path] | None, Option(help="Outlines or mask of a slide, or a folder with NAME.xml or NAME_mask.tif.")
]
Normal = Annotated[list[str] | None, Option(help="Name or pattern of slides that hold no tumour.")]
NotExhaustive = Annotated[
    list[str] | None,
    Option(help="Name or pattern of slides not outlined everywhere: nothing outside is judged."),
]
Group = Annotated[
    list[str] | None, Option(help="Meaning of a group of outlines: NAME=tumour, NAME=cut-out or NAME=ignore.")
]
Values = Annotated[str | None, Option(help='Values of masks, as "0=normal,1=tumour,255=ignore".')]
Mend = Annotated[bool, Option("--mend", help="Take outlines that cross themselves, every loop as inside.")]
SlideMpp = Annotated[
    float | None, Option(help="Micrometres per pixel of the slides' largest level, where they do not say.")
]
Reader = Annotated[str, Option(help="Reader of slides: auto, tiffslide, openslide or dicom.")]
