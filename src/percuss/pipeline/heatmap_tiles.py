"""The tiles of one slide judged and attacked, a few at a time; what is finished is kept when the process is killed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from percuss.attacks.engine import run_attack
from percuss.core.budget import Budget
from percuss.core.errors import DataError, ModelError
from percuss.core.images import PixelRange, Tensors
from percuss.core.model import Model
from percuss.core.norms import distance
from percuss.data.slides.view import View
from percuss.pipeline.heatmap_grid import Grid, Row
from percuss.pipeline.heatmap_truth import SlideTruth
from percuss.pipeline.plan import AuditPlan
from percuss.pipeline.progress import Progress
from percuss.store.folder import RunFolder
from percuss.store.png import encode, slug

#: Tiles of a unit of work. Results do not depend on it; what a kill can cost does.
CHUNK = 8
CLEAN = "clean"
PIXELS = PixelRange(0, 255)


@dataclass(frozen=True)
class Strike:
    """One attack at one size; None of both for the slide as it is."""

    attack: str = ""
    budget: Budget | None = None

    @property
    def name(self) -> str:
        """Name of its files and column: ``clean``, or ``pgd-l2=25``."""
        return CLEAN if self.budget is None else slug(f"{self.attack}-{self.budget.text}").replace(":", "")


@dataclass
class SlideTiles:
    """One slide at work.

    Attributes:
        name: of the slide, and of its folder in the run.
        view, grid, truth: the slide at the model's resolution, its tiles, and what is known of it.
        model: on its device. plan: attacks, budgets, seed, batch size. folder: the run.
        keep: whether attacked tiles are written as PNG.
        bad: tiles that could not be read, by (row, column), with the reason; known once all are judged.
    """

    name: str
    view: View
    grid: Grid
    truth: SlideTruth | None
    model: Model
    plan: AuditPlan | None
    folder: RunFolder
    batch_size: int
    keep: bool = False
    bad: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def strikes(self) -> list[Strike]:
        """The slide as it is, then every attack at every size."""
        if self.plan is None:
            return [Strike()]
        norms = self.plan.by_norm().values()
        return [Strike(), *(Strike(name, b) for name in self.plan.attacks for budgets in norms for b in budgets)]

    def judge(self, say: Progress) -> None:
        """Judge and attack every kept tile that no part holds yet."""
        units = [(row, part) for row in range(self.grid.kept.shape[0]) for part in _parts(self.grid.columns(row))]
        say.start(f"{self.name}: tiles", sum(len(part) for _, part in units))
        for row, columns in units:
            found = self.folder.read_part(self._key(row, columns))
            if found is None:
                found = self._compute(row, columns)
                self.folder.write_table(f"parts/{self._key(row, columns)}.parquet", found)
            told = zip(found["column"].tolist(), found["reason"].tolist(), strict=True)
            self.bad |= {(row, int(column)): str(reason) for column, reason in told if reason}
            say.advance(len(columns))
        say.stop()

    def rows(self, strike: Strike) -> Iterator[Row]:
        """The judged tiles of each row of the grid, from the finished parts."""
        count = self.grid.side // self.grid.cell
        for row in range(self.grid.kept.shape[0]):
            tiles: Row = []
            for columns in _parts(self.grid.columns(row)):
                found = self.folder.read_table(f"parts/{self._key(row, columns)}.parquet")
                good = found[found["reason"] == ""]
                for column, scores in zip(good["column"], good[strike.name], strict=True):
                    tiles.append((int(column), np.frombuffer(scores, "<f4").reshape(count, count)))
            yield tiles

    def sizes(self, strike: Strike) -> list[float]:
        """Measured size of every tile's change as stored, in the norm of the budget."""
        return [
            float(value)
            for row in range(self.grid.kept.shape[0])
            for columns in _parts(self.grid.columns(row))
            for value in self.folder.read_table(f"parts/{self._key(row, columns)}.parquet")
            .query("reason == ''")[f"size {strike.name}"]
            .tolist()
        ]

    def _key(self, row: int, columns: Sequence[int]) -> str:
        return f"{slug(self.name)}-{row:05d}-{columns[0]:05d}"

    def _compute(self, row: int, columns: Sequence[int]) -> pd.DataFrame:
        """One unit: read, judge, attack, judge again what a file would hold."""
        read = [self._read(row, column) for column in columns]
        good = [(column, pixels) for column, pixels in zip(columns, read, strict=True) if not isinstance(pixels, str)]
        table: dict[int, dict[str, Any]] = {
            column: {"row": row, "column": column, "reason": pixels if isinstance(pixels, str) else ""}
            for column, pixels in zip(columns, read, strict=True)
        }
        if good:
            self._fill([table[column] for column, _ in good], np.stack([pixels for _, pixels in good]))
        empty = {strike.name: b"" for strike in self.strikes} | {
            f"size {strike.name}": float("nan") for strike in self.strikes[1:]
        }
        return pd.DataFrame([empty | table[column] for column in columns])

    def _read(self, row: int, column: int) -> NDArray[np.uint8] | str:
        """The tile ``[3, side, side]``, or why it cannot be read."""
        try:
            top, left = self.grid.corner(row, column)
            return self.view.read(top, left, self.grid.side, self.grid.side).transpose(2, 0, 1)
        except DataError as error:
            return str(error)

    def _fill(self, rows: list[dict[str, Any]], pixels: NDArray[np.uint8]) -> None:
        images = unit(pixels)
        clean = scores(self.model, images, self.batch_size)
        for item, one in zip(rows, clean, strict=True):
            item[CLEAN] = as_bytes(one)
        if self.plan is None:
            return
        batch = Tensors(
            ids=[f"{self.name}-{item['row']}-{item['column']}" for item in rows],
            images=images,
            targets=self._targets(rows, clean),
            groups=[self.name] * len(rows),
            range=PIXELS,
            scored=True,
        )
        for name in self.plan.attacks:
            for budgets in self.plan.by_norm().values():
                self._attack(name, budgets, batch, rows)

    def _attack(self, name: str, budgets: Sequence[Budget], batch: Tensors, rows: list[dict[str, Any]]) -> None:
        assert self.plan is not None
        settings = {"early_stop": False, **self.plan.attack_settings(name)}
        swept = run_attack(
            name,
            self.model,
            batch,
            budgets,
            seed=self.plan.seed,
            batch_size=self.batch_size,
            settings=settings,
            allow_silent=True,
        )
        for budget in budgets:
            strike = Strike(name, budget)
            kept = (swept.stored[budget.text] * 255).round().clamp(0, 255).to(torch.uint8)
            again = unit(kept.numpy())
            size = distance(budget.norm, again - batch.images)
            judged = scores(self.model, again, self.batch_size)
            for item, one, change, image in zip(rows, judged, size.tolist(), again, strict=True):
                item[strike.name], item[f"size {strike.name}"] = as_bytes(one), change
                if self.keep:
                    place = f"{item['row']:05d}_{item['column']:05d}"
                    self.folder.write(f"{slug(self.name)}/tiles/{strike.name}/{place}.png", encode(image, PIXELS))

    def _targets(self, rows: list[dict[str, Any]], clean: Tensor) -> Tensor:
        """The truth of each tile; the model's own decisions where nothing is known."""
        if self.truth is None:
            return (clean > 0).to(torch.uint8)
        side = self.grid.side
        corners = [self.grid.corner(item["row"], item["column"]) for item in rows]
        return torch.from_numpy(np.stack([self.truth.tile(self.view, c, side=side) for c in corners]))


def unit(pixels: NDArray[np.uint8]) -> Tensor:
    """8-bit pixels ``[N, 3, H, W]`` as float32 in [0, 1], as a set of images gives them."""
    return torch.from_numpy((pixels.astype(np.float64) / 255).astype(np.float32))


def scores(model: Model, images: Tensor, batch_size: int) -> Tensor:
    """Logits of tumour less normal of every cell, float32 ``[N, h, w]`` on the CPU; ModelError where not finite."""
    device = next(iter(model.parameters()), torch.zeros(0)).device
    parts = []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            logits = model(images[start : start + batch_size].to(device)).cpu()
            parts.append(logits[:, 1] - logits[:, 0])
    found = torch.cat(parts)
    if not bool(torch.isfinite(found).all()):
        raise ModelError(
            "the model's logits hold NaN or infinity",
            value=f"{int((~torch.isfinite(found)).flatten(1).any(1).sum())} of {len(found)} tiles",
            allowed="finite logits",
            next_step="look at the weights and the range of the input",
        )
    return found


def as_bytes(one: Tensor) -> bytes:
    """The logits of a tile as float32 bytes, row by row."""
    found: bytes = one.numpy().astype("<f4").tobytes()
    return found


def _parts(columns: Sequence[int]) -> list[Sequence[int]]:
    return [columns[start : start + CHUNK] for start in range(0, len(columns), CHUNK)]
