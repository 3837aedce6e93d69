"""Flaws of the published study of sparse codes: what was published and what is done; the rest of its rows in
docs/reproduce.md name the tests of the modules.
"""

import numpy as np
import pytest

from percuss.evaluate.heat_scores import average_precision
from percuss.pipeline.recipe import open_recipe, spread, values_of


def steps_of(protocol):
    recipe = open_recipe("strauss")
    values = values_of(recipe, protocol=protocol, quick=False, given={})
    given = values | {"protocol": protocol, "seed": 0}
    return values, {one.id: one for step in recipe.steps for one in spread(step, given)}


def test_strauss_differs_by_protocol_where_the_table_says():
    corrected, paper = steps_of("corrected")[0], steps_of("paper")[0]
    assert "stride=2" in paper["sparse_model"] and "stride=4" in corrected["sparse_model"]
    assert all("atoms=512&kernel=24" in values["sparse_model"] for values in (corrected, paper))
    assert paper["sizes"] == [paper["size"]] == ["l2=rms:0.02819"] and len(corrected["sizes"]) > 1
    assert paper["sparse_attacks"] == ["sparse_code", "noise"] and paper["deep_attacks"] == ["rescaled_fgsm", "noise"]
    through = {"implicit", "unrolled", "straight_through"}
    assert through | set(paper["sparse_attacks"]) <= set(corrected["sparse_attacks"])
    assert {"pgd", *paper["deep_attacks"]} <= set(corrected["deep_attacks"])


@pytest.mark.parametrize("protocol", ["corrected", "paper"])
def test_both_detectors_are_attacked_at_the_same_sizes_on_the_same_tiles(protocol):
    """Published: an attack on the image of one, an attack on the code of the other. Sizes, tiles and checks are equal
    here; only attacks and their settings differ.
    """
    _, steps = steps_of(protocol)
    deep, sparse = steps["attack-deep"].options, steps["attack-sparse"].options
    assert deep.keys() == sparse.keys()
    assert {key for key in deep if deep[key] != sparse[key]} <= {"attacks", "settings"}
    assert steps["deep"].options["epochs"] == steps["sparse"].options["epochs"]
    assert len(steps["transfer"].on) == 2  # each judges what was made on the other


def test_the_papers_length_is_this_root_mean_square():
    """A length of 25 over 512 x 512 x 3 values; tiles of other sides keep the change of a value."""
    values, _ = steps_of("paper")
    size = float(values["size"].rpartition("rms:")[2])
    assert size * (512 * 512 * 3) ** 0.5 == pytest.approx(25, rel=1e-3)


def test_tumour_that_nobody_outlined_punishes_the_detector_that_finds_it():
    """Published: all cells outside the outlines count as normal, on a slide that is not outlined everywhere."""
    normal, outlined, missed = [-2.0, -1.5, -3.0, -1.0], [3.0, 2.0], [4.0, 2.5]
    scores = np.array(outlined + missed + normal)
    as_published = np.array([1, 1, 0, 0, 0, 0, 0, 0], np.uint8)
    # Nothing outside the outlines is judged there; normal cells come from a slide that is outlined everywhere.
    judged = np.array([1, 1, 255, 255, 0, 0, 0, 0], np.uint8)
    assert average_precision(scores, as_published) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert average_precision(scores, judged) == 1.0
