"""Input that no sparse code has: each named, with what was allowed."""

import pytest
import torch

from percuss.core.errors import PercussError, UsageError
from percuss.models.lca import Solver, decode, encode, firm, hard, unit_norm
from percuss.models.lca_thresholds import Threshold


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


GOOD = {"threshold": 0.4, "stride": 2}
IMAGES, ATOMS = drawn(2, 3, 12, 12), unit_norm(drawn(4, 3, 6, 6, seed=1))


@pytest.mark.parametrize(
    ("images", "dictionary", "change", "words"),
    [
        (IMAGES[0], ATOMS, {}, "do not fit the dictionary"),
        (IMAGES[:, :1], ATOMS, {}, "do not fit the dictionary"),
        (IMAGES.float(), ATOMS, {}, "both float32 or both float64"),
        (IMAGES.half(), ATOMS.half(), {}, "both float32"),
        (IMAGES.index_fill(0, torch.tensor([1]), float("nan")), ATOMS, {}, "NaN or infinite values: image 1"),
        (IMAGES, ATOMS * 2, {}, "atom 0, length 2.*unit_norm"),
        (IMAGES, ATOMS[:, :, :5], {}, "not a dictionary"),
        (IMAGES, ATOMS, {"stride": 7}, "stride.*1 to 6"),
        (IMAGES, ATOMS, {"stride": 0}, "stride.*1 to 6"),
        (IMAGES, ATOMS, {"stride": 5}, "sides do not fit.*multiples of 5"),
        (IMAGES, ATOMS, {"border": "none", "stride": 5}, "6 plus a multiple of 5"),
        (IMAGES, ATOMS, {"border": "zero"}, "unknown border.*mirror, none"),
        (IMAGES[..., :2, :2], ATOMS, {"stride": 1}, "too small to be mirrored"),
        (IMAGES, ATOMS, {"threshold": -1.0}, "at least 0"),
        (IMAGES, ATOMS, {"threshold": "0.3"}, "a number or soft"),
        (IMAGES, ATOMS, {"solver": "lcq"}, "unknown solver.*lca"),
        (IMAGES, ATOMS, {"solver": "fista", "threshold": hard(1.0)}, "soft thresholds only"),
        (IMAGES, ATOMS, {"solver": Solver("lca", start=torch.zeros(2, 4, 6, 5))}, "start does not fit"),
        (IMAGES, ATOMS, {"solver": Solver("lca", start=-torch.ones(2, 4, 6, 6).double())}, "values that no code has"),
    ],
)
def test_bad_input_is_named(images, dictionary, change, words):
    with pytest.raises(UsageError, match=f"(?s){words}"):
        encode(images, dictionary, **{**GOOD, **change})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: hard(0.0), "above 0"),
        (lambda: firm(1.0, width=0.0), "width of a firm"),
        (lambda: Threshold("soft", 1.0, 2.0), "has no width"),
        (lambda: Threshold("sft", 1.0), "unknown threshold"),
        (lambda: Solver(tolerance=-1.0), "tolerance"),
        (lambda: Solver(steps=0), "steps"),
        (lambda: Solver(tau=0.5), "at least 1 iteration"),
        (lambda: unit_norm(torch.zeros(2, 1, 3, 3)), "atom 0, length 0"),
        (lambda: decode(torch.zeros(1, 5, 2, 2), ATOMS), "does not fit its dictionary"),
        (lambda: decode(torch.zeros(1, 4, 2, 2), ATOMS), "types of code"),
    ],
)
def test_settings_out_of_range_are_named(make, words):
    with pytest.raises(PercussError, match=words):
        make()
