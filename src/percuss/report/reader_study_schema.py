"""results.json of a reader study on disk: its JSON Schema, checked on every write and every read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from percuss.core.errors import RunError
from percuss.core.study_results import STUDY_SCHEMA, StudyResults
from percuss.report.schema import as_text, check_finite, fits, write_text

STUDY_SCHEMA_FILE = Path(__file__).parent / "schema" / f"study-results-{STUDY_SCHEMA}.json"


def generated_study_schema() -> dict[str, Any]:
    """The JSON Schema of ``StudyResults`` as it stands in the code; a test compares it with the committed file."""
    schema = StudyResults.model_json_schema()
    title = "Percuss results of a reader study"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def committed_study_schema() -> dict[str, Any]:
    """The JSON Schema that ships with the package."""
    found: dict[str, Any] = json.loads(STUDY_SCHEMA_FILE.read_text(encoding="utf-8"))
    return found


def write_study_results(results: StudyResults, path: Path) -> Path:
    """Write results.json of a study, checked against the schema, by rename.

    Raises RunError where a number is NaN or infinite, a value does not fit the schema, or the disk refuses.
    """
    check_finite(results.model_dump(), path)
    _check(results.model_dump(mode="json"), path)
    write_text(path, study_text(results))
    return path


def study_text(results: StudyResults) -> str:
    """results.json of a study as it is written: the same results are the same bytes."""
    return as_text(results.model_dump(mode="json"))


def read_study_results(path: Path) -> StudyResults:
    """Read and check results.json of a study; RunError where it is missing, damaged or of another schema version."""
    step = "percuss study results STUDY"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check(content, path)
        return StudyResults.model_validate(content)
    except FileNotFoundError:
        raise RunError("the study has no results yet", value=path, next_step=step) from None
    except (OSError, ValueError, ValidationError) as error:
        raise RunError(f"{path} is no results file of a study", value=error, next_step=step) from error


def _check(content: Any, path: Path) -> None:
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != STUDY_SCHEMA or "endpoints" not in content:
        raise RunError(
            f"{path} is of another schema",
            value=version,
            allowed=f"results of a study, version {STUDY_SCHEMA}",
            next_step="open it with the Percuss that wrote it, or give percuss study results STUDY again",
        )
    step = "percuss study results STUDY"
    fits(content, committed_study_schema(), STUDY_SCHEMA_FILE.name, path=path, next_step=step)
