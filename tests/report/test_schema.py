"""results.json: the committed schema equals the code, and nothing unfit is written or read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_run import Fake, build

from percuss.core.errors import RunError
from percuss.report.schema import committed_schema, generated_schema, read_results, write_results


def test_committed_schema_is_the_generated_one() -> None:
    assert committed_schema() == generated_schema(), (
        "a field of core.results changed: write generated_schema() to report/schema/ and raise the version if needed"
    )


def test_round_trip_leaves_one_file(tmp_path: Path) -> None:
    results = read_results(build(tmp_path / "run", Fake(n=6, images=False)) / "results.json")
    out = tmp_path / "out"
    out.mkdir()
    assert read_results(write_results(results, out / "results.json")) == results
    assert [path.name for path in out.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": "9.9"}, "another schema version: 9.9"),
        ({"seconds": "long"}, "does not fit its schema at seconds"),
        ({"surprise": 1}, "does not fit its schema at the top level"),
    ],
)
def test_unfit_files_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = build(tmp_path / "run", Fake(n=4, images=False)) / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunError, match=message):
        read_results(path)


def test_damaged_file_and_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read as JSON"):
        read_results(tmp_path / "results.json")
    results = read_results(build(tmp_path / "run", Fake(n=4, images=False)) / "results.json")
    with pytest.raises(RunError, match="cannot be written"):
        write_results(results, tmp_path / "nowhere" / "results.json")


def test_not_a_number_is_not_written(tmp_path: Path) -> None:
    results = read_results(build(tmp_path / "run", Fake(n=4, images=False)) / "results.json")
    broken = results.model_copy(update={"seconds": float("nan")})
    with pytest.raises(RunError, match=r"NaN or infinity: results\.seconds"):
        write_results(broken, tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()
