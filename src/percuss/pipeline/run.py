"""A finished run, for programs and notebooks."""

from __future__ import annotations

import html
from functools import cached_property
from pathlib import Path

import pandas as pd

from percuss.core.results import Results
from percuss.pipeline.results import worst_points
from percuss.report.schema import read_results
from percuss.report.verdict import verdict
from percuss.store.folder import RunFolder

_ORDER = {"info": 0, "warning": 1, "severe": 2}


class Run:
    """A finished run folder.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._folder = RunFolder.existing(self.path)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One row per image, attack and budget, with the columns of ``percuss.core.outcome.Outcome``."""
        return self._folder.read_table("rows.parquet")

    @cached_property
    def clean(self) -> pd.DataFrame:
        """One row per image: decision and scores without attack."""
        return self._folder.read_table("clean.parquet")

    @cached_property
    def results(self) -> Results:
        """results.json, typed."""
        return read_results(self.path / "results.json")

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.path / "report.html"

    @property
    def summary(self) -> str:
        """The verdict as plain sentences, behind INVALID where a severe finding stands."""
        split = f", split {self.results.data.split}" if self.results.data.split else ""
        grave = sorted({item.id for item in self.results.findings if item.severity == "severe"})
        warning = [f"INVALID, these numbers cannot be trusted ({', '.join(grave)})."] if grave else []
        return " ".join([*warning, *verdict(self.results, split).sentences])

    @property
    def valid(self) -> bool:
        """No severe finding stands, so the numbers can be believed."""
        return not any(item.severity == "severe" for item in self.results.findings)

    def failed(self, on: str | None = None) -> list[str]:
        """Why the run fails: requirements not met, and findings as grave as ``on`` (``warning`` or ``severe``)."""
        found = [str(item["text"]) for item in self.results.requirements if item["passed"] is not True]
        if on is not None:
            found += [f"finding {f.id}" for f in self.results.findings if _ORDER[f.severity] >= _ORDER[on]]
        return found

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}): {self.summary}"

    def _repr_html_(self) -> str:
        """Notebook display: the verdict, the worst case per budget, and where the report is."""
        lines = "".join(
            f"<tr><td>{html.escape(point.budget)}</td><td>{_text(point.robust_accuracy.value)}</td>"
            f"<td>[{_text(point.robust_accuracy.low)}, {_text(point.robust_accuracy.high)}]</td></tr>"
            for point in worst_points(self.results)
        )
        return (
            f"<p>{html.escape(self.summary)}</p><table><thead><tr><th>budget</th><th>robust accuracy</th>"
            f"<th>95 %</th></tr></thead><tbody>{lines}</tbody></table>"
            f"<p>Report: <code>{html.escape(str(self.report))}</code></p>"
        )


def _text(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
