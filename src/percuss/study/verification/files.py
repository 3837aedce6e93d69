"""The files of a study held against its trail and, where it may be opened, its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from percuss.core.errors import PercussError
from percuss.store.safe import sha256_of
from percuss.study.design.key import Key
from percuss.study.design.order import Order, Place, check_order
from percuss.study.design.protocol import check_frozen, in_force
from percuss.study.design.public import public_of
from percuss.study.design.trials import Trial
from percuss.study.folder import StudyFolder, StudyInfo
from percuss.study.pictures import sha_at
from percuss.study.recorded import AMENDED, CREATED, described_digest, pictures_digest, public_digest
from percuss.study.tables import SlotRow
from percuss.study.trail import Record


def file_faults(folder: StudyFolder, records: Mapping[int, Record]) -> Iterator[str]:
    """Every file that is not as the trail says, in words; ``records`` is the trail by number."""
    created = records.get(1)
    if created is None or created.what != CREATED or not isinstance(created.new, dict):
        yield "the trail does not begin with the creation of the study"
        return
    told = dict(created.new)
    for _, record in sorted(records.items()):
        if record.what == AMENDED and isinstance(record.new, dict):
            told |= {name: record.new[name] for name in ("title", "sealed", "public") if name in record.new}
    info: list[StudyInfo] = []
    yield from _trying("study.json", lambda: info.append(folder.info()))
    for one in info:
        found = {"id": one.id, "title": one.title, "protocol": one.protocol_hash, "sealed": one.sealed_sha256}
        found["described"] = described_digest(one)
        for name, value in found.items():
            if told.get(name) != value:
                yield f"study.json: {name} is not as in the trail"
    yield from _same("sealed.bin", lambda: sha256_of(folder.sealed), told.get("sealed"))
    yield from _same("protocol.json", lambda: public_digest(folder.public()), told.get("public"))
    yield from _same("images", lambda: pictures_digest(folder.images), told.get("pictures"))


def key_faults(session: Session, folder: StudyFolder, *, key: Key, records: Mapping[int, Record]) -> Iterator[str]:
    """What only the key can tell: which picture was touched, and orders that do not keep the protocol."""
    yield from _trying("the key", partial(check_frozen, key.frozen))
    made = [record.new for _, record in sorted(records.items()) if record.what == AMENDED]
    told = [new.get("protocol") if isinstance(new, dict) else None for new in made]
    if [amendment.hash for amendment in key.frozen.amendments] != told:
        yield "the key: its amendments are not those of the trail"
    yield from _same("protocol.json", folder.public, public_of(key.frozen))
    for name, sha in key.files.items():
        yield from _same(f"images/{name}", partial(sha_at, folder.images / name), sha)
    yield from _orders(session, key)


def _orders(session: Session, key: Key) -> Iterator[str]:
    protocol = in_force(key.frozen)
    trials = protocol.trials()
    by_key = {trial.key: trial for trial in trials}
    slots: dict[int, list[Place | None]] = {}
    for row in session.scalars(select(SlotRow).order_by(SlotRow.slot, SlotRow.number)):
        slots.setdefault(row.slot, []).append(_place(row, key, by_key))
    for slot, places in slots.items():
        whole = tuple(place for place in places if place is not None)
        if len(whole) < len(places):
            yield f"order {slot}: a place shows other files than its trial has"
            continue
        order = Order(seed=protocol.seed, reader=f"slot {slot}", index=slot, rules=protocol.rules, places=whole)
        yield from _trying(f"order {slot}", partial(check_order, order, trials))


def _place(row: SlotRow, key: Key, by_key: Mapping[str, Trial]) -> Place | None:
    """The place that a row stands for; None where its files are not those of its trial."""
    trial = by_key.get(key.trials.get(row.trial, ""))
    if trial is None or row.task != trial.task:
        return None
    left, right = key.files.get(row.left_file), key.files.get(row.right_file, "")
    if (left, right) == (trial.image, trial.beside):
        side = "left" if trial.beside else ""
    elif (left, right) == (trial.beside, trial.image):
        side = "right"
    else:
        return None
    return Place.model_validate({"trial": trial.key, "session": row.session, "side": side})


def _same(what: str, found: Callable[[], object], told: object) -> Iterator[str]:
    try:
        if found() != told:
            yield f"{what}: not as it was written"
    except PercussError as error:
        yield f"{what}: {error}"


def _trying(what: str, look: Callable[[], object]) -> Iterator[str]:
    try:
        look()
    except PercussError as error:
        yield f"{what}: {error}"
