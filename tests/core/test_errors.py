"""Errors say the thing, the value, what was allowed and the next step."""

from percuss.core.errors import PercussError, nearest


def test_the_four_parts_in_order():
    error = PercussError("unknown norm", value="l3", allowed="l0, l1, l2", next_step="write l2=0.5")
    assert str(error) == "unknown norm: l3. Allowed: l0, l1, l2. Next: write l2=0.5."


def test_nearest_prefers_close_names():
    assert nearest("pdg", ["fgsm", "pgd", "noise"]).startswith("pgd")
    assert nearest("zzz", ["a", "b"]) == "a, b"
