"""Readers of known numbers who take part in a study over HTTP, as an acceptance test of app and statistics together.

They know what a person would see and nothing else: which case and which change the bytes of an image show. The oracle
that tells them is built from the key of the study, and asked by the content of what the server sent, never by names.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

from percuss.core.errors import DataError
from percuss.study.answers import Choice, Diagnosis, Manipulation, Same, Sent, Shown
from percuss.study.design.key import Key
from percuss.study.design.protocol import in_force
from percuss.study.design.trials import PAIRS, Task
from percuss.testing.perception import Perception, Sight

if TYPE_CHECKING:
    from percuss.testing.study_client import StudyClient

Given: TypeAlias = Diagnosis | Manipulation | Choice | Same
#: From a trial as the server describes it, and the bytes of its images, to an answer.
Decide: TypeAlias = Callable[[Mapping[str, Any], Sequence[bytes]], Given]


@dataclass(frozen=True)
class Oracle:
    """What the bytes of an image show.

    Attributes:
        shows: case and arm by SHA-256 of the file.
        truths: class by case.
        labels: the diagnoses to choose from.
    """

    shows: Mapping[str, tuple[str, str]]
    truths: Mapping[str, str]
    labels: tuple[str, ...]

    def sight(self, task: Task, images: Sequence[bytes]) -> Sight:
        """What there is to see in a trial, left image first; DataError where the bytes are none of the study's."""
        seen = [self._of(image) for image in images]
        if len(seen) != (2 if task in PAIRS else 1) or len({case for case, _ in seen}) != 1:
            raise DataError("the images of a trial do not belong together", value=seen, allowed="one case, in pairs")
        case = seen[0][0]
        if task not in PAIRS:
            return Sight(task, case, seen[0][1], truth=self.truths[case])
        arms = {side: arm for side, (_, arm) in zip(("left", "right"), seen, strict=True) if arm != "original"}
        if len(arms) > 1:
            raise DataError("a pair without its original", value=seen, allowed="the original beside another file")
        side, arm = next(iter(arms.items()), ("", "identical"))
        return Sight(task, case, arm, truth=self.truths[case], side=side)

    def _of(self, image: bytes) -> tuple[str, str]:
        sha = hashlib.sha256(image).hexdigest()
        if sha not in self.shows:
            raise DataError("the server sent bytes that are no image of the study", value=f"SHA-256 {sha}")
        return self.shows[sha]


def oracle_of(key: Key) -> Oracle:
    """The oracle of a study, from its key; DataError where one file stands for two arms, which nobody could tell."""
    protocol = in_force(key.frozen)
    shows: dict[str, tuple[str, str]] = {}
    for case in protocol.cases:
        for arm, sha in case.images.items():
            if sha in shows:
                raise DataError("one file for two arms or cases", value=f"{shows[sha]} and {(case.id, arm)}")
            shows[sha] = (case.id, arm)
    return Oracle(shows, {case.id: case.truth for case in protocol.cases}, protocol.labels)


@dataclass
class SimulatedReader:
    """Answers trials by a perception; keeps count of what it has met.

    Attributes:
        perception: its numbers.
        oracle: what images show.
    """

    perception: Perception
    oracle: Oracle
    _met: Counter[tuple[str, ...]] = field(default_factory=Counter, init=False)

    def __call__(self, trial: Mapping[str, Any], images: Sequence[bytes]) -> Given:
        """The answer to one trial."""
        sight = self.oracle.sight(trial["task"], images)
        place = (sight.task, sight.case, sight.arm)
        self._met[place] += 1
        return self.perception.answer(
            Sight(*place, truth=sight.truth, side=sight.side, copy=self._met[place]), self.oracle.labels
        )


@dataclass(frozen=True)
class Acknowledged:
    """An answer that the server said it saved.

    Attributes:
        sent: what was sent.
        number, version: what the server said it is.
    """

    sent: Sent
    number: int
    version: int


def take_part(
    client: StudyClient,
    decide: Decide,
    *,
    most: int | None = None,
    note: Callable[[Sent], None] | None = None,
) -> list[Acknowledged]:
    """Read until no trial waits: look at the images, answer, wait for "saved", go on.

    Args:
        client: logged in as a reader.
        decide: what answers, for instance a ``SimulatedReader``.
        most: stop after so many trials; None reads on.
        note: told of every answer before it is sent for the first time.

    Returns:
        What was acknowledged, in order.
    """
    done: list[Acknowledged] = []
    while most is None or len(done) < most:
        trial = client.next()
        if trial is None:
            break
        images = [client.image(image["url"]) for image in trial["images"]]
        shown = Shown(reaction_ms=0.0, sha256=tuple(hashlib.sha256(image).hexdigest() for image in images))
        sent = Sent(id=uuid4(), trial=trial["trial"], answer=decide(trial, images), shown=shown)
        if note is not None:
            note(sent)
        said = client.answer(sent)
        done.append(Acknowledged(sent, number=said["number"], version=said["version"]))
    return done
