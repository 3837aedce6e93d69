"""All results of a study from its answers: pure, so that the same answers give the same numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from percuss.core.study_results import ProtocolRecord, ReaderRecord, StudyRecord, StudyResults
from percuss.study.design.key import Key
from percuss.study.design.protocol import Protocol, in_force
from percuss.study.results.agreement import agreements
from percuss.study.results.arms import arms
from percuss.study.results.detection import detection
from percuss.study.results.deviations import deviations
from percuss.study.results.doubts import doubts
from percuss.study.results.endpoints import endpoints
from percuss.study.results.happened import Happened, Person
from percuss.study.results.model import model_arms
from percuss.study.results.read import Read
from percuss.study.results.several_readers import several_readers
from percuss.study.results.sizes import unplaced
from percuss.study.results.thresholds import Sizes, thresholds


@dataclass(frozen=True)
class Studied:
    """What results are computed from.

    Attributes:
        reads: every answered trial.
        key: the unsealed key with the frozen protocol.
        happened: what else the database and the trail hold.
        sizes: norm and eps by arm (``results.sizes``).
    """

    reads: Sequence[Read]
    key: Key
    happened: Happened
    sizes: Sizes


def compute(studied: Studied, about: StudyRecord) -> StudyResults:
    """Every part of results.json; the protocol with its amendments decides what is asked."""
    reads, key = studied.reads, studied.key
    protocol = in_force(key.frozen)
    found = endpoints(reads, protocol)
    left = deviations(reads, key.frozen, studied.happened)
    return StudyResults(
        study=about,
        protocol=_protocol(protocol, amendments=len(key.frozen.amendments)),
        readers=[_reader(person, reads) for person in studied.happened.people],
        arms=arms(reads, protocol),
        endpoints=found,
        agreement=agreements(reads, protocol),
        detection=detection(reads, protocol),
        thresholds=thresholds(reads, protocol, sizes=studied.sizes, key=key),
        several_readers=several_readers(reads, protocol),
        model=model_arms(protocol, key),
        deviations=left,
        findings=doubts(protocol, found, left, unplaced=unplaced(protocol, studied.sizes)),
    )


def _protocol(protocol: Protocol, *, amendments: int) -> ProtocolRecord:
    return ProtocolRecord(
        tasks=list(protocol.tasks),
        arms=[arm.name for arm in protocol.arms],
        cases=len(protocol.cases),
        positives=sum(case.truth == protocol.positive for case in protocol.cases) if protocol.positive else 0,
        copies=protocol.copies,
        sessions=protocol.rules.sessions,
        washout_days=protocol.washout_days,
        distance=protocol.rules.distance,
        readers_planned=protocol.readers,
        labels=list(protocol.labels),
        positive=protocol.positive,
        target=protocol.target,
        ask_seen=protocol.ask_seen,
        amendments=amendments,
    )


def _reader(person: Person, reads: Sequence[Read]) -> ReaderRecord:
    own = [read for read in reads if read.reader == person.name]
    times = [read.shown.reaction_ms / 1000 for read in own if read.shown.reaction_ms is not None]
    return ReaderRecord(
        name=person.name,
        answered=person.answered,
        total=person.total,
        revoked=person.revoked is not None,
        sessions=len({read.session for read in own}),
        corrected=sum(read.versions > 1 for read in own),
        median_seconds=statistics.median(times) if times else None,
        monitor=dict(person.display),
    )
