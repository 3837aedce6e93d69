"""A recipe as data: a study as steps over the usual building blocks, and the tables that its paper printed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

#: Building blocks that a step may call.
Kind = Literal[
    "train", "audit", "universal", "transfer", "compare", "triage", "survive", "explain", "pack", "fragility"
]
Protocol = Literal["corrected", "paper"]
#: A cell of a table: text, a number, or None where nothing was measured.
Cell = str | float | int | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Step(_Part):
    """One call of a building block.

    Attributes:
        id: name of the step and of its folder; ``{name}`` stands for a name of ``each``.
        kind: the block.
        on: earlier steps that it works on (``$name`` in one: once for each item of that value): the model of audit,
            universal (others behind it judge its change too), transfer and of a hardening; the audit of triage,
            survive, explain, fragility and pack; the audits of compare.
        about: what it is for, in words.
        options: keyword arguments of the block; ``$name`` stands for a value, ``default`` leaves an option out.
        each: the step is made once for each combination of these values.
        only: the protocol under which it is made; None for both.
        optional: where it fails, the rest goes on and the reason is told.
    """

    id: str = Field(pattern=r"^[a-z0-9{}_-]+$")
    kind: Kind
    on: tuple[str, ...] = ()
    about: str = ""
    options: dict[str, Any] = {}
    each: dict[str, Any] = {}
    only: Protocol | None = None
    optional: bool = False


class Rows(_Part):
    """Rows of a table.

    Attributes:
        label: the first cells of the row, as text.
        cells: one per measured column: ``STEP: PATH | FORMAT`` (``percuss.pipeline.recipe_cells``); ``$name`` and
            ``{name}`` stand for values as in steps.
        cells_paper: instead of ``cells`` under the protocol ``paper``.
        published: texts of the published columns, by the row's labels with a space between.
        each: the row is made once for each combination of these values, the last one fastest.
    """

    label: tuple[str, ...]
    cells: tuple[str, ...]
    cells_paper: tuple[str, ...] = ()
    published: dict[str, tuple[str, ...]] = {}
    each: dict[str, Any] = {}


class TableSpec(_Part):
    """A table of the paper and how ours is filled.

    Attributes:
        words: heads of the label columns; ``columns``: of the measured ones, repeated for each data set.
        published: heads of the published columns; ``source``: where the published numbers stand.
        notes: why ours differ.
    """

    id: str = Field(pattern=r"^[a-z0-9_-]+$")
    title: str
    words: tuple[str, ...]
    columns: tuple[str, ...]
    published: tuple[str, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()
    rows: tuple[Rows, ...]


class Beside(_Part):
    """A table of sets beside controls, by the smallest flips that a step of the kind ``fragility`` found.

    Attributes:
        step: its id; ``controls``: names of data sets that the others are set against.
        notes: what the numbers can and cannot say.
    """

    id: str = Field(pattern=r"^[a-z0-9_-]+$")
    title: str
    step: str
    controls: tuple[str, ...] = Field(min_length=1)
    notes: tuple[str, ...] = ()


#: What a figure shows: success or accuracy over sizes, risk over coverage, attacked images, maps before and after, the
#: plane of features, the landscape of the loss, one change for all images, loss and Dice of trainings over epochs,
#: class maps before and after beside the truth, heat maps likewise with the amplified change, the kernels of a network
#: with a code and what one image's code is made of, and attacks made on each model and judged on all.
FigureKind = Literal[
    "curve",
    "risk",
    "pictures",
    "maps",
    "plane",
    "landscape",
    "change",
    "learning",
    "masks",
    "heat",
    "dictionary",
    "matrix",
]
#: The block whose step a figure is drawn from.
DRAWN_FROM: dict[FigureKind, Kind] = {
    "curve": "audit",
    "risk": "triage",
    "pictures": "audit",
    "maps": "explain",
    "plane": "explain",
    "landscape": "explain",
    "change": "universal",
    "learning": "train",
    "masks": "audit",
    "heat": "audit",
    "dictionary": "audit",
    "matrix": "transfer",
}


class PublishedLine(_Part):
    """Published points of a curve.

    Attributes:
        name: what the figure calls them.
        points: pairs of a size (absolute, as the axis has it) and a share in [0, 1].
        data: parts of names of data sets beside which they are drawn; every one where empty.
        attack: only in the panel of this attack (``panels = "attack"``).
        norm: only in panels of this norm.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    data: tuple[str, ...] = ()
    attack: str = ""
    norm: str = ""


class FigureSpec(_Part):
    """A figure of the paper and what ours is drawn from.

    Attributes:
        of: steps, one line or part each; ``{name}`` stands for a name of ``each``; ``label``: what each is called.
        each: the steps are taken once for each combination of these values.
        attacks: of a curve: its lines, beside each step; ``noise`` is drawn dashed.
        measure: of a curve: accuracy under attack, share flipped of what was right, mean Dice of masks as stored, or
            the average precision over the cells of heat maps as stored (``auc_pr``).
        panels: of a curve: one for each norm, or one for each attack.
        cases: images of each step, where pictures are shown.
        caption: what ours shows; ``paper``: what the paper's figure shows.
    """

    id: str = Field(pattern=r"^[a-z0-9_-]+$")
    title: str
    kind: FigureKind
    of: tuple[str, ...] = Field(min_length=1)
    label: tuple[str, ...] = ()
    each: dict[str, Any] = {}
    attacks: tuple[str, ...] = ("worst",)
    measure: Literal["accuracy", "success", "dice", "auc_pr"] = "accuracy"
    panels: Literal["norm", "attack"] = "norm"
    cases: int = Field(default=2, ge=1, le=12)
    caption: str = ""
    paper: str = ""
    published: tuple[PublishedLine, ...] = ()


class Recipe(_Part):
    """A study.

    Attributes:
        name, title, paper: what it is called, what it does, and the publication.
        about: paragraphs at the head of the report; ``not_covered``: what of the study is left out, and why.
        values: what ``$name`` in options stands for; ``quick`` and ``paper`` replace some, under --quick and under
            --protocol paper (paper first, then quick); ``sets`` those of one data set, by its name (before quick).
        steps, tables, figures: in order; ``beside``: the sets against their controls.
    """

    name: str = Field(pattern=r"^[a-z0-9_-]+$")
    title: str
    paper: str
    about: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    values: dict[str, Any] = {}
    quick: dict[str, Any] = {}
    paper_values: dict[str, Any] = {}
    sets: dict[str, dict[str, Any]] = {}
    steps: tuple[Step, ...] = Field(min_length=1)
    tables: tuple[TableSpec, ...] = ()
    beside: Beside | None = None
    figures: tuple[FigureSpec, ...] = ()


class Published(_Part):
    """The published columns beside a table: their heads, a list of texts per row, and the source."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str


class FilledTable(_Part):
    """A table with our numbers.

    Attributes:
        columns: heads of label columns and measured ones.
        words: how many of them are labels.
        rows: labels as text, then numbers, text or None; ``text`` the same as the report prints it.
        published: the published columns, row by row; None where nothing was published.
    """

    id: str
    title: str
    columns: tuple[str, ...]
    words: int
    rows: tuple[tuple[Cell, ...], ...]
    text: tuple[tuple[str, ...], ...]
    published: Published | None
    notes: tuple[str, ...] = ()


class FigureRecord(_Part):
    """A figure as drawn: its files within the run, and why it is missing, by name of the data set."""

    id: str
    title: str
    kind: FigureKind
    caption: str
    paper: str
    files: tuple[str, ...]
    missing: dict[str, str] = {}


class StepRecord(_Part):
    """What became of a step: done, or left out and why; its folder within the run and its own page there."""

    data: str
    id: str
    kind: Kind
    about: str
    state: Literal["done", "left out"]
    reason: str = ""
    folder: str
    page: str = ""
    seconds: float


class StudyFinding(_Part):
    """A finding of a step."""

    step: str
    id: str
    severity: Literal["info", "warning", "severe"]
    message: str
    evidence: dict[str, Any] = {}


class StudyResults(_Part):
    """results.json of a recipe; checked on every write."""

    kind: Literal["percuss-recipe-1"] = "percuss-recipe-1"
    percuss_version: str
    recipe: str
    title: str
    paper: str
    run_id: str
    started: str
    command: str
    protocol: Protocol
    quick: bool
    seed: int
    data: dict[str, str]
    values: dict[str, Any]
    steps: tuple[StepRecord, ...]
    findings: tuple[StudyFinding, ...]
    tables: tuple[FilledTable, ...]
    figures: tuple[FigureRecord, ...] = ()
    not_covered: tuple[str, ...]
