"""What an image draws belongs to it alone."""

import torch

from percuss.core.seeds import ImageRandom, seed_of


def test_draws_do_not_depend_on_mates_or_order():
    whole = ImageRandom(1, ["a", "b", "c"], "pgd").normal((2, 3))
    turned = ImageRandom(1, ["c", "a"], "pgd").normal((2, 3))
    assert torch.equal(whole[2], turned[0]) and torch.equal(whole[0], turned[1])


def test_seed_id_and_purpose_all_count():
    first = ImageRandom(1, ["a"], "pgd").uniform((4,))
    others = [ImageRandom(2, ["a"], "pgd"), ImageRandom(1, ["b"], "pgd"), ImageRandom(1, ["a"], "bim")]
    assert not any(torch.equal(first, other.uniform((4,))) for other in others)
    assert seed_of(1, "a") != seed_of("1a") and 0 <= seed_of("x") < 2**63


def test_subset_goes_on_where_the_whole_was():
    rng, twin = ImageRandom(0, ["a", "b"], "x"), ImageRandom(0, ["a", "b"], "x")
    rng.uniform((3,)), twin.uniform((3,))
    assert torch.equal(rng.subset([1]).uniform((3,))[0], twin.uniform((3,))[1])


def test_uniform_range():
    values = ImageRandom(0, ["a"], "x").uniform((1000,), -2, 3)
    assert float(values.min()) >= -2 and float(values.max()) <= 3 and values.dtype == torch.float32
