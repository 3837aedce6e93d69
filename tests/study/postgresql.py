"""A real PostgreSQL server for tests: its own folder, a free port, a password, a fresh database whenever asked."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

USER = "percuss"
#: Seconds for which the server may start, recover or end: a busy machine is slow; one that ended is noticed at once.
PATIENCE = 180


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``, of the newest version; None where they are not installed."""
    found = shutil.which("initdb")
    if found and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


def free_port() -> int:
    """A port of loopback that was free a moment ago, below those that systems give to outgoing connections.

    A server that was killed comes back at its port: one of a thousand connections made meanwhile must not sit on it.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class Cluster:
    """A running server; ``safe`` makes commits wait for the disk, which tests need not do."""

    def __init__(self, folder: Path, *, safe: bool = False) -> None:
        self.folder, self.password = folder, secrets.token_hex(8)
        # The server refuses to run as root: there it belongs to postgres, or to nobody.
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self._made = 0
        data = folder / "data"
        password = folder / "password"
        password.write_text(self.password)
        data.mkdir(mode=0o700)
        if self._user:
            for path in (folder, data, password):
                shutil.chown(path, self._user)
        options = ["-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale=C"]
        self._call("initdb", *options, "--no-sync", "--no-instructions")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(f"unix_socket_directories = ''\nmax_connections = 200\nfsync = {'on' if safe else 'off'}\n")
        self._start()

    def database(self) -> str:
        """The URL of a new, empty database, with its password."""
        self._made += 1
        name = f"study_{self._made}"
        self._sql(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql+pg8000://{USER}:{self.password}@127.0.0.1:{self.port}/{name}"

    def crash(self) -> None:
        """End the server at once, whoever is connected and whatever is under way; ``again`` recovers it."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE)

    def again(self) -> None:
        """Start the server at its address."""
        self._launch()
        if not self._answers():
            raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """End the server, whoever is still connected, and remove its folder."""
        self.crash()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        self._log = (self.folder / "log").open("wb")
        # Another process may take the port between looking and binding: then the next one is tried.
        for _ in range(5):
            self.port = free_port()
            self._launch()
            if self._answers():
                return
        raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])

    def _launch(self) -> None:
        place = ["-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self.port)]
        # A test run that is killed takes its server along, where setpriv is there to ask for that.
        along = [path, "--pdeathsig", "QUIT"] if (path := shutil.which("setpriv")) else []
        command = [*along, self._program("postgres"), *place]
        log = {"stdout": self._log, "stderr": subprocess.STDOUT}
        self._process = subprocess.Popen(command, user=self._user, cwd=self.folder, **log)

    def _answers(self) -> bool:
        from pg8000.exceptions import DatabaseError, InterfaceError

        end = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < end:
            try:
                self._sql("SELECT 1")
            except (InterfaceError, DatabaseError):
                time.sleep(0.05)
            else:
                return True
        return False

    def _sql(self, statement: str) -> None:
        from pg8000.native import Connection

        connection = Connection(
            USER, host="127.0.0.1", port=self.port, database="postgres", password=self.password, timeout=20
        )
        try:
            connection.run(statement)
        finally:
            connection.close()

    def _call(self, program: str, *options: object) -> None:
        command = [self._program(program), *map(str, options)]
        done = subprocess.run(command, check=False, user=self._user, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")

    def _program(self, name: str) -> str:
        folder = binaries()
        assert folder is not None
        return str(folder / name)


def start_cluster(*, safe: bool = False) -> Cluster:
    """A server in a new temporary folder, which every user may enter; RuntimeError with its log where none starts."""
    folder = Path(tempfile.mkdtemp(prefix="percuss-postgresql-"))
    return Cluster(folder, safe=safe)


def _unprivileged() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
