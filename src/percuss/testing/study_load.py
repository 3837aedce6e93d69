"""Many readers at once, as fast as the server takes them, and a count of what became of each answer they sent."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from percuss.study.answers import STEPS, Choice, Diagnosis, Manipulation, Same, Sent, as_json
from percuss.testing.faults import Faults
from percuss.testing.simulated_readers import Acknowledged, Given
from percuss.testing.study_client import StudyClient

if TYPE_CHECKING:
    from percuss.study.opening import OpenStudy


@dataclass
class Journal:
    """What readers sent, and what they were told; threads share it.

    Attributes:
        sent: every answer, before it was sent for the first time.
        acknowledged: every answer that was said to be saved.
        latencies: seconds from sending to "saved", of each acknowledged answer, tries after a loss included.
    """

    sent: list[Sent] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def answer(self, client: StudyClient, sent: Sent) -> None:
        """Send one answer until it is acknowledged, and note both."""
        with self._lock:
            self.sent.append(sent)
        begun = time.perf_counter()
        said = client.answer(sent)
        took = time.perf_counter() - begun
        with self._lock:
            self.acknowledged.append(Acknowledged(sent, number=said["number"], version=said["version"]))
            self.latencies.append(took)


@dataclass(frozen=True)
class Account:
    """What became of the answers.

    Attributes:
        stored: answers in the database.
        lost: acknowledged, and not in the database as they were sent.
        twice: in the database more than once: a further row for one place that no correction explains.
        invented: in the database, and sent by nobody.
    """

    stored: int
    lost: int
    twice: int
    invented: int

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, counted twice or invented."""
        return not (self.lost or self.twice or self.invented)


class Crowd:
    """Readers who answer at random, each in a thread, until nothing waits.

    Args:
        url: of the server.
        secrets: a code or link token for each reader.
        corrected: share of answers that are corrected at once, with a reason.
        faults: of each reader's network; every reader gets a seed of their own.
        patience: seconds for which a reader goes on sending while the server is away.

    Attributes:
        journal: what was sent and acknowledged so far.
    """

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        *,
        corrected: float = 0.0,
        faults: Faults | None = None,
        patience: float = 60.0,
    ) -> None:
        self._url, self._secrets, self._corrected = url, secrets, corrected
        self._faults, self._patience = faults, patience
        self._pool = ThreadPoolExecutor(max(1, len(secrets)))
        self._readers: list[Future[None]] = []
        self.journal = Journal()

    def start(self) -> None:
        """Let all of them begin; returns at once."""
        self._readers = [self._pool.submit(self._read, *each) for each in enumerate(self._secrets)]

    def wait_for(self, answers: int) -> bool:
        """Wait until so many answers are acknowledged; False where all finish before. Raises a reader's error."""
        while len(self.journal.acknowledged) < answers:
            if all(reader.done() for reader in self._readers):
                break
            for reader in self._readers:
                if reader.done():
                    reader.result()
            time.sleep(0.005)
        return len(self.journal.acknowledged) >= answers

    def finish(self) -> None:
        """Wait for all of them; a reader's error is raised."""
        for reader in self._readers:
            reader.result()
        self._pool.shutdown()

    def _read(self, number: int, secret: str) -> None:
        chance = random.Random(number)
        seeded = self._faults and Faults(**{**vars(self._faults), "seed": number})
        with StudyClient(self._url, faults=seeded, patience=self._patience) as client:
            client.log_in(secret)
            labels = client.standing()["labels"]
            while trial := client.next():
                for image in trial["images"]:
                    client.image(image["url"])
                answer = any_answer(trial, labels, chance)
                self.journal.answer(client, Sent(id=uuid4(), trial=trial["trial"], answer=answer))
                if chance.random() < self._corrected:
                    other = any_answer(trial, labels, chance)
                    self.journal.answer(client, Sent(id=uuid4(), trial=trial["trial"], answer=other, reason="a slip"))


def any_answer(trial: Mapping[str, Any], labels: Sequence[str], chance: random.Random) -> Given:
    """An answer to a trial, each as likely as any other; its comment tells it from all others."""
    comment = f"{chance.getrandbits(64):016x}"
    match trial["task"]:
        case "diagnosis":
            steps = chance.randint(1, STEPS)
            return Diagnosis(task="diagnosis", label=chance.choice(list(labels)), confidence=steps, comment=comment)
        case "manipulation":
            return Manipulation(task="manipulation", rating=chance.randint(1, STEPS), comment=comment)
        case "choice":
            return Choice(task="choice", side="left" if chance.random() < 0.5 else "right", comment=comment)
        case _:
            return Same(task="same", same=chance.random() < 0.5, comment=comment)


def account(study: OpenStudy, journal: Journal) -> Account:
    """Compare the database with what readers sent and were told."""
    from sqlalchemy import select

    from percuss.study.tables import AnswerRow

    with study.database.read() as session:
        rows = list(session.scalars(select(AnswerRow)))
    sent = {str(item.id): item for item in journal.sent}
    kept = {row.id: row for row in rows}
    lost = 0
    for item in journal.acknowledged:
        row = kept.get(str(item.sent.id))
        there = row is not None and (row.number, row.version) == (item.number, item.version)
        lost += not (there and row is not None and row.answer == as_json(item.sent.answer))
    first = Counter((row.reader, row.number) for row in rows if not row.reason)
    versions = Counter((row.reader, row.number, row.version) for row in rows)
    invented = [row for row in rows if row.id not in sent or row.answer != as_json(sent[row.id].answer)]
    twice = sum(count - 1 for counts in (first, versions) for count in counts.values())
    return Account(stored=len(rows), lost=lost, twice=twice, invented=len(invented))
