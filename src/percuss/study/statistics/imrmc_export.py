"""Readings as text in the input format of iMRMC, so that its analysis can be set beside ours.

The layout is the one of iMRMC's user manual, section 4.1.1 (free text, then the four sizes NR, N0, N1 and NM, then
``BEGIN DATA:`` and rows of reader, case, modality and score separated by commas without spaces), and of the sample
files in its repository. Rows of truth have reader -1, modality 0 and score 0 or 1. iMRMC is at
https://github.com/DIDSR/iMRMC.
"""

from __future__ import annotations

from percuss.core.errors import DataError
from percuss.study.statistics.mrmc_table import Readings

# Names that iMRMC's Java program (-1, 0) and R package (truth) keep for rows of truth.
_TAKEN = {"reader": ("-1", "truth"), "arm": ("0", "truth")}
_WORDS = ("NR", "N0", "N1", "NM", "BEGIN DATA")


def imrmc_text(readings: Readings, *, title: str) -> str:
    """The text of an ``.imrmc`` file, lines ending in a line feed.

    Args:
        readings: the study, with truth.
        title: first line, free text.

    Raises:
        DataError: no truth; a name or the title that the format cannot hold (a comma, a line break, space at an end,
            nothing at all, or a name kept for truth); two names that differ in their spaces alone, which iMRMC takes
            out; a title that reads like one of the format's own lines.
    """
    if readings.truth is None:
        raise DataError("iMRMC's format needs the truth of each case", next_step="add a column truth with 0 or 1")
    _check_names(readings)
    # iMRMC looks for its own lines in capitals and small letters alike.
    if title.splitlines() != [title] or any(f"{word}:" in title.upper() for word in _WORDS):
        raise DataError("the title cannot stand in an iMRMC file", value=title, allowed="one line of free text")
    positives = int(readings.truth.sum())
    lines = [
        title,
        "",
        f"NR: {len(readings.readers)}",
        f"N0: {len(readings.cases) - positives}",
        f"N1: {positives}",
        f"NM: {len(readings.arms)}",
        "",
        "BEGIN DATA:",
    ]
    lines += [f"-1,{case},0,{int(truth)}" for case, truth in zip(readings.cases, readings.truth, strict=True)]
    for place, reader in enumerate(readings.readers):
        for column, case in enumerate(readings.cases):
            for row, arm in enumerate(readings.arms):
                lines.append(f"{reader},{case},{arm},{_number(float(readings.scores[row, place, column]))}")
    return "\n".join(lines) + "\n"


def _check_names(readings: Readings) -> None:
    for kind, names in (("reader", readings.readers), ("case", readings.cases), ("arm", readings.arms)):
        for name in names:
            if name in _TAKEN.get(kind, ()) or name.strip() != name or "," in name or name.splitlines() != [name]:
                raise DataError(
                    f"the name of a {kind} cannot stand in an iMRMC file",
                    value=repr(name),
                    allowed="text without comma, line break or space at its ends, other than iMRMC's names for truth",
                    next_step="rename it in the table",
                )
        bare = ["".join(name.split()) for name in names]
        same = next((name for place, name in enumerate(names) if bare[place] in bare[:place]), None)
        if same is not None:
            raise DataError(
                f"two names of a {kind} are one to iMRMC, which takes out spaces",
                value=repr(same),
                next_step="rename one of them in the table",
            )


def _number(score: float) -> str:
    """Whole numbers without a point, others with all the digits they need to be read back as they are."""
    return str(int(score)) if score.is_integer() and abs(score) < 2**53 else repr(score)
