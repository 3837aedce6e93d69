"""What the HTTP interface takes and gives, one record for each; ``Sent`` of ``study/answers.py`` is the answer itself.

Nothing here can hold an arm, a case, a truth or a hash of a file: what is not in a record cannot be served.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from percuss.study.design.trials import Task

#: Longest name, reason or short text that is taken, in characters.
SHORT, LONG = 200, 2000
_TOKEN = Field(description="random; stands for this trial or image for this reader alone")


_Side = Annotated[int, Field(ge=0, le=10**9)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class Login(_Record):
    """``secret``: a reader's or administrator's code (case and dashes do not matter), or the token of their link."""

    secret: str = Field(min_length=1, max_length=SHORT)


class LoggedIn(_Record):
    """Who is logged in now; ``csrf`` goes into the header ``X-CSRF-Token`` of every further POST."""

    csrf: str
    name: str
    role: Literal["reader", "administrator"]


class StandingNow(_Record):
    """How far a reader is.

    Attributes:
        phase: ``reading`` (a trial waits), ``washout`` (the next session opens at ``opens``), ``finished``, ``closed``.
        done, total: trials answered, and all.
        session, sessions, session_done, session_total: the same for the session of the next trial.
        next_number: place of the next trial, from 1; null where none waits.
        opens: when the next session opens, ISO 8601 with zone; null unless in wash-out.
        last_number: place of the last answered trial, which can be corrected; null where there is none.
        protocol: number of amendments in force; where it changes, ``GET /api/v1/standing`` tells labels and title anew.
    """

    phase: Literal["reading", "washout", "finished", "closed"]
    done: int
    total: int
    session: int
    sessions: int
    session_done: int
    session_total: int
    next_number: int | None
    opens: str | None
    last_number: int | None
    protocol: int


class StandingWithStudy(StandingNow):
    """How far a reader is, and what the reading page needs to know of the study.

    Attributes:
        study: id of the study; title: of it; name: of the reader; csrf: as after the login.
        labels: the diagnoses to choose from.
        ask_seen: readers are also asked whether they remember the case.
        steps: of confidence and rating, from 1.
        round: trials after which a break is offered.
    """

    study: str
    title: str
    name: str
    csrf: str
    labels: tuple[str, ...]
    ask_seen: bool
    steps: int
    round: int


class Tiles(_Record):
    """A large image in tiles, at ``{url}/tiles/{level}/{x}/{y}``, x and y counted from 0 at the upper left.

    Attributes:
        size: of a tile, both sides; those at the right and lower edge are smaller or filled up.
        levels: their number; the last is the full resolution, each one before half of the next, rounded up.
    """

    size: int
    levels: int


class ImageShown(_Record):
    """One image to show.

    Attributes:
        url: where its bytes are; the same length for every image of a study.
        width, height: pixels. channels: 1 grey, 3 RGB. bits: of each value, 8 or 16.
        levels: highest native level; low, high: what level 0 and ``levels`` mean in ``unit``.
        level, window: middle and width of the grey levels to show at first, in native levels.
        tiles: null unless the image is served in tiles.
    """

    url: str
    token: str = _TOKEN
    width: int
    height: int
    channels: int
    bits: int
    levels: int
    low: float
    high: float
    unit: str
    level: float
    window: float
    tiles: Tiles | None = None


class Question(_Record):
    """One question.

    Attributes:
        number: its place, from 1.
        task: what is asked.
        session: from 1.
        images: one, or two with the left one first.
    """

    trial: str = _TOKEN
    number: int
    task: Task
    session: int
    images: tuple[ImageShown, ...]


class TrialShown(Question):
    """The question whose turn it is; ``ahead``: up to two more of its session and task, to be loaded beforehand."""

    ahead: tuple[Question, ...] = ()
    standing: StandingNow


class TrialAnswered(Question):
    """The last trial that was answered, with its answer, so that it can be corrected (an answer with ``reason``)."""

    answer: dict[str, Any] = Field(description="as it was sent")
    version: int = Field(description="1 for a first answer, one more with each correction")
    saved: str = Field(description="when, ISO 8601 with zone")
    standing: StandingNow


class Display(_Record):
    """What a reader says about their screen, once before reading; it goes into the audit trail.

    Attributes:
        monitor: kind or model. calibrated: whether it is. light: of the room.
        px_per_cm: CSS pixels per centimetre, measured against a ruler or a bank card.
        screen, pixel_ratio, browser: as the browser says.
        note: anything else.
    """

    monitor: str = Field(default="", max_length=SHORT)
    calibrated: Literal["yes", "no", "unknown"] = "unknown"
    light: str = Field(default="", max_length=SHORT)
    px_per_cm: float | None = Field(default=None, gt=0, le=10_000, allow_inf_nan=False)
    screen: tuple[_Side, _Side] | None = None
    pixel_ratio: float | None = Field(default=None, gt=0, le=100, allow_inf_nan=False)
    browser: str = Field(default="", max_length=500)
    note: str = Field(default="", max_length=LONG)


class Saved(_Record):
    """An answer that is committed.

    Attributes:
        number: its place; version: 1, or one more with each correction.
        again: it had been saved before under the same id, and counts once.
    """

    saved: str = Field(description="when, ISO 8601 with zone")
    number: int
    version: int
    again: bool
    standing: StandingNow
