"""A reader study in the results of the audit that it was made of."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from percuss.core.recorded import FindingRecord, Interval
from percuss.core.study_results import STUDY_SCHEMA, DeviationRecord, EndpointRecord, ModelFlips, Status


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeenSize(_Record):
    """The size that all readers together detect, beside the sizes that flip the model on the study's cases."""

    task: str
    kind: str = Field(description="adversarial, noise or visible")
    norm: str
    target: float = Field(description="share right, or called different, at the threshold")
    threshold: Interval = Field(description="eps in the norm's own measure; no value unless status is found")
    status: Status
    model: ModelFlips | None = Field(description="null where the audit has no such norm, and beside noise")


class ReaderStudy(_Record):
    """What a closed study of an audit shows, and where all of it stands."""

    study_schema: Literal["1.0"] = Field(default=STUDY_SCHEMA, description="schema_version of the study's own results")
    id: str
    title: str
    closed: str
    computed: str = Field(description="when the study's results were made")
    protocol_hash: str = Field(description="of the protocol as frozen")
    last_hash: str = Field(description="of the protocol with every amendment")
    trail_sound: bool = Field(description="the trail and the stored answers vouch for each other")
    cases: int
    readers: int = Field(description="enrolled")
    finished: int = Field(description="readers who answered everything")
    answers: int
    asked: int = Field(description="answers if every reader had answered everything")
    endpoints: list[EndpointRecord]
    thresholds: list[SeenSize]
    deviations: list[DeviationRecord]
    findings: list[FindingRecord]
    results: str = Field(description="the study's results.json when it was added, seen from the run's folder")
    results_sha256: str
    kept: str = Field(description="the same bytes, kept in the run's folder")
    same_run_file: bool = Field(
        description="results.json of the run, but for reader studies, was the very file that the study was made of; "
        "where not, it was written anew since: with storage formats, other requirements or checks, or a newer Percuss"
    )
