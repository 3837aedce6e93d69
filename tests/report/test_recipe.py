"""The page of a study: doubts stand at its head, gravest first, plain notes after the tables."""

from percuss.core.recipe import StudyFinding, StudyResults
from percuss.report.recipe import Shown, sections


def study(*findings):
    return StudyResults(
        percuss_version="0", recipe="tiny", title="A tiny study", paper="nobody", run_id="r", started="2026-01-01",
        command="", protocol="corrected", quick=False, seed=0, data={"data": "folder:x"}, values={}, steps=(),
        findings=findings, tables=(), not_covered=(),
    )  # fmt: skip


def finding(name, severity):
    return StudyFinding(step="attack", id=name, severity=severity, message=f"about {name}")


def test_doubts_come_first_and_notes_after(tmp_path):
    listed = (finding("c", "info"), finding("b", "warning"), finding("a", "severe"), finding("d", "info"))
    made = sections(study(*listed), (), Shown(tmp_path))
    assert [item.id for item in made[0].findings] == ["a", "b"]
    notes = next(part for part in made if part.title == "What the steps noted")
    assert [item.id for item in notes.findings] == ["c", "d"]
    assert notes.findings[0].message == "attack: about c"


def test_without_notes_there_is_no_part_for_them(tmp_path):
    made = sections(study(finding("b", "warning")), (), Shown(tmp_path))
    assert all(part.title != "What the steps noted" for part in made)


def test_what_several_steps_say_in_the_same_words_stands_once(tmp_path):
    def said(step, message="Only 8 images.", severity="warning"):
        return StudyFinding(step=step, id="few-images", severity=severity, message=message)

    def lines(*listed):
        return [(item.severity, item.message) for item in sections(study(*listed), (), Shown(tmp_path))[0].findings]

    many = [said(f"images/s{i}") for i in range(6)]
    assert lines(*many, said("a", "Other."), said("b", severity="severe")) == [
        ("severe", "b: Only 8 images."),
        ("warning", "images/s0, images/s1, images/s2 and 3 more steps: Only 8 images."),
        ("warning", "a: Other."),
    ]
    assert lines(said("x"), said("y")) == [("warning", "x, y: Only 8 images.")]
