"""CPU time of the heat head's first convolution on sparse codes: from the active coefficients alone, and dense.

512 channels, 36 kernels of 4 x 4, codes with a share of random active coefficients, as of tiles of 512 px; forward,
and forward with the gradient in the weights. Methods in turn, the least of the rounds. Prints the table of docs/lca.md.

    python benchmarks/heat_head.py [--rounds 5] [--sides 64,128,256] [--shares 0.001,0.01]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from measuring import in_turn

CHANNELS = 512


def code_of(side: int, share: float) -> torch.Tensor:
    """A code ``[1, 512, side, side]`` with random active coefficients."""
    generator = torch.Generator().manual_seed(0)
    code = torch.zeros(1, CHANNELS, side, side)
    places = torch.randint(code.numel(), (round(share * code.numel()),), generator=generator)
    code.view(-1)[places] = 1 + torch.rand(len(places), generator=generator)
    return code


def methods(code: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """The four that are timed; both ways must agree first."""
    from percuss.models.heat_head import SameConvolution
    from percuss.models.sparse_convolution import convolved

    torch.manual_seed(0)
    layer = SameConvolution(CHANNELS, 36, 4)
    weights = [layer.weight, layer.bias]
    assert layer.bias is not None

    def quick() -> torch.Tensor:
        found = convolved(code, layer.weight, layer.bias)
        assert found is not None
        return found

    with torch.no_grad():
        off = float((quick() - layer(code)).abs().max())
    if off > 1e-5:
        raise SystemExit(f"the two differ by {off:g}")

    def forward(way: Callable[[], torch.Tensor]) -> None:
        with torch.no_grad():
            way()

    def backward(way: Callable[[], torch.Tensor]) -> None:
        torch.autograd.grad(way().sum(), weights)

    dense = partial(layer, code)
    return {
        "dense": partial(forward, dense),
        "active": partial(forward, quick),
        "dense with gradient": partial(backward, dense),
        "active with gradient": partial(backward, quick),
    }


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", default="64,128,256")
    parser.add_argument("--shares", default="0.001,0.01")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| places of the code | active | dense | active ones alone | with gradient: dense | active ones alone |")
    print("|---|---|---|---|---|---|")
    for side in map(int, given.sides.split(",")):
        for share in map(float, given.shares.split(",")):
            ways = methods(code_of(side, share))
            for way in ways.values():
                way()
            least = {name: min(times) for name, times in in_turn(ways, given.rounds).items()}
            cells = " | ".join(f"{1000 * least[name]:.0f} ms" for name in ways)
            print(f"| {side} x {side} | {100 * share:g} % | {cells} |", flush=True)


if __name__ == "__main__":
    main()
