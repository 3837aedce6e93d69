"""results.json of a reader study: what readers answered and what it shows, typed, with a versioned schema."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from percuss.core.recorded import FindingRecord, Interval

STUDY_SCHEMA: Literal["1.0"] = "1.0"

Verdict = Literal[
    "non-inferior", "inferior", "difference", "no difference shown", "not shown", "above chance", "below chance",
    "not told from chance", "described", "no answers",
]  # fmt: skip
#: Worst first.
Severity = Literal["severe", "warning", "info"]
#: Whether a curve met its target within the sizes shown; ``none``: there is no curve, and ``why`` says so.
Status = Literal["found", "above", "below", "undetermined", "none"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyRecord(_Record):
    """Which study this is, and what vouches for it."""

    id: str
    title: str
    created: str
    closed: str
    computed: str = Field(description="when these results were made, ISO 8601 with zone")
    percuss_version: str
    run: str = Field(description="id of the audit that the cases come from")
    run_sha256: str = Field(description="SHA-256 of its results.json")
    model_sha256: str
    protocol_hash: str = Field(description="of the protocol as frozen")
    last_hash: str = Field(description="of the protocol with every amendment")
    trail_number: int = Field(description="records of the audit trail when the study was closed; 0 where unknown")
    trail_hash: str
    trail_sound: bool = Field(description="the trail and the stored answers vouch for each other")


class ProtocolRecord(_Record):
    """What the protocol in force asked."""

    tasks: list[str]
    arms: list[str]
    cases: int
    positives: int = Field(description="cases whose truth is the positive label")
    copies: int
    sessions: int
    washout_days: float
    distance: int
    readers_planned: int
    labels: list[str]
    positive: str
    target: float = Field(description="share right at which a threshold is read off")
    ask_seen: bool
    amendments: int


class ReaderRecord(_Record):
    """One reader, under a name that says nothing (R1 was enrolled first)."""

    name: str
    answered: int
    total: int
    revoked: bool
    sessions: int = Field(description="sessions with an answer")
    corrected: int = Field(description="answers that were corrected")
    median_seconds: float | None = Field(description="from the painted image to the answer; null where not measured")
    monitor: dict[str, Any] = Field(default_factory=dict, description="what the reader said of the display")


class ArmRecord(_Record):
    """Answers to one arm in one task: of one reader, or of all together."""

    task: str
    arm: str
    copy_number: int | None = Field(description="which reading; null for all copies together")
    reader: str | None = Field(description="null for all readers together")
    asked: int = Field(description="trials that the protocol has here")
    answered: int
    true_positives: int | None = Field(description="positive cases called positive; null but for diagnoses")
    positives: int | None = Field(description="answers to positive cases; null but for diagnoses")
    right: Interval | None = Field(description="share of right answers; null where no answer is right or wrong")
    per_class: dict[str, Interval] = Field(description="share right by truth of the case, diagnoses only")
    rating: Interval | None = Field(description="mean rating or confidence, 1 to 5; null where none was asked")


class PairedRecord(_Record):
    """Cases by what one reader answered to both arms in one copy."""

    reader: str
    copy_number: int
    both: int
    against_only: int
    arm_only: int
    neither: int
    difference: Interval
    newcombe: Interval
    mcnemar_exact: float
    mcnemar_mid_p: float


class EndpointRecord(_Record):
    """An endpoint of the protocol and what came out."""

    name: str
    role: Literal["primary", "secondary"]
    measure: str
    task: str
    arm: str
    against: str
    margin: float | None
    alpha: float = Field(description="one-sided")
    confidence: float = Field(description="two-sided, of the intervals of this endpoint: 1 - 2 alpha")
    unit: Literal["share", "rating"]
    sign: str = Field(description="what the value is, and which way is worse")
    value: Interval = Field(description="what the verdict rests on")
    beside: list[Interval] = Field(description="the same difference by other methods")
    verdict: Verdict
    sentence: str
    p_value: float | None = Field(description="of no difference, two-sided; null where there is none")
    test: str = Field(description="which test the p value is from")
    numbers: dict[str, Interval] = Field(description="further numbers by name: percent correct, d', AUC, ...")
    tables: list[PairedRecord]
    readers: int = Field(description="readers behind the value")
    left_out: list[str] = Field(description="readers with answers here that the value leaves out: not complete")


class AgreementRecord(_Record):
    """Two ratings of the same cases: by one reader in two copies, or by two readers in one copy."""

    kind: Literal["within", "between", "all pairs"]
    task: str
    arm: str
    readers: list[str]
    copies: list[int]
    items: int
    raw: Interval
    kappa: Interval | None
    ac1: Interval | None
    table: list[list[int]] | None = Field(description="first rating down, second across, in the order of categories")
    categories: list[str]


class DetectionRecord(_Record):
    """How well changed images were told from unchanged ones."""

    task: str
    arm: str
    reader: str | None = Field(description="null for all readers together")
    correct: Interval
    called: Interval | None = Field(description="share of this arm called changed; null in a choice")
    alarms: Interval | None = Field(description="share of unchanged ones called changed; null in a choice")
    dprime: Interval
    criterion: Interval | None


class CurvePoint(_Record):
    """Answers at one size of change."""

    size: str
    eps: float
    right: int
    n: int
    share: Interval


class ModelFlips(_Record):
    """Sizes at which the model flips, over the study's cases."""

    norm: str
    cases: int
    flipped: int
    censored: int = Field(description="no flip up to the largest size tried")
    quartiles: tuple[float | None, float | None, float | None] = Field(description="null where censored")
    median: Interval | None = Field(default=None, description="the second quartile with its interval over cases")
    largest_tried: float | None
    sizes: list[float | None] = Field(description="by case, in rising order, null where censored")


class ThresholdRecord(_Record):
    """The size that readers detect, beside the size that flips the model."""

    scope: Literal["all", "reader", "case"]
    name: str = Field(description="reader or case; empty for all")
    task: str
    kind: str = Field(description="adversarial, noise or visible")
    norm: str
    target: float
    guess: float = Field(description="share at eps 0")
    points: list[CurvePoint]
    threshold: Interval = Field(description="eps in the norm's own measure; no value unless status is found")
    status: Status
    why: str = Field(description="why there is no curve; else empty")
    fitted: tuple[float, float, float] | None = Field(description="eps at the target, exponent, lapse rate")
    curve: list[tuple[float, float]] = Field(description="points of the fitted curve: eps, share")
    model: ModelFlips | None = Field(description="null where the audit has no such norm, and beside noise")


class ManyReadersRecord(_Record):
    """Two arms by a measure of readers, readers and cases random; or why that could not be computed."""

    task: str
    arm: str
    against: str
    measure: Literal["share", "auc"]
    missing: str = Field(description="what is missing for it; empty where it was computed")
    readers: int
    cases: int
    arm_value: Interval | None
    against_value: Interval | None
    difference: Interval | None = Field(description="against minus arm: above 0 the arm is worse")
    p_value: float | None
    df: float | None = Field(description="degrees of freedom; null where infinite or undefined")
    reader_variance: float | None
    per_reader: dict[str, float]
    each_reader: dict[str, Interval] = Field(
        default_factory=dict, description="the same with the interval of that reader alone, cases random"
    )
    obuchowski_rockette: Interval | None
    obuchowski_rockette_p: float | None


class ModelArmRecord(_Record):
    """What the model said of the very files that readers saw."""

    arm: str
    cases: int
    right: Interval
    true_positives: int | None = Field(description="positive cases called positive; null where none is positive")
    positives: int
    flipped: int = Field(description="right on the original's file and wrong on this one")
    flipped_share: Interval | None = Field(default=None, description="the same as a share of the cases")
    confidence: Interval
    attacks: dict[str, int] = Field(description="cases by what made the file")


class DeviationRecord(_Record):
    """One way in which the study left its protocol, or a doubt about how it was read."""

    kind: str
    severity: Severity
    reader: str | None
    count: int
    message: str
    evidence: dict[str, Any] = Field(default_factory=dict)


class StudyResults(_Record):
    """results.json of a closed study."""

    schema_version: Literal["1.0"] = STUDY_SCHEMA
    study: StudyRecord
    protocol: ProtocolRecord
    readers: list[ReaderRecord]
    arms: list[ArmRecord]
    endpoints: list[EndpointRecord]
    agreement: list[AgreementRecord]
    detection: list[DetectionRecord]
    thresholds: list[ThresholdRecord]
    several_readers: list[ManyReadersRecord]
    model: list[ModelArmRecord]
    deviations: list[DeviationRecord]
    findings: list[FindingRecord]
