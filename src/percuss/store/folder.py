"""A run on disk: what decides it, its finished parts, its results; safe against kills, full disks and mix-ups."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from percuss.core.errors import RunError
from percuss.store.safe import SCRATCH, disk_errors, sha256_of, write_bytes

FORMAT = "percuss-run-1"
#: Files that tell that some part of an unfinished run is done.
_WORK = ("parts/*.parquet", "steps.json")


class RunFolder:
    """A run folder that this process works in.

    ``manifest.json`` holds what decides the run (``identity``), when it started, and the hash of each finished file.
    Open one with ``start`` (to work) or ``existing`` (to read).
    """

    def __init__(self, path: Path, manifest: dict[str, Any], lock: IO[bytes] | None = None) -> None:
        self.path, self.manifest, self._lock = path, manifest, lock

    @classmethod
    def start(cls, path: Path, identity: Mapping[str, str]) -> RunFolder:
        """A new run folder, or one of the same identity to go on with; RunError for any other folder."""
        check_free(path)
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        try:
            return cls(path, _manifest(path, identity), lock)
        except RunError:
            if lock is not None:
                lock.close()
            raise

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The run in a folder; RunError where there is none."""
        if not (path / "manifest.json").exists():
            within = path / "run"  # where percuss demo and reproductions put theirs
            named = str(within) if (within / "manifest.json").exists() else "the --out folder of percuss audit"
            study = (path / "sealed.bin").exists()
            thing = "this folder holds no run, but a reader study" if study else "this folder holds no run"
            raise RunError(thing, value=path, next_step=f"name {named}")
        return cls(path, _read_manifest(path))

    @property
    def finished(self) -> bool:
        """All rows are there and the results were written."""
        return bool(self.manifest["state"] == "finished")

    @property
    def command(self) -> str:
        """The command that made the folder, for what to do next."""
        identity = self.manifest["identity"]
        return f"percuss {identity.get('command', 'reproduce' if 'recipe' in identity else 'audit')}"

    @property
    def run_id(self) -> str:
        """Name of the run: the start of its identity's hash."""
        return str(self.manifest["run_id"])

    def write(self, name: str, content: bytes | str) -> str:
        """Write a file of the run safely; its SHA-256 (hex) is returned, and kept in the manifest at ``finish``."""
        return write_bytes(self.path / name, content.encode() if isinstance(content, str) else content)

    def write_table(self, name: str, table: pd.DataFrame) -> str:
        """Write a table as Parquet with page checksums; its ``attrs`` (plain values) travel with it."""
        file, content = io.BytesIO(), pa.Table.from_pandas(table, preserve_index=False)
        notes = {b"percuss": json.dumps(table.attrs).encode()}
        content = content.replace_schema_metadata({**(content.schema.metadata or {}), **notes})
        pq.write_table(content, file, write_page_checksum=True)
        return self.write(name, file.getvalue())

    def read_table(self, name: str) -> pd.DataFrame:
        """A table of the run; RunError where it is missing or damaged."""
        try:
            content = pq.read_table(self.path / name, page_checksum_verification=True)
            table: pd.DataFrame = content.to_pandas()
            table.attrs = json.loads((content.schema.metadata or {}).get(b"percuss", b"{}"))
            return table
        except (OSError, ValueError, pa.ArrowException) as error:
            raise RunError(
                "a table of the run is missing or damaged",
                value=self.path / name,
                next_step=f"give the same {self.command} command again, or start anew in another folder",
            ) from error

    def read_part(self, key: str) -> pd.DataFrame | None:
        """A finished part with its images as recorded; None where it must be computed (again)."""
        if not (self.path / "parts" / f"{key}.parquet").exists():
            return None
        try:
            part = self.read_table(f"parts/{key}.parquet")
            for name, wanted in zip(part.get("image", ()), part.get("image_sha256", ()), strict=True):
                if name and sha256_of(self.path / name) != wanted:
                    return None
        except RunError:
            return None
        return part

    def drop(self, name: str) -> None:
        """Remove a folder of the run that is not needed any more."""
        shutil.rmtree(self.path / name, ignore_errors=True)

    def finish(self) -> None:
        """Hash every file into the manifest and mark the run finished."""
        files = sorted(p for p in self.path.rglob("*") if p.is_file() and not p.name.startswith(SCRATCH))
        names = {path.relative_to(self.path).as_posix(): path for path in files}
        self.manifest["files"] = {
            name: sha256_of(path)
            for name, path in names.items()
            if name != "manifest.json" and not name.startswith("parts/")
        }
        self.manifest["state"] = "finished"
        self.manifest.setdefault("finished", now())
        self._save()

    def damaged(self) -> list[str]:
        """Files whose content is not what the manifest says, or that are gone."""
        found = []
        for name, wanted in self.manifest["files"].items():
            path = self.path / name
            if not path.exists() or sha256_of(path) != wanted:
                found.append(name)
        return found

    def reopen(self) -> None:
        """Mark the run unfinished, so that a damaged one is computed again."""
        self.manifest["state"], self.manifest["files"] = "running", {}
        self.manifest.pop("finished", None)
        self._save()

    def close(self) -> None:
        """Let another process work in the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            (self.path / f"{SCRATCH}lock").unlink(missing_ok=True)

    def _save(self) -> None:
        _write_manifest(self.path, self.manifest)


def check_free(path: Path) -> None:
    """RunError unless the path is absent, an empty folder, or a run folder."""
    if path.exists() and not path.is_dir():
        raise RunError("the output must be a folder", value=path, next_step="give another --out")
    if not path.exists() or (path / "manifest.json").exists():
        return
    with disk_errors(path):
        content = [item.name for item in path.iterdir() if not item.name.startswith(SCRATCH)]
    if content:
        raise RunError(
            "the output folder is not empty and holds no run",
            value=f"{path} ({', '.join(sorted(content)[:3])}{', ...' if len(content) > 3 else ''})",
            next_step="give a new folder with --out",
        )


def identity_hash(identity: Mapping[str, str]) -> str:
    """SHA-256 (hex) of what decides a run."""
    return hashlib.sha256(json.dumps(dict(identity), sort_keys=True).encode()).hexdigest()


def now() -> str:
    """The time in UTC as text."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _manifest(path: Path, identity: Mapping[str, str]) -> dict[str, Any]:
    """The folder's manifest if it is of this run; a new one, written, where there is none."""
    for left in path.rglob(f"{SCRATCH}*"):
        if left.name != f"{SCRATCH}lock":
            left.unlink(missing_ok=True)
    if (path / "manifest.json").exists():
        manifest = _read_manifest(path)
        # A run that has not finished any part yet has nothing to lose: its folder may be taken over.
        if manifest["state"] == "finished" or any(found for name in _WORK for found in path.glob(name)):
            _same(path, manifest["identity"], identity)
            return manifest
    manifest = {
        "format": FORMAT,
        "state": "running",
        "run_id": identity_hash(identity)[:16],
        "started": now(),
        "identity": dict(identity),
        "files": {},
    }
    _write_manifest(path, manifest)
    return manifest


def _write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    write_bytes(path / "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())


def _same(path: Path, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    differ = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if differ:
        shown = "; ".join(f"{key} was {_short(old.get(key))}, is now {_short(new.get(key))}" for key in differ)
        raise RunError(
            "the folder holds another run",
            value=f"{path}: {shown}",
            next_step="give a new folder with --out, or the options of that run to go on with it",
        )


def _short(value: str | None) -> str:
    text = "absent" if value is None else value
    return text if len(text) <= 60 else text[:57] + "..."


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if found["format"] != FORMAT or not isinstance(found["identity"], dict):
            raise ValueError(f"format {found['format']}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            "the folder's manifest.json is not one of a run", value=f"{path}: {error}", next_step="give another --out"
        ) from error
    return found


def _lock(path: Path) -> IO[bytes] | None:
    """Hold the folder for this process; the system lets go when it ends, however it ends."""
    if sys.platform == "win32":
        return None
    import fcntl

    with disk_errors(path):
        file = (path / f"{SCRATCH}lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise RunError(
            "another process works in this run folder", value=path, next_step="wait for it, or give another --out"
        ) from None
    return file
