"""segsuite on a small trained segmenter: no single attack with as many steps finds worse masks."""

import pytest
import torch

from percuss.attacks.apgd import SHRINKING
from percuss.attacks.engine import run_attack
from percuss.attacks.segsuite import SUITES, parts
from percuss.core.budget import parse_budget
from percuss.core.dense import quality
from percuss.core.errors import AttackError
from percuss.testing.exact import examples, pixel_flips, pixel_model

ALL = {"early_stop": False}


def mean_dice(name, model, batch, text, **settings):
    swept = run_attack(name, model, batch, [parse_budget(text)], settings=ALL | settings)
    with torch.no_grad():
        return quality(model(swept.images[text]).argmax(1), batch.targets, len(model.classes)), swept


def test_at_or_below_every_single_attack_with_equal_steps(segmenter):
    model, batch = segmenter
    text = "linf=2/255"
    suite, swept = mean_dice("segsuite", model, batch, text, effort="standard")
    steps = SUITES["standard"].steps
    singles = [("apgd", {"loss": loss}) for loss in ("ce", "masked", "balanced", "js", "dice")]
    for name, more in [*singles, ("segpgd", {}), ("cospgd", {}), ("pgd", {})]:
        single, _ = mean_dice(name, model, batch, text, steps=steps, **more)
        assert float(suite.mean()) <= float(single.mean()), name
    with torch.no_grad():
        clean = quality(model(batch.images).argmax(1), batch.targets, 3)
    assert (suite <= clean).all() and float(suite.mean()) < float(clean.mean()) - 0.01
    assert all(row.gradient_evaluations == steps * len(parts("standard")) for row in swept.outcomes)


def test_more_effort_finds_no_better_masks(segmenter):
    model, batch = segmenter
    few, more = (mean_dice("segsuite", model, batch, "l2=0.3", effort=name)[0] for name in ("quick", "standard"))
    assert float(more.mean()) <= float(few.mean())


def test_exactly_the_pixels_that_can_flip_do():
    model = pixel_model(classes=2)
    batch = examples(model, 4)
    swept = run_attack("segsuite", model, batch, [parse_budget("linf=0.05")], settings=ALL | {"effort": "quick"})
    with torch.no_grad():
        said = model(swept.images["linf=0.05"]).argmax(1)
    assert torch.equal(said != batch.targets, pixel_flips(model, batch, 0.05))


def test_flipped_images_leave_unless_all_are_wanted():
    model = pixel_model()
    batch = examples(model, 4)
    swept = run_attack("segsuite", model, batch, [parse_budget("linf=0.5")])
    assert all(row.success for row in swept.outcomes)
    assert max(row.gradient_evaluations for row in swept.outcomes) < SUITES["standard"].steps


def test_shrinking_balls_end_within_the_budget(segmenter):
    model, batch = segmenter
    for text in ("linf=2/255", "l2=0.3"):
        swept = run_attack(
            "apgd", model, batch, [parse_budget(text)], settings=ALL | {"radius": "shrinking", "steps": 20}
        )
        plain = run_attack("apgd", model, batch, [parse_budget(text)], settings=ALL | {"steps": 20})
        assert not torch.equal(swept.images[text], plain.images[text])
    assert SHRINKING[-1][0] == 1 and sum(share for _, share in SHRINKING) == pytest.approx(1)


def test_the_parts_by_effort():
    assert [len(parts(name)) for name in ("quick", "standard", "thorough")] == [2, 7, 14]
    model = pixel_model()
    with pytest.raises(AttackError, match="quick"):
        run_attack("segsuite", model, examples(model, 2), [parse_budget("linf=0.1")], settings={"effort": "quik"})
    with pytest.raises(AttackError, match="fixed, shrinking"):
        run_attack("apgd", model, examples(model, 2), [parse_budget("linf=0.1")], settings={"radius": "large"})
