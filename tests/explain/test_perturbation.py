"""Whether a change shows the image: edges and sizes on cases with closed answers, and the run's table."""

import torch

from percuss.core.seeds import ImageRandom
from percuss.explain.drift import drift, same_size_noise
from percuss.explain.perturbation import change_map, edges


def test_edges_of_a_step_a_slope_and_nothing():
    step = torch.zeros(1, 3, 5, 6)
    step[..., 3:] = 1.0
    found = edges(step)
    assert found.shape == (1, 5, 6) and torch.equal(found[0, 2], torch.tensor([0, 0, 0.5, 0.5, 0, 0]))
    slope = (torch.arange(6.0) / 10).expand(1, 1, 5, 6)
    assert torch.allclose(edges(slope)[0, :, 1:-1], torch.tensor(0.1))
    assert torch.allclose(edges(slope.transpose(2, 3)), edges(slope).transpose(1, 2))
    assert not edges(torch.full((1, 3, 4, 4), 0.3)).any()


def test_a_change_along_the_edges_is_told_from_noise_of_its_size():
    rng = torch.Generator().manual_seed(0)
    clean = 0.3 + 0.4 * torch.nn.functional.interpolate(torch.rand(8, 1, 6, 6, generator=rng), size=(48, 48))
    along = clean + 0.02 * edges(clean)[:, None]
    noise = same_size_noise(clean, along, ImageRandom(0, [str(i) for i in range(8)], "x"))
    attack = drift(edges(clean), change_map(clean, along))
    null = drift(edges(clean), change_map(clean, noise))
    assert (attack.rank > 0.99).all() and (abs(null.rank) < 0.15).all() and (attack.overlap > 0.95).all()
    assert torch.allclose(
        change_map(clean, along).flatten(1).sum(1), change_map(clean, noise).flatten(1).sum(1), rtol=1e-3
    )
