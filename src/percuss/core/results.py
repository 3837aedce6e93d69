"""results.json: what an audit found, as typed records with a versioned schema."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from percuss.core.reader_study import ReaderStudy
from percuss.core.recorded import FindingRecord, Interval

__all__ = [
    "SCHEMA_VERSION",
    "Check",
    "Clean",
    "CurvePoint",
    "DataRecord",
    "Dense",
    "DenseClass",
    "DensePoint",
    "FindingRecord",
    "Heat",
    "HeatPoint",
    "Interval",
    "Meaning",
    "ModelRecord",
    "Nuclei",
    "Results",
    "Sensitivity",
    "Survival",
]

SCHEMA_VERSION: Literal["1.0"] = "1.0"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CurvePoint(_Record):
    """One attack (or the worst case over attacks) at one budget."""

    attack: str
    norm: str
    budget: str
    eps: float | None = Field(description="absolute size; null for the norm none")
    robust_accuracy: Interval
    robust_accuracy_stored: Interval
    success_rate: Interval
    success_rate_stored: Interval
    confidence_change: Interval = Field(
        description="mean change of confidence, correct images; a wrong decision counts negative"
    )
    median_gradient_evaluations: float


class Sensitivity(_Record):
    """Per-image smallest flipping size found, summarised for one norm."""

    norm: str
    stored: bool
    n_correct: int
    n_flipped: int
    n_censored: int = Field(description="never flipped up to the largest size tried")
    quartiles: tuple[float | None, float | None, float | None] = Field(
        description="25, 50 and 75 % points over correct images; null where censored"
    )
    largest_tried: float | None


class Clean(_Record):
    """Performance without attack."""

    accuracy: Interval
    balanced_accuracy: Interval
    auc: Interval
    confusion: list[list[int]] | None = Field(description="rows true, columns predicted; null for multilabel")
    per_class: dict[str, Interval] = Field(description="accuracy within each true class (multilabel: per label)")


class DataRecord(_Record):
    """The images judged."""

    spec: str
    split: str | None
    task: str
    classes: list[str]
    n_images: int
    n_groups: int | None = Field(description="patients; null where unknown")
    n_bad: int
    bad: list[dict[str, str]]
    dropped: dict[str, int] = Field(default_factory=dict, description="cases the reader left out, by reason")
    shape: list[int]
    unit: str
    levels: int
    sha256: str
    window: tuple[float, float] | None = Field(default=None, description="native values that are 0 and 1, in unit")


class ModelRecord(_Record):
    """The model judged."""

    spec: str
    weights: str
    parameters: int
    classes: list[str]
    channels: int
    sha256: str


class Survival(_Record):
    """Flips that are left after attacked images were stored and read back, for one norm and format."""

    norm: str
    format: str = Field(description="native, png, dicom8, dicom12, dicom16, jpeg95 and so on; -444 is without 4:2:0")
    words: str
    flips: Interval = Field(description="share still flipped, of the images flipped in full precision")
    clean_right: Interval = Field(description="share of their clean images that are right after the same round trip")
    auc_pr: Interval | None = Field(
        default=None,
        description="heat maps: average precision of all cells of the attacked images after the round trip",
    )
    auc_pr_clean: Interval | None = Field(
        default=None, description="heat maps: the same of the images without attack after the round trip"
    )


class Check(_Record):
    """One check of the model and of the attacks on it, flagged or not; flagged ones are findings too."""

    id: str
    check: str
    flagged: bool
    severity: Literal["info", "warning", "severe"]
    message: str
    evidence: dict[str, Any] = Field(default_factory=dict)


class DenseClass(_Record):
    """One class of class maps at one budget; means over images, None where no image has a value."""

    name: str
    dice: Interval = Field(description="mean over the images where the class is true or decided")
    iou: Interval = Field(description="the same")
    accuracy: Interval = Field(description="share of its true pixels decided so, mean over the images that have it")
    removed: Interval = Field(description="share of its true pixels decided background; of the background itself: none")
    hallucinated: Interval = Field(description="share of true background pixels decided so; likewise")
    dice_pixels: float | None = Field(description="over the pixels of all images together")
    iou_pixels: float | None
    accuracy_pixels: float | None
    pixels: int = Field(description="true pixels in all images")
    absent: int = Field(description="images without a true pixel of the class")
    false_alarms: int = Field(description="of those, images where some pixel was decided so all the same")


class Nuclei(_Record):
    """Numbered things of all images together, found as connected parts of the decided map."""

    panoptic: Interval
    detection: Interval
    segmentation: Interval
    aji: Interval
    aji_plus: Interval


class DensePoint(_Record):
    """Class maps at one budget; means over images, background left out unless said."""

    attack: str = Field(description="clean, an attack, or worst: the worst mask of each image over attacks")
    norm: str
    budget: str
    eps: float | None
    stored: bool = Field(description="of the images as stored, not as computed")
    dice: Interval = Field(description="of each image over the classes it holds, as attacks are judged")
    iou: Interval = Field(description="of each image over the classes that are true or decided in it")
    accuracy: Interval = Field(description="of each image over the classes it holds")
    dice_with_background: Interval
    iou_with_background: Interval
    pixel_accuracy: Interval
    floor: Interval = Field(description="pixel accuracy of deciding background everywhere")
    loss: Interval = Field(description="cross-entropy, mean over pixels")
    linf: Interval = Field(description="largest change of any value that was really made, mean; of a range of 1")
    classes: list[DenseClass]
    nuclei: Nuclei | None = None


class Dense(_Record):
    """What an audit of class maps found beside the curves."""

    background: str = Field(description="name of class 0")
    bar: float = Field(description="an image counts as right while its mean Dice is at least this")
    clean: DensePoint
    points: list[DensePoint]


class HeatPoint(_Record):
    """Heat maps at one budget; areas under the curve of precision over recall, of cells."""

    attack: str = Field(description="clean, an attack, or worst: the lowest over attacks")
    norm: str
    budget: str
    eps: float | None
    stored: bool = Field(description="of the images as stored, not as computed")
    auc_pr: Interval = Field(description="average precision over the judged cells of all images together")
    auc_pr_binned: float | None = Field(description="the same from a histogram, as whole slides are measured")
    trapezoid: float | None = Field(description="by the trapezoidal rule, which flatters poor maps")
    by_slide: Interval = Field(description="mean over slides of each slide's own average precision")
    prevalence: float | None = Field(description="share of tumour cells: what a map without knowledge reaches")
    cells: int


class Meaning(_Record):
    """How far a change goes with what the image shows, beside noise of the same size; means over images."""

    attack: str
    norm: str
    budget: str
    measure: str
    change: Interval
    noise: Interval
    difference: Interval = Field(description="change less noise, image by image")


class Heat(_Record):
    """What an audit of heat maps found beside the curves."""

    cell: int = Field(description="side of a cell in pixels")
    null: float | None = Field(description="average precision of a constant map: the share of tumour cells")
    slides: int
    not_exhaustive: list[str] = Field(default_factory=list, description="slides whose outlines leave out tumour")
    clean: HeatPoint
    points: list[HeatPoint]
    meaning: list[Meaning] = Field(default_factory=list)


class Results(_Record):
    """The whole of results.json."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    percuss_version: str
    run_id: str
    started: str
    finished: str
    seconds: float
    seed: int
    protocol: str
    data: DataRecord
    model: ModelRecord
    threat_model: dict[str, str]
    attacks: list[dict[str, Any]]
    budgets: list[str]
    clean: Clean
    curves: list[CurvePoint]
    sensitivity: list[Sensitivity]
    findings: list[FindingRecord]
    not_tested: list[str]
    environment: dict[str, str]
    requirements: list[dict[str, Any]] = Field(default_factory=list, description="limits the user set, with outcome")
    checks: list[Check] = Field(default_factory=list, description="of masked gradients; empty where not made")
    survival: list[Survival] = Field(default_factory=list, description="after storage; empty where not looked at")
    dense: Dense | None = Field(default=None, description="of class maps; null for other tasks")
    heat: Heat | None = Field(default=None, description="of heat maps; null for other tasks")
    reader_study: list[ReaderStudy] = Field(
        default_factory=list, description="studies added by percuss report RUN --study; not in the file where none was"
    )
