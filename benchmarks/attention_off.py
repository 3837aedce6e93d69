"""Whether soft attention does anything in trained networks: decisions with it, and with its output set to zero.

    python benchmarks/attention_off.py RUN

RUN is a folder of ``percuss reproduce wasserman``. For each training with attention: the learnt gamma, the share of the
attention's weights that the tenth of the places most looked at has (and what it would be if all places had the same),
and the decisions on the test images that change when the attention's output is zero. Without such a change, attention
cannot be what makes a network differ.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from percuss.data.spec import load_data
from percuss.models.soft_attention import AttentionNetwork, SoftAttention, attention_maps
from percuss.models.spec import load_model
from percuss.pipeline.recipe_files import read_study


class Off(nn.Module):
    """Nothing of the features comes through."""

    def forward(self, features: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(features)


def told(folder: Path) -> str:
    """The line of one training; empty where it has no attention."""
    model = load_model(folder)
    attention = next((part for part in model.modules() if isinstance(part, SoftAttention)), None)
    if attention is None:
        return ""
    data = load_data(json.loads((folder / "training.json").read_text(encoding="utf-8"))["data"])
    images = data.subset(split="test").collect(data.subset(split="test").ids).images
    with torch.no_grad():
        before = model(images)
        maps = attention_maps(model, images).sum(1).flatten(1)
        holder = next(part for part in model.modules() if isinstance(part, AttentionNetwork))
        holder.attention = Off()  # type: ignore[assignment]
        after = model(images)
    top = max(1, round(0.1 * maps.shape[1]))
    share = float((maps.topk(top, 1).values.sum(1) / maps.sum(1)).mean())
    gamma = "none" if attention.gamma is None else f"{float(attention.gamma.detach()):.4f}"
    changed = int((before.argmax(1) != after.argmax(1)).sum())
    even = top / maps.shape[1]
    return f"gamma {gamma}, top places hold {share:.3f} (even: {even:.3f}), changed {changed} of {len(images)}"


def main() -> None:
    """Prints a line for each training with attention."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    given = parser.parse_args()
    for step in read_study(given.run).steps:
        line = told(given.run / step.folder) if step.kind == "train" and step.state == "done" else ""
        if line:
            print(f"{step.data} {step.id}: {line}")


if __name__ == "__main__":
    main()
