"""The app of a study in a process of its own, which a test can kill and start again at the same address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.study.postgresql import free_port

from percuss.study.opening import OpenStudy

#: Seconds for which a server may start: a busy machine is slow, and one that ended is noticed at once.
PATIENCE = 180
#: What ``percuss study serve`` does, without loading the other commands.
_SERVE = """
import sys
from pathlib import Path
from percuss.study.app.serving import Address, serve
from percuss.study.opening import open_study
serve(open_study(Path(sys.argv[1])), Address(port=int(sys.argv[2])))
"""


class LiveServer:
    """A running server; ``url`` is where it is.

    Args:
        study: the folder, or the open study; the process opens it for itself.
    """

    def __init__(self, study: OpenStudy | Path) -> None:
        self.path = study if isinstance(study, Path) else study.folder.path
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = self.path.parent / f"{self.path.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and come back once it answers."""
        command = [sys.executable, "-c", _SERVE, str(self.path), str(self.port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=os.environ.copy())
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(self.log.read_text(errors="replace")[-3000:])
            time.sleep(0.03)

    def kill(self) -> None:
        """End it as a power cut does: no signal that it could hear."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        return process.wait(PATIENCE)

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/healthz", timeout=5) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False
