"""A reader study as a section of the audit's page: of every kind of audit, and where the study cannot be trusted."""

from __future__ import annotations

import hashlib
import re

import pytest
from fake_run import Fake, build
from tests.report.test_reader_study import NASTY, protocol_of, resulted
from tests.study.results.study_answers import foote

from percuss.core.errors import RunError
from percuss.pipeline.study_in_run import _Kept, _told
from percuss.report.page import write_report
from percuss.report.reader_study_schema import write_study_results
from percuss.report.reader_study_section import kept_study
from percuss.report.schema import read_results, write_results

CASES = {
    "usual": Fake(n=6, images=False),
    "severe": Fake(n=6, images=False, findings=(("blind", "severe", "The attacks were blind."),)),
    "masks": Fake(n=4, task="segment", classes=("background", "tumour", "stroma"), side=40),
    "heat maps": Fake(n=4, task="heatmap", side=64, patients=2, attacks=("bim", "noise"), budgets=("l2=4", "none")),
}


def with_study(folder, fake, **options):
    """The page of a fake run with a fake study, and the file that the run keeps of it."""
    results = read_results(build(folder, fake) / "results.json")
    study = resulted(protocol_of(cases=3), foote, **options)
    kept = folder / "reader_study.json"
    write_study_results(study, kept)
    sha = hashlib.sha256(kept.read_bytes()).hexdigest()
    item = _Kept(id=study.study.id, results="../s/results.json", results_sha256=sha, kept=kept.name, same_run_file=True)
    write_results(results.model_copy(update={"reader_study": [_told(item, study)]}), folder / "results.json")
    return write_report(folder).read_text(encoding="utf-8"), kept


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_audit_has_room_for_it(tmp_path, name):
    page, _ = with_study(tmp_path, CASES[name])
    names = re.findall(r'\sid="([^"]+)"', page)
    assert len(names) == len(set(names)) and "reader-study-endpoints" in names
    assert page.index('id="curves"') < page.index('id="reader-study"') < page.index('id="clean"')
    assert page.count('href="#reader-study"') == 1
    assert NASTY not in page and "Do &lt;b&gt;readers&lt;/b&gt; &amp;" in page
    # Nothing is wrong with the study, whatever is wrong with the audit.
    assert "The verdicts of this study cannot be trusted" not in page


def test_a_study_that_cannot_be_trusted_is_stamped_and_the_audit_is_not(tmp_path):
    page, _ = with_study(tmp_path, CASES["usual"], faults=("record 7 was changed",))
    audit, _, study = page.partition('<section id="reader-study">')
    assert "INVALID" not in audit and 'class="opening doubtful"' not in audit
    assert "The verdicts of this study cannot be trusted." in study and "record 7 was changed" in study
    assert 'class="opening doubtful"' in study and "DO NOT vouch" in study


def test_another_file_than_the_numbers_name_is_not_drawn(tmp_path):
    _, kept = with_study(tmp_path, CASES["usual"])
    kept.write_bytes(kept.read_bytes() + b" ")
    with pytest.raises(RunError, match=r"gone or changed.*--study STUDY"):
        write_report(tmp_path)
    kept.unlink()
    with pytest.raises(RunError, match="gone or changed"):
        kept_study(tmp_path, kept.name, "0" * 64)
