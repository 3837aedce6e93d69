"""What a reader sends: the answer to one trial, and how the image was looked at."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool, StrictInt

from percuss.core.errors import UsageError, nearest
from percuss.study.design.trials import Task

#: Longest comment, in characters.
COMMENT = 2000
#: Steps of confidence and rating: 1 is not at all, 5 is certain.
STEPS = 5
Side: TypeAlias = Literal["left", "right"]


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(_Sent):
    # Nothing that a reader says is guessed: "yes", "1" or 4.0 is neither true nor a step.
    comment: str = Field(default="", max_length=COMMENT)
    seen: StrictBool | None = Field(
        default=None, description="whether the reader remembers the case; null where not asked"
    )


class Diagnosis(_Answer):
    """``label`` is one of the protocol's, ``confidence`` 1 to 5."""

    task: Literal["diagnosis"]
    label: str = Field(max_length=200)
    confidence: StrictInt = Field(ge=1, le=STEPS)


class Manipulation(_Answer):
    """``rating``: how surely the image was changed, 1 to 5."""

    task: Literal["manipulation"]
    rating: StrictInt = Field(ge=1, le=STEPS)


class Choice(_Answer):
    """``side``: which of the two images is the changed one."""

    task: Literal["choice"]
    side: Side


class Same(_Answer):
    """``same``: the two images look the same."""

    task: Literal["same"]
    same: StrictBool


Answer = Annotated[Diagnosis | Manipulation | Choice | Same, Field(discriminator="task")]


# Bounds that no browser meets: what is beyond them would only make tables and charts fail later.
_Time = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Ratio = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, le=10**9)]


class Shown(_Sent):
    """How the image was looked at, as the browser measured it; all of it optional, nothing of it decides a result.

    Attributes:
        reaction_ms: from the first painted image to the answer.
        screen, view: width and height of the screen and of the browser's inner window, CSS pixels.
        pixel_ratio: device pixels per CSS pixel.
        zoom_first, zoom_last, zoom_most: device pixels per image pixel.
        level, width: window of grey levels at the end, in native levels; None where the image has 8 bit.
        focus_losses, focus_lost_ms: how often and how long the page was hidden or without focus.
        offline: the answer waited in the browser for a connection; tries: times it was sent.
        client_time: the browser's clock, ISO 8601.
        sha256: hashes of the files as the browser received them, left first; empty where it could not hash.
    """

    reaction_ms: _Time | None = None
    screen: tuple[_Count, _Count] | None = None
    view: tuple[_Count, _Count] | None = None
    pixel_ratio: _Ratio | None = None
    zoom_first: _Ratio | None = None
    zoom_last: _Ratio | None = None
    zoom_most: _Ratio | None = None
    level: float | None = Field(default=None, ge=-1e9, le=1e9, allow_inf_nan=False)
    width: float | None = Field(default=None, gt=0, le=1e9, allow_inf_nan=False)
    focus_losses: _Count = 0
    focus_lost_ms: _Time = 0.0
    offline: bool = False
    tries: int = Field(default=1, ge=1, le=10**9)
    client_time: str = Field(default="", max_length=40)
    sha256: tuple[Annotated[str, Field(max_length=64)], ...] = Field(default=(), max_length=2)


class Sent(_Sent):
    """One answer on its way.

    Attributes:
        id: drawn by the browser once for each answer; sent again with the same id it counts once.
        trial: token of the trial.
        answer, shown: see there.
        reason: why an answer that is there is corrected; empty for a first answer.
    """

    id: UUID
    trial: str = Field(min_length=1, max_length=64)
    answer: Answer
    shown: Shown = Shown()
    reason: str = Field(default="", max_length=COMMENT)


def check_answer(answer: Diagnosis | Manipulation | Choice | Same, task: Task, labels: tuple[str, ...]) -> None:
    """UsageError where the answer is not to this task, or gives a label that the protocol does not have."""
    if answer.task != task:
        raise UsageError("the answer is to another task", value=answer.task, allowed=task, next_step="load the page")
    if isinstance(answer, Diagnosis) and answer.label not in labels:
        raise UsageError(
            "there is no such label", value=answer.label, allowed=nearest(answer.label, labels), next_step="choose one"
        )


def as_json(answer: BaseModel) -> dict[str, JsonValue]:
    """An answer or what was shown as plain JSON values."""
    values: dict[str, Any] = answer.model_dump(mode="json")
    return values
