"""Triage of a finished audit: the most sensitive images go to a human, by a threshold chosen on another split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from percuss.attacks.eval_mode import device_of
from percuss.attacks.target import no_gradient
from percuss.core.errors import DataError, RunError, UsageError
from percuss.core.images import ImageSet
from percuss.core.model import Model
from percuss.core.outcome import Finding
from percuss.core.triage import Triage
from percuss.data.splits import split_name
from percuss.evaluate.triage import Scored, threshold_for, triage_findings
from percuss.evaluate.triage import triage as judge
from percuss.pipeline import environment
from percuss.pipeline.again import made_before, mark_of
from percuss.pipeline.inputs import Chosen, data_fingerprint, open_images, open_model, read_chunk
from percuss.pipeline.parts import Work
from percuss.pipeline.plan import AuditPlan
from percuss.pipeline.progress import Progress
from percuss.pipeline.survive import check_same, plan_of
from percuss.pipeline.tasks import refuse_maps
from percuss.pipeline.triage_files import TABLE, Setup, Triaged, read_triaged, write_files
from percuss.pipeline.triage_search import COLUMNS, Probe, SearchOptions, make_probe, sensitivity_rows
from percuss.store.folder import RunFolder, identity_hash

#: Splits that make no calibration: the model knows these images.
_LEARNT = "train"


@dataclass(frozen=True)
class _Sets:
    """The judged and the calibration images; one set where the thresholds are chosen as published."""

    judged: Chosen
    calibration: Chosen

    @property
    def same(self) -> bool:
        return self.judged is self.calibration

    @property
    def told(self) -> str:
        """What the thresholds are chosen on, in words."""
        return "the judged images" if self.same else f"split {self.calibration.split or 'all'}"

    @property
    def roles(self) -> dict[str, Chosen]:
        """The sets by what they are for, each once."""
        return {"judged": self.judged} if self.same else {"judged": self.judged, "calibration": self.calibration}


def triage(
    run: Path | str,
    *,
    share: float = 0.2,
    calibrate: str | ImageSet = "val",
    data: ImageSet | str | None = None,
    model: Model | nn.Module | str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Triaged:
    """Refer the most sensitive share of the run's images, and say whether plain confidence would have done.

    Args:
        run: folder of a finished audit; gains ``triage.json``, ``refer.csv``, ``triage.html`` and ``triage.parquet``.
        share: to refer, above 0 and below 1.
        calibrate: split on which the thresholds are chosen, or a set of images. The run's own split chooses them on
            the judged images, as Joel et al. (2022) did, with a finding.
        data, model: instead of the plan's, where they were given in Python or have moved; they must be the same.
        progress: told what happens.
        options: of ``SearchOptions`` (``norm``, ``sizes``, ``attack``, ``effort``, ``limit``), and ``weights``,
            ``allow_code``, ``device``, ``batch_size``, ``threads``, instead of the plan's.

    The sensitivity of an image is the smallest change found that alters the model's own decision on it, for images
    that are right and wrong alike, by one search for all: it needs no labels. Labels serve to count accuracy only.
    A stopped search goes on where it was; another share or bootstrap needs no new search.

    Raises:
        RunError: no finished run, other images or another model. DataError: no split to calibrate on, or one that
            shares images with the judged ones. UsageError: a share out of range, a single size.
    """
    say, path = progress or Progress(), Path(run)
    own = {name: options.pop(name) for name in SearchOptions.__dataclass_fields__ if name in options}
    wanted = SearchOptions(**own)
    threshold_for(np.ones(1), share)  # refused before anything is computed
    folder = RunFolder.existing(path)
    if not folder.finished:
        raise RunError("the run is not finished", value=path, next_step="give its percuss audit command again")
    plan = plan_of(folder, data=data, model=model, options=options)
    with environment.threads(plan.threads):
        sets = _open(plan, data if isinstance(data, ImageSet) else None, calibrate, wanted.limit)
        ready = open_model(plan, None if isinstance(model, str) else model, sets.judged)
        ready = ready.to(environment.pick_device(plan.device))
        check_same(folder, images=data_fingerprint(sets.judged), model=ready.fingerprint())
        probe = make_probe(plan, sets.judged, wanted)
        folder = RunFolder.start(path, folder.manifest["identity"])
        try:
            mark = mark_of(folder, _search(probe) | _prints_of(sets) | {"share": share, "calibrate": _named(calibrate)})
            if made_before(folder, mark, record="triage.json", needs=(TABLE, "refer.csv", "triage.html")):
                say.line(f"triaged before; nothing to compute: {path / 'triage.html'}")
                return read_triaged(path)
            work = Work(plan, sets.judged, ready, device_of(ready), folder)
            rows = _rows(work, sets, probe, say)
            found, findings = _judged(rows, sets, share, plan.seed)
            setup = Setup(probe, sets.told, sets.same, share)
            record = write_files(work, setup, rows=rows, found=found, told=(findings, mark))
            folder.finish()
            folder.drop("parts")
        finally:
            folder.close()
    return Triaged(path, found, tuple(findings), record)


def _open(plan: AuditPlan, data: ImageSet | None, calibrate: str | ImageSet, limit: int | None) -> _Sets:
    """Both sets; DataError or UsageError where one cannot calibrate the other."""
    judged = open_images(plan, data)
    refuse_maps(judged.images, "triage")
    if isinstance(calibrate, ImageSet):
        other = open_images(plan.model_copy(update={"split": "all", "limit": limit}), calibrate)
        return _apart(_Sets(judged, other))
    wanted = split_name(calibrate)
    if wanted == (judged.split or "all"):
        return _Sets(judged, judged)
    if wanted == _LEARNT:
        raise UsageError(
            "thresholds cannot be chosen on images that the model was trained on",
            value=calibrate,
            allowed="a split it has not seen",
            next_step="give --calibrate val",
        )
    whole = open_images(plan.model_copy(update={"split": "all", "limit": None}), data).images
    if wanted not in whole.splits:
        raise DataError(
            f"the images have no split {wanted}",
            value=", ".join(whole.splits) or "no splits at all",
            next_step="let splits be drawn (?split=0.6,0.2,0.2 behind the data spec) and audit the split test; or name "
            f"the judged images, as in the published study: --calibrate {judged.split or 'all'}",
        )
    if judged.split is None:
        raise DataError(
            f"the run judged all images, those of {wanted} among them",
            value=plan.data,
            next_step="audit with --split test, and triage that run",
        )
    other = open_images(plan.model_copy(update={"split": wanted, "limit": limit}), data)
    return _apart(_Sets(judged, other))


def _apart(sets: _Sets) -> _Sets:
    """DataError where both sets hold the same image, or images of different shape or range."""
    one, two = sets.judged, sets.calibration
    if (one.shape, one.pixels) != (two.shape, two.pixels):
        raise DataError(
            "judged and calibration images differ in shape or range",
            value=f"{one.shape} and {two.shape}",
            next_step="give one size explicitly, for instance ?size=224 behind the data spec",
        )
    prints = {print_: name for name, print_ in _prints(one)}
    both = sorted(prints[print_] for _, print_ in _prints(two) if print_ in prints)
    if both:
        raise DataError(
            f"{len(both)} images are among the judged and among the calibration images, first",
            value=both[0],
            next_step="leave them out of one split: a threshold must not know the images it is judged on",
        )
    return sets


def _prints(chosen: Chosen) -> list[tuple[str, str]]:
    found = []
    for name in chosen.ids:
        try:
            found.append((name, chosen.images.fingerprint(name)))
        except DataError:
            continue  # listed as bad when it is read
    return found


def _search(probe: Probe) -> dict[str, str]:
    """What decides the search, as texts."""
    return {
        "attack": probe.attack,
        "settings": repr(sorted(probe.settings.items())),
        "sizes": " ".join(budget.text for budget in probe.sizes),
    }


def _prints_of(sets: _Sets) -> dict[str, str]:
    return {role: data_fingerprint(chosen) for role, chosen in sets.roles.items()}


def _named(calibrate: str | ImageSet) -> str:
    return calibrate if isinstance(calibrate, str) else ""


def _rows(work: Work, sets: _Sets, probe: Probe, say: Progress) -> pd.DataFrame:
    """Sensitivities of both sets (column ``role``), computed, gone on with, or read back from an earlier triage."""
    roles = sets.roles
    what, prints = _search(probe), _prints_of(sets)
    key = identity_hash(work.folder.manifest["identity"] | what | prints)
    found = _earlier(work.folder, key)
    if found is not None:
        say.line("sensitivities are known from an earlier triage; nothing to search")
        return found
    units = [(role, chosen, ids) for role, chosen in roles.items() for ids in chosen.chunks]
    total = sum(len(chosen.ids) for chosen in roles.values())
    say.line(f"sensitivity of {total} images by {probe.attack}, up to {probe.sizes[-1].text}")
    say.start("sensitivity", len(units))
    parts: list[pd.DataFrame] = []
    for role, chosen, ids in units:
        part = _unit(work, chosen, ids, probe, what | {"images": prints[role]})
        parts.append(part.assign(role=role))
        parts[-1].attrs = part.attrs
        say.advance()
    say.stop()
    return _whole(parts, key)


def _whole(parts: Sequence[pd.DataFrame], key: str) -> pd.DataFrame:
    silent, bad = sum(part.attrs["silent"] for part in parts), [item for part in parts for item in part.attrs["bad"]]
    for part in parts:
        part.attrs = {}
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    if len(table) and silent == len(table):
        raise no_gradient()
    table.attrs = {"key": key, "silent": silent, "bad": bad}
    return table


def _earlier(folder: RunFolder, key: str) -> pd.DataFrame | None:
    try:
        found = folder.read_table(TABLE)
    except RunError:
        return None
    return found if found.attrs.get("key") == key else None


def _unit(work: Work, chosen: Chosen, ids: tuple[str, ...], probe: Probe, what: dict[str, str]) -> pd.DataFrame:
    key = work.key("triage", ids, **what)
    found = work.folder.read_part(key)
    if found is None:
        batch = read_chunk(chosen, ids)
        found = sensitivity_rows(work, batch, probe) if batch.ids else pd.DataFrame(columns=list(COLUMNS))
        if not batch.ids:
            found.attrs = {"silent": 0, "bad": [{"id": item.id, "reason": item.reason} for item in batch.bad]}
        work.folder.write_table(f"parts/{key}.parquet", found)
    return found


def _judged(rows: pd.DataFrame, sets: _Sets, share: float, seed: int) -> tuple[Triage, list[Finding]]:
    judged = scored(rows[rows["role"] == "judged"])
    other = judged if sets.same else scored(rows[rows["role"] == "calibration"])
    found = judge(judged, other, share, seed=seed)
    findings = triage_findings(found, same=sets.same)
    shared = sorted({name for name in judged.groups if name} & {name for name in other.groups if name})
    if shared and not sets.same:
        text = (
            f"{len(shared)} patients are among the judged and among the calibration images, first {shared[0]}: the "
            "thresholds know something of the images they are judged on."
        )
        findings.insert(0, Finding("triage-patients-shared", "warning", text, {"patients": len(shared)}))
    bad = rows.attrs["bad"]
    if bad:
        text = f"{len(bad)} images could not be used and were left out, first {bad[0]['id']}: {bad[0]['reason']}"
        findings.insert(0, Finding("bad-images", "warning", text, {"n_bad": len(bad)}))
    return found, findings


def scored(rows: pd.DataFrame) -> Scored:
    """Rows of sensitivities as scores; DataError where there is none."""
    if not len(rows):
        raise DataError("no image can be read", next_step="mend the files or the data spec")
    sizes = rows["sensitivity"].to_numpy(dtype=np.float64)
    return Scored(
        np.where(np.isnan(sizes), np.inf, sizes),
        rows["log_odds"].to_numpy(dtype=np.float64),
        ~rows["correct"].to_numpy(dtype=bool),
        tuple(str(group) for group in rows["group"]),
    )
