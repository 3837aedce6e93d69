"""Whether flips survive storage: attacked images through file formats and back, judged by the user's own model."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from percuss.attacks.eval_mode import device_of, frozen
from percuss.attacks.tensors import as_model
from percuss.core.errors import DataError, RunError
from percuss.core.images import ImageSet, PixelRange, Tensors
from percuss.core.model import Model, is_right
from percuss.core.results import Survival
from percuss.data.decode import Reading, decode
from percuss.evaluate.survival import COLUMNS, survival_table
from percuss.pipeline import environment, heat
from percuss.pipeline.again import made_before, mark_of
from percuss.pipeline.inputs import data_fingerprint, open_images, open_model, read_chunk
from percuss.pipeline.parts import Work
from percuss.pipeline.plan import CHUNK, AuditPlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.results import SURVIVAL, write_outcome
from percuss.pipeline.run import Run
from percuss.store.folder import RunFolder
from percuss.store.roundtrip import Format, formats_for, round_trips
from percuss.store.safe import sha256_of

#: Options of ``survive`` that stand for the plan's, where files have moved.
REPLACES = ("data", "model", "weights", "allow_code", "device", "batch_size", "threads")


def survival(
    model: nn.Module,
    clean: Tensor,
    attacked: Tensor,
    *,
    targets: Tensor,
    pixels: PixelRange | None = None,
    formats: Sequence[str] | None = None,
) -> list[Survival]:
    """How many flips survive each storage format: a record per format, norm left empty.

    Args:
        model: a Percuss model, or any module from images in [0, 1] to logits.
        clean, attacked: float ``[N, C, H, W]`` in [0, 1], in the same order.
        targets: class indices ``[N]`` or 0/1 labels ``[N, K]``.
        pixels: native range, 8 bit where None.
        formats: names of ``store.roundtrip.FORMATS``; None for all that fit the channels.

    Only images that the model has right clean and wrong attacked count; of heat maps all count for AUC-PR. Raises
    UsageError for unknown formats, DataError where clean and attacked images differ in shape.
    """
    if clean.shape != attacked.shape:
        raise DataError(
            "clean and attacked images differ in shape", value=tuple(attacked.shape), allowed=str(clean.shape)
        )
    judge, count = as_model(model, clean, targets), len(clean)
    batch = Tensors([str(i) for i in range(count)], clean, targets, [None] * count, pixels or PixelRange())
    with frozen(judge):
        flipped = _right(judge, batch, clean) & ~_right(judge, batch, attacked)
    batch.scored = judge.task == "heatmap"
    kept = list(range(count)) if batch.scored else flipped.nonzero().flatten().tolist()
    some = Tensors([batch.ids[i] for i in kept], clean[kept], targets[kept], [None] * len(kept), batch.range)
    some.scored = batch.scored
    rows = survival_rows(judge, some, attacked[kept], formats=formats)
    return survival_table(with_flips(rows, dict(zip(batch.ids, flipped.tolist(), strict=True))))


def survival_rows(
    model: Model,
    batch: Tensors,
    attacked: Tensor,
    *,
    norm: str = "",
    formats: Sequence[str] | None = None,
    batch_size: int = 32,
) -> pd.DataFrame:
    """One row per image and format (``evaluate.survival.COLUMNS``), for images that the attack flipped.

    Of heat maps (``batch.scored``) also what AUC-PR is made of (``HEAT``, but for ``flipped``), for all images.

    Args:
        model: judges what comes back from each format.
        batch: the clean images, targets, ids and native range.
        attacked: attacked images ``[N, C, H, W]`` in the order of ``batch``.
        norm: written into every row.
        formats, batch_size: as in ``survival``; results do not depend on the batch size.
    """
    chosen = formats_for(int(attacked.shape[1]), formats) if len(attacked) else []
    parts = [pd.DataFrame(columns=list(COLUMNS))]
    with frozen(model):
        for form in chosen:
            after = _logits(model, round_trips(attacked, form, batch.range), batch_size)
            plain = _logits(model, round_trips(batch.images, form, batch.range), batch_size)
            truth = batch.targets.cpu()
            parts.append(
                pd.DataFrame(
                    {
                        "id": batch.ids,
                        "group": [group or "" for group in batch.groups],
                        "norm": norm,
                        "format": form.name,
                        "words": form.words,
                        "flips": (~is_right(after, truth, model.task)).tolist(),
                        "clean_right": is_right(plain, truth, model.task).tolist(),
                    }
                    | (_cells(after, plain, truth) if batch.scored else {})
                )
            )
    return pd.concat(parts[1:], ignore_index=True) if chosen else parts[0]


def with_flips(rows: pd.DataFrame, flipped: Mapping[str, bool]) -> pd.DataFrame:
    """The rows of heat maps with whether each image was flipped by its attack; other rows as they are."""
    return rows.assign(flipped=rows["id"].map(flipped)) if "scores" in rows else rows


def _cells(after: Tensor, plain: Tensor, truth: Tensor) -> dict[str, Any]:
    rows, clean = heat.columns(after, truth), heat.columns(plain, None)
    found: dict[str, Any] = {name: [row[name] for row in rows] for name in ("shape", "truth", "scores")}
    return found | {"scores_clean": [row["scores"] for row in clean]}


def _right(model: Model, batch: Tensors, images: Tensor) -> Tensor:
    if not len(images):
        return torch.zeros(0, dtype=torch.bool)
    return is_right(_logits(model, images), batch.targets.cpu(), model.task)


def _logits(model: Model, images: Tensor, batch_size: int = 32) -> Tensor:
    device = device_of(model)
    with torch.no_grad():
        return torch.cat([model(part.to(device)).cpu() for part in torch.split(images, batch_size)])


def survive(
    out: Path | str,
    *,
    data: ImageSet | str | None = None,
    model: Model | nn.Module | str | None = None,
    formats: Sequence[str] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """Send the kept attacked images of a finished audit through storage formats; the run gains a survival table.

    Args:
        out: the run folder. What was computed before a stop or kill is not computed again.
        data, model: instead of the plan's, where they were given in Python or have moved; they must be the same.
        formats: names, all that fit where None.
        progress: told what happens.
        options: ``weights``, ``allow_code``, ``device``, ``batch_size``, ``threads``, instead of the plan's.

    Every image that an attack flipped in full precision is taken once per norm, as the file that the audit kept:
    its smallest flip as stored, or where no flip survived rounding its smallest flip, rounded. Of heat maps every
    image, at the largest size of its norm: what is counted is AUC-PR.

    Raises:
        RunError: no finished run there, other images or another model than the run's, a damaged image.
    """
    say, path = progress or Progress(), Path(out)
    folder = RunFolder.existing(path)
    if not folder.finished:
        raise RunError("the run is not finished", value=path, next_step="give its percuss audit command again")
    plan = plan_of(folder, data=data, model=model, options=options)
    with environment.threads(plan.threads):
        chosen = open_images(plan, data if isinstance(data, ImageSet) else None)
        judged = open_model(plan, None if isinstance(model, str) else model, chosen)
        judged = judged.to(environment.pick_device(plan.device))
        check_same(folder, images=data_fingerprint(chosen), model=judged.fingerprint())
        folder = RunFolder.start(path, folder.manifest["identity"])
        try:
            wanted = formats_for(chosen.shape[0], formats)
            mark = mark_of(folder, {"formats": [item.name for item in wanted]})
            if made_before(folder, mark, record=SURVIVAL, needs=("results.json", "report.html")):
                say.line(f"storage was tried before; nothing to compute: {path / 'report.html'}")
                return Run(path)
            work = Work(plan, chosen, judged, device_of(judged), folder)
            rows = _compute(work, wanted, say)
            rows.attrs = {"mark": mark}
            folder.write_table(SURVIVAL, rows)
            write_outcome(folder)
            folder.finish()
            folder.drop("parts")
        finally:
            folder.close()
    return Run(path)


def plan_of(folder: RunFolder, *, data: object, model: object, options: dict[str, Any]) -> AuditPlan:
    """The run's plan, with what stands for parts of it now."""
    try:
        plan = AuditPlan.model_validate(tomllib.loads((folder.path / "plan.toml").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunError("the run's plan cannot be read", value=error, next_step="run the audit again") from error
    given = {key: value for key, value in options.items() if value is not None}
    given |= {key: value for key, value in (("data", data), ("model", model)) if isinstance(value, str)}
    if model is None and "model" not in given and plan.model == "module":
        raise RunError(
            "the run's model was given in Python",
            value=folder.path,
            next_step="give model=NETWORK to the function in Python, or --model SPEC",
        )
    return plan.model_copy(update={key: value for key, value in given.items() if key in ("data", "model", *REPLACES)})


def check_same(folder: RunFolder, *, images: str, model: str) -> None:
    """RunError unless images and model are those of the run."""
    identity = folder.manifest["identity"]
    for name, found, wanted in (
        ("images", images, identity["images (--data, --split, --limit)"]),
        ("model", model, identity["model (--model, --weights)"]),
    ):
        if found != wanted:
            raise RunError(
                f"the {name} are not those of the run" if name == "images" else "the model is not that of the run",
                value=f"sha256 {found[:16]}, the run has {wanted[:16]}",
                next_step=f"name the {name} of the audit with --{'data' if name == 'images' else 'model'}",
            )


def _compute(work: Work, formats: list[Format], say: Progress) -> pd.DataFrame:
    rows = work.folder.read_table("rows.parquet")
    every = work.model.task == "heatmap"
    kept = rows[(rows["image"] != "") & (rows["success"].astype(bool) | every)]
    units = [
        (str(norm), part.iloc[start : start + CHUNK])
        for norm, part in kept.groupby("norm", sort=False)
        for start in range(0, len(part), CHUNK)
    ]
    say.line(f"{len(kept)} attacked images through {len(formats)} formats: {', '.join(item.name for item in formats)}")
    say.start("storage", len(units))
    found = [pd.DataFrame(columns=list(COLUMNS))]
    for norm, part in units:
        found.append(_unit(work, part, norm, formats))
        say.advance()
    say.stop()
    if not len(kept):
        say.line("no image was flipped, so there is nothing to store")
    table = pd.concat(found[1:], ignore_index=True) if len(found) > 1 else found[0]
    order = {item.name: place for place, item in enumerate(formats)}
    table["place"] = table["format"].map(order)
    return table.sort_values(["norm", "place"], kind="stable").drop(columns="place").reset_index(drop=True)


def _unit(work: Work, part: pd.DataFrame, norm: str, formats: list[Format]) -> pd.DataFrame:
    """Rows of one portion of kept images, computed now or read back."""
    names, ids = [item.name for item in formats], [str(name) for name in part["id"]]
    key = work.key("survival", ids, norm=norm, formats=names)
    found = work.folder.read_part(key)
    if found is None:
        batch = read_chunk(work.chosen, ids)
        if batch.ids != ids:
            raise RunError("images of the run cannot be read any more", value=work.plan.data)
        size = work.plan.batch_size
        found = survival_rows(work.model, batch, kept_images(work, part), norm=norm, formats=names, batch_size=size)
        found = with_flips(found, dict(zip(ids, part["success"].astype(bool), strict=True)))
        work.folder.write_table(f"parts/{key}.parquet", found)
    return found


def kept_images(work: Work, part: pd.DataFrame) -> Tensor:
    """The attacked images that the audit kept, checked against their hashes, ``[N, C, H, W]`` in [0, 1]."""
    found = []
    for name, wanted in zip(part["image"], part["image_sha256"], strict=True):
        path = work.folder.path / str(name)
        if not path.exists() or sha256_of(path) != wanted:
            raise RunError("a kept image is gone or changed", value=path, next_step="run the audit again")
        values, _ = decode(path.read_bytes(), str(name), Reading())
        found.append(torch.from_numpy((values / work.chosen.pixels.levels).astype("float32")))
    return torch.stack(found)
