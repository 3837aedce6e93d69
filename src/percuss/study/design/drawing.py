"""Every order of a study drawn before any reader is known, with opaque names for trials and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from percuss.study.design.key import Key
from percuss.study.design.order import Place, draw_order
from percuss.study.design.protocol import in_force
from percuss.study.design.trials import Trial
from percuss.study.tables import SlotRow


def draw_slots(key: Key, slots: Iterable[int]) -> list[SlotRow]:
    """The rows of the orders of these numbers, counted from 0; UsageError where the protocol's rules cannot be kept.

    An order depends on seed and number alone: those that are drawn later go on where the first ones ended.
    """
    protocol = in_force(key.frozen)
    trials = protocol.trials()
    by_key = {trial.key: trial for trial in trials}
    opaque = {trial: name for name, trial in key.trials.items()}
    files = {sha: name for name, sha in key.files.items()}
    rows = []
    for slot in slots:
        order = draw_order(trials, protocol.rules, seed=protocol.seed, reader=f"slot {slot}", index=slot)
        for number, place in enumerate(order.places, start=1):
            trial = by_key[place.trial]
            left, right = sides(trial, place, files)
            rows.append(
                SlotRow(
                    slot=slot,
                    number=number,
                    session=place.session,
                    trial=opaque[trial.key],
                    task=trial.task,
                    left_file=left,
                    right_file=right,
                )
            )
    return rows


def sides(trial: Trial, place: Place, files: Mapping[str, str]) -> tuple[str, str]:
    """Names of the files shown left and right; the right one is empty where one image is shown."""
    if not trial.beside:
        return files[trial.image], ""
    pair = files[trial.image], files[trial.beside]
    return pair if place.side == "left" else pair[::-1]


def as_table(rows: Iterable[SlotRow]) -> list[list[int | str]]:
    """Orders as plain values, sorted by slot and number: what a hash of them is taken over."""
    plain: list[list[int | str]] = [
        [row.slot, row.number, row.session, row.trial, row.task, row.left_file, row.right_file] for row in rows
    ]
    return sorted(plain, key=lambda values: (values[0], values[1]))
