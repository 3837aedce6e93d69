"""results.json on disk: its JSON Schema, checked on every write and every read."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
from pydantic import ValidationError

from percuss.core.errors import RunError
from percuss.core.results import SCHEMA_VERSION, Results

SCHEMA_FILE = Path(__file__).parent / "schema" / f"results-{SCHEMA_VERSION}.json"


def generated_schema() -> dict[str, Any]:
    """The JSON Schema of ``Results`` as it stands in the code; a test compares it with the committed file."""
    schema = Results.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Percuss results"}


def committed_schema() -> dict[str, Any]:
    """The JSON Schema that ships with the package."""
    found: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return found


def write_results(results: Results, path: Path) -> Path:
    """Write results.json, checked against the schema, atomically (a reader sees the old or the new file).

    Raises RunError where a number is NaN or infinite, a value does not fit the schema, or the disk refuses.
    """
    check_finite(results.model_dump(exclude={"findings", "attacks", "requirements", "checks"}), path)
    content = results.model_dump(mode="json")  # NaN among free evidence and settings becomes null here
    if not results.reader_study:
        del content["reader_study"]
    _check(content, path)
    write_text(path, as_text(content))
    return path


def as_text(content: Any) -> str:
    """A results file as it is written: the same content is the same bytes."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def check_finite(values: dict[str, Any], path: Path) -> None:
    """RunError naming up to five places of NaN or infinity in the records that the file at ``path`` is to hold."""
    wrong = not_finite(values, "results")
    if wrong:
        raise RunError(
            f"{path} would hold NaN or infinity",
            value=", ".join(wrong[:5]),
            allowed="finite numbers, or null where a number is undefined",
            next_step="report this as a fault of Percuss",
        )


def not_finite(value: Any, place: str) -> list[str]:
    """Places of NaN and infinity in nested records, below the name ``place``."""
    if isinstance(value, float):
        return [] if math.isfinite(value) else [place]
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in not_finite(item, f"{place}.{key}")]
    if isinstance(value, list | tuple):
        return [found for number, item in enumerate(value) for found in not_finite(item, f"{place}.{number}")]
    return []


def write_text(path: Path, text: str) -> None:
    """Write a text file by rename, so that a killed process never leaves half a file; RunError on refusal."""
    scratch = None
    try:
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).chmod(0o644)
        Path(scratch).replace(path)
    except OSError as error:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)
        raise RunError(
            f"{path} cannot be written", value=error, next_step="free disk space or choose another folder"
        ) from error


def read_results(path: Path) -> Results:
    """Read and check results.json; RunError where it is missing, damaged or of another schema version."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(
            "the run has no results yet", value=path, next_step="run percuss audit again to finish it"
        ) from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read as JSON", value=error, next_step="run percuss audit again") from error
    _check(content, path)
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        raise RunError(f"{path} is not a results file", value=error, next_step="run percuss audit again") from error


def _check(content: Any, path: Path) -> None:
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise RunError(
            f"{path} has another schema version",
            value=version,
            allowed=SCHEMA_VERSION,
            next_step="open it with the Percuss that wrote it, or run the audit again",
        )
    fits(content, committed_schema(), SCHEMA_FILE.name, path=path, next_step="run percuss audit again")


def fits(content: Any, schema: dict[str, Any], name: str, *, path: Path, next_step: str) -> None:
    """RunError naming the place where the content of a file at ``path`` does not fit the schema called ``name``."""
    try:
        jsonschema.validate(content, schema)
    except jsonschema.ValidationError as error:
        place = ".".join(str(part) for part in error.absolute_path) or "the top level"
        raise RunError(
            f"{path} does not fit its schema at {place}",
            value=error.message[:300],
            allowed=f"schema {name}",
            next_step=next_step,
        ) from error
