"""A tiny complete study for the tests: made by the code that makes all studies, from pictures of 8 x 8 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from percuss.core.pixel_range import PixelRange
from percuss.store.png import encode, uncompressed
from percuss.study.creating import Draft, create_folder
from percuss.study.design.key import CaseKey, Key, ModelSays
from percuss.study.design.order import OrderRules
from percuss.study.design.protocol import Endpoint, Protocol
from percuss.study.design.trials import Arm, Case
from percuss.study.folder import Pixels
from percuss.study.opening import OpenStudy
from percuss.study.pictures import even, sha_of

SIZE = "linf=2/255"
ARMS = (Arm(kind="original"), Arm(kind="adversarial", size=SIZE), Arm(kind="noise", size=SIZE))
LABELS = ("normal", "tumour")


def make(
    path: Path,
    *,
    cases: int = 4,
    tasks: tuple[str, ...] = ("diagnosis",),
    copies: int = 1,
    arms: tuple[Arm, ...] = ARMS,
    rules: OrderRules | None = None,
    washout_days: float = 0,
    readers: int = 2,
    slots: int = 6,
    shape: tuple[int, int, int] = (1, 8, 8),
    levels: int = 255,
    seed: int = 7,
    database: str | None = None,
    **fields: object,
) -> tuple[OpenStudy, Key]:
    """A study at ``path``: its cases have grey squares, and every file of an arm differs from its original.

    ``fields`` go into the protocol (``title``, ``ask_seen``, ``endpoints``, ...). Its secret lies beside the folder.
    """
    draft = small_draft(
        cases=cases,
        tasks=tasks,
        copies=copies,
        arms=arms,
        rules=rules,
        washout_days=washout_days,
        readers=readers,
        slots=slots,
        shape=shape,
        levels=levels,
        seed=seed,
        **fields,
    )
    return create_folder(path, draft, database=database)


def small_draft(*, cases, tasks, copies, arms, rules, washout_days, readers, slots, shape, levels, seed, **fields):
    """The draft of ``make``, for tests of creating itself."""
    pixels = PixelRange(0, levels)
    pictures = even(
        {
            (f"case-{number}", arm.name): uncompressed(encode(image(number, at, shape, levels), pixels))
            for number in range(cases)
            for at, arm in enumerate(with_original(arms))
            if arm.kind != "identical"
        }
    )
    diagnosed = "diagnosis" in tasks
    made = tuple(
        Case(
            id=f"case-{number}",
            truth=LABELS[number % 2],
            patient=f"patient-{number}",
            images={arm: sha_of(picture) for (case, arm), picture in pictures.items() if case == f"case-{number}"},
        )
        for number in range(cases)
    )
    values = {
        "title": "A small study",
        "run": "a" * 64,
        "seed": seed,
        "readers": readers,
        "cases": made,
        "arms": arms,
        "tasks": tasks,
        "copies": copies,
        "rules": rules or OrderRules(distance=2),
        "endpoints": (endpoint(tasks[0], arms),),
        "labels": LABELS if diagnosed else (),
        "positive": "tumour" if diagnosed else "",
        "washout_days": washout_days,
        **fields,
    }
    return Draft(
        protocol=Protocol.model_validate(values),
        pictures={sha_of(picture): picture for picture in pictures.values()},
        cases=tuple(case_key(case, pixels) for case in made),
        pixels=Pixels(levels=levels, high=levels, bits=8 if levels < 256 else 16, channels=shape[0]),
        largest_tried={"linf": 8 / 255},
        model="b" * 64,
        run="20260101-000000",
        slots=slots,
    )


def image(number, at, shape, levels):
    """A square of its own brightness for each case, moved by a level or two for each arm but the original."""
    values = np.full(shape, 40.0 + 10 * number)
    values[:, 2:6, 2:6] = 120 + 5 * number
    values[:, at % shape[1], :] += 2 * at
    return torch.tensor(values / levels)


def with_original(arms):
    """The arms and the original, which pairs are shown beside even where it is no arm."""
    return arms if any(arm.kind == "original" for arm in arms) else (Arm(kind="original"), *arms)


def endpoint(task, arms):
    """A primary endpoint that fits the first task and arms."""
    changed = next(arm.name for arm in arms if arm.kind in ("adversarial", "visible", "noise"))
    if task == "diagnosis":
        against = "original" if any(arm.kind == "original" for arm in arms) else ""
        return Endpoint(name="lost", role="primary", measure="true-positives", task=task, arm=changed, against=against)
    measure = "rating" if task == "manipulation" else "detection"
    return Endpoint(name="seen", role="primary", measure=measure, task=task, arm=changed)


def case_key(case, pixels):
    """What a model says of a case: right on the original, wrong on the adversarial file alone."""
    says = {}
    for arm in case.images:
        flips = arm.startswith("adversarial")
        other = LABELS[1 - LABELS.index(case.truth)]
        says[arm] = ModelSays(
            label=other if flips else case.truth,
            confidence=0.8,
            flips=flips,
            attack="fgsm" if flips else "",
            linf=0.0 if arm == "original" else 2 / pixels.levels,
        )
    return CaseKey(id=case.id, model=says, flip_eps={"linf": 2 / 255})
