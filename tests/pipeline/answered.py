"""A finished audit, and reader studies of it that were read, closed and computed."""

from __future__ import annotations

from tests.pipeline.test_study_results import answer_all

import percuss
from percuss.pipeline.interface import audit
from percuss.pipeline.study_create import create_study
from percuss.study.access import enrol
from percuss.study.closing import close
from percuss.study.opening import open_study
from percuss.study.seal import load_key

READERS = ("Ada Quill", "Bo Quartz")
SIZES = ["linf=16/255,64/255"]


#: What the audit is asked.
ASKED = {"attacks": "fgsm", "budgets": SIZES, "split": "all", "limit": 16, "checks": "off"}


def audited(out, tissue, judged):
    """An audit of which a study can be made."""
    return audit(data=tissue, model=judged, out=out, **ASKED)


def answered(run, out, source, *, readers=READERS, closed=True, **options):
    """A study of four cases at ``out``, which every reader has answered: the first one rightly."""
    given = {"cases": 4, "budgets": SIZES, "tasks": ("diagnosis", "choice"), "seed": 1, "washout_days": 0} | options
    create_study(run, out=out, data=source[0], model=source[1], **given)
    study = open_study(out)
    key = load_key(study.folder)
    for number, name in enumerate(readers, start=2):  # the administrator is the first
        enrol(study, name)
        answer_all(study, key, number, wrong=range(1, 5) if number > 2 else ())
    if closed:
        close(study, who="me", reason="all have read")
    study.database.close()
    if closed:
        percuss.study_results(out)
    return out
