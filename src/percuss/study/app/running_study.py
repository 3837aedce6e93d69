"""The study that is served: an amendment made meanwhile is in force from the next request on, without a new start."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from percuss.core.errors import PercussError, RunError
from percuss.study.database import DatabaseGone
from percuss.study.opening import OpenStudy
from percuss.study.settling import settle

_LOG = logging.getLogger("percuss.study")
_Marks = tuple[tuple[int, int, int], ...]


class RunningStudy:
    """A study whose protocol is read again when its files have changed; threads may share it.

    Whichever process amended it, its files change places in the folder that every server of the study reads. Looking at
    them costs two questions to the file system for each request.

    Args:
        study: as ``open_study`` gave it.
    """

    def __init__(self, study: OpenStudy) -> None:
        self._study = self._lenient = study
        self._marks: _Marks | None = None  # read once more: it may have been amended since it was opened
        self._failed: _Marks | str | None = None
        self._lock = threading.Lock()

    def now(self) -> OpenStudy:
        """The study as its protocol is in force; the last one that could be read, where it cannot be."""
        if self._marks != _marks(self._study):
            with self._lock:
                self._take_up()
        return self._study

    def lenient(self) -> OpenStudy:
        """The study as whoever has a trial before them may still see it, for what comes back of that trial.

        Labels of every protocol in force since the server started, and the shortest of their wash-outs: an amendment
        falls between two trials and into none. Nobody comes by a trial that way, since those are shown by ``now``.
        """
        self.now()
        return self._lenient

    def settle(self) -> None:
        """Finish an amendment whose command was killed; waits for one that is under way. For requests that write.

        RunError where the database does not answer.
        """
        if not self._study.folder.amending.exists():
            return
        try:
            settle(self._study.folder, self._study.database)
        except DatabaseGone:
            raise
        except (PercussError, OSError) as error:
            # No answer is refused for it: the next command that opens the study says what is wrong.
            self._say("an amendment that was cut short cannot be finished", type(error).__name__)

    def _take_up(self) -> None:
        marks, folder, before = _marks(self._study), self._study.folder, self._study
        if marks == self._marks:  # another request was faster
            return
        try:
            info, public = folder.info(), folder.public()
        except RunError:
            self._say("protocol.json or study.json cannot be read: the protocol stays as it was", marks)
            return
        if info.id != before.info.id:
            self._say("the folder holds another study now: the protocol stays as it was", marks)
            return
        self._study = replace(before, info=info, public=public)
        kinder = {
            "labels": tuple(dict.fromkeys((*public.labels, *self._lenient.public.labels))),
            "washout_days": min(public.washout_days, self._lenient.public.washout_days),
        }
        self._lenient = replace(self._study, public=public.model_copy(update=kinder))
        self._marks = marks
        if public != before.public:
            _LOG.info("the protocol was amended: amendment %d is in force", len(public.amendments))

    def _say(self, what: str, of: _Marks | str) -> None:
        """Once for each state of the files, not for each request."""
        if self._failed != of:
            self._failed = of
            _LOG.error("%s", what)


def _marks(study: OpenStudy) -> _Marks:
    """What changes when either file takes another's place; empty where one is missing."""
    try:
        found = [path.stat() for path in (study.folder.public_path, study.folder.info_path)]
    except OSError:
        return ()
    return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in found)
