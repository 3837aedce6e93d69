"""codesuite keeps of each image the worst that its parts find, at one budget and one cost."""

import pytest
import torch

from percuss.attacks.codesuite import SUITES, parts
from percuss.attacks.engine import run_attack
from percuss.core.budget import Norm, parse_budget
from percuss.core.errors import AttackError
from percuss.core.losses import cross_entropy
from percuss.core.model import Model, ModelInfo
from percuss.testing.codes import PlainCode, code_model
from percuss.testing.exact import examples

ALL = {"early_stop": False}


def loss(model, name, batch, text, **settings):
    swept = run_attack(name, model, batch, [parse_budget(text)], settings=ALL | settings)
    with torch.no_grad():
        return cross_entropy(model(swept.images[text]), batch.targets, "heatmap"), swept


@pytest.mark.parametrize("text", ["l2=0.3", "linf=0.03"])
def test_no_part_finds_a_worse_map(text):
    model = code_model()
    batch = examples(model, 4)
    whole, swept = loss(model, "codesuite", batch, text)
    assert all(
        row.l2 <= row.eps * 1.0001 if row.norm == "l2" else row.linf <= row.eps * 1.0001 for row in swept.outcomes
    )
    singles = {"implicit": {"start": "clean"}, "unrolled": {}, "straight_through": {}, "apgd": {"steps": 40}}
    singles |= {"rescaled_fgsm": {}, "sparse_code": {}} if text.startswith("l2") else {}
    for name, settings in singles.items():
        assert float(whole.mean()) >= float(loss(model, name, batch, text, **settings)[0].mean()) * 0.995, name
    exact = {name: {} for name in ("rescaled_fgsm", "sparse_code") if name in singles}
    for name in exact:  # nothing random in these: the suite runs just them
        assert (whole >= loss(model, name, batch, text)[0] - 1e-7).all()


def test_more_effort_finds_no_better_maps():
    model = code_model()
    batch = examples(model, 4)
    few, more = (loss(model, "codesuite", batch, "l2=0.2", effort=name)[0] for name in ("quick", "standard"))
    assert float(more.mean()) >= float(few.mean()) * 0.999


def test_the_parts_by_network_norm_and_effort():
    names = [name for name, _ in parts("standard", sparse=True, norm=Norm.L2)]
    start, two = "sparse_code, implicit from there", ["straight_through", "one step", "unrolled"]
    assert names == ["rescaled_fgsm", "pgd", "apgd", start, "implicit", *two]
    quick = [name for name, _ in parts("quick", sparse=True, norm=Norm.LINF)]
    assert quick == ["pgd", "apgd", "implicit", "straight_through"]
    other = [name for name, _ in parts("standard", sparse=False, norm=Norm.L2)]
    assert other == ["rescaled_fgsm", "pgd", "apgd", "sparse_code"]
    with pytest.raises(AttackError, match="quick"):
        parts("quik", sparse=True, norm=Norm.L2)


def test_a_plain_code_is_attacked_by_what_fits_it():
    model = Model(PlainCode(), ModelInfo("plain", "heatmap", ("normal", "tumour"), 3, cell=2))
    batch = examples(model, 3)
    whole, swept = loss(model, "codesuite", batch, "l2=0.3", effort="quick")
    single, _ = loss(model, "pgd", batch, "l2=0.3")
    assert float(whole.mean()) >= float(single.mean()) * 0.999
    suite, grid = SUITES["quick"], 4
    steps = 2 * suite.steps + suite.code_steps * (1 + grid)
    assert all(row.gradient_evaluations == steps for row in swept.outcomes)
