"""Images of class maps that are kept with a note: counted in one finding of the audit."""

from dataclasses import replace

from squares import Squares, teller

from percuss.pipeline.interface import audit


class Noted(Squares):
    """Two of the images with a note of their reader; number 3 is background alone, which is another finding."""

    def read(self, case_id):
        case = super().read(case_id)
        return replace(case, notes=("overlapping channels",)) if case_id in ("case3", "case6") else case


def run(data, out):
    return audit(data=data, model=teller(), out=out, attacks=["fgsm"], budgets=["linf=2/255"], checks="off")


def test_notes_become_one_finding(tmp_path):
    found = run(Noted(), tmp_path / "run")
    assert found.results.data.n_images == 8 and found.results.data.n_bad == 0
    (finding,) = [finding for finding in found.results.findings if finding.id == "noted-images"]
    assert finding.severity == "info"
    assert finding.evidence == {"overlapping channels": 2}
    assert "overlapping channels in 2 images, first case3" in finding.message


def test_without_notes_nothing_is_said(tmp_path):
    found = run(Squares(4), tmp_path / "run")
    assert all(finding.id != "noted-images" for finding in found.results.findings)
