"""A reader study as a section of the audit's report: its own page's verdict and parts, one level below."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from percuss.core.errors import RunError
from percuss.core.reader_study import ReaderStudy
from percuss.core.results import Results
from percuss.core.study_results import StudyResults
from percuss.report.reader_study import shown_of
from percuss.report.reader_study_schema import read_study_results
from percuss.report.templates import environment
from percuss.store.safe import sha256_of

#: Id of the section; those of further studies end in -2, -3 and so on.
NAME = "reader-study"


@dataclass(frozen=True)
class StudySection:
    """A section: its id, its words in the contents list, and what it holds."""

    name: str
    words: str
    content: Markup


def study_sections(folder: Path, results: Results) -> list[StudySection]:
    """One for each study that results.json of the run names; RunError where the file kept of it is another."""
    several = len(results.reader_study) > 1
    return [
        _section(record, kept_study(folder, record.kept, record.results_sha256), number if several else 0)
        for number, record in enumerate(results.reader_study, start=1)
    ]


def kept_study(folder: Path, kept: str, sha256: str) -> StudyResults:
    """The whole results of a study, as the run keeps them; RunError where they are gone or changed.

    Args:
        folder: of the run.
        kept: name of the file in it.
        sha256: what the file must have.
    """
    path = folder / kept
    step = "percuss report RUN --study STUDY keeps them anew; --no-study leaves the study out"
    if not path.is_file() or sha256_of(path) != sha256:
        raise RunError(
            "the results of a reader study that the run keeps are gone or changed", value=path, next_step=step
        )
    return read_study_results(path)


def _section(record: ReaderStudy, results: StudyResults, number: int) -> StudySection:
    name = NAME if number < 2 else f"{NAME}-{number}"
    words = f"Reader study {number}" if number else "Reader study"
    content = (
        environment()
        .get_template("reader_study_section.html.jinja")
        .render(
            **shown_of(results),
            record=record,
            name=name,
            words=words,
            top=3,
            part="div",
            at=f"{name}-",
            folds=True,
            numbers=record.kept,
        )
    )
    return StudySection(name, words, Markup(content))
