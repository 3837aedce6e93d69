"""The folder of a study: what lies where, and what it says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from percuss.core.errors import RunError
from percuss.study.canonical import canonical
from percuss.study.design.public import PublicProtocol

M = TypeVar("M", bound=BaseModel)
_HASH = r"^[0-9a-f]{64}$"


class Pixels(BaseModel):
    """What a stored level means: ``low`` at 0, ``high`` at ``levels``, in ``unit``.

    Attributes:
        levels: number of steps from the lowest to the highest value.
        low, high: native values at level 0 and at the highest level.
        unit: of the native values, such as ``grey level`` or ``HU``.
        bits: 8 or 16 for each channel of the files.
        channels: 1 grey, 3 colour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    levels: int = Field(default=255, ge=1, le=65535)
    low: float = 0.0
    high: float = 255.0
    unit: str = "grey level"
    bits: Literal[8, 16] = 8
    channels: Literal[1, 3] = 1


class StudyInfo(BaseModel):
    """What a study says of itself to whoever may see the folder; nothing of it tells an arm or a truth.

    Attributes:
        id: 16 hex digits, drawn at random.
        title: as in the protocol.
        created: ISO 8601 with zone.
        percuss_version: that created it.
        run_id: of the audit.
        database: empty for ``study.db`` in the folder, else the URL without its password.
        protocol_hash: ``Frozen.hash``, which no amendment changes.
        sealed_sha256: of ``sealed.bin`` as it is now.
        slots: number of orders that were drawn.
        pixels: what a level of the files means.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: Literal["1"] = "1"
    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    title: str = Field(min_length=1)
    created: str
    percuss_version: str
    run_id: str = ""
    database: str = ""
    protocol_hash: str = Field(pattern=_HASH)
    sealed_sha256: str = Field(pattern=_HASH)
    slots: int = Field(ge=1)
    pixels: Pixels = Pixels()


@dataclass(frozen=True)
class StudyFolder:
    """Where everything of a study lies."""

    path: Path

    @property
    def info_path(self) -> Path:
        """``study.json``."""
        return self.path / "study.json"

    @property
    def public_path(self) -> Path:
        """``protocol.json``."""
        return self.path / "protocol.json"

    @property
    def sealed(self) -> Path:
        """``sealed.bin``, the encrypted key."""
        return self.path / "sealed.bin"

    @property
    def images(self) -> Path:
        """``images/``, the files that readers are shown."""
        return self.path / "images"

    @property
    def database_path(self) -> Path:
        """``study.db``, unless the study has its database elsewhere."""
        return self.path / "study.db"

    @property
    def closed_path(self) -> Path:
        """``closed.json``, the head of the trail as noted at closing."""
        return self.path / "closed.json"

    @property
    def amending(self) -> Path:
        """``amending/``: what an amendment changes, until it is in force; there only for a moment."""
        return self.path / "amending"

    @property
    def secret_path(self) -> Path:
        """The file with the secret of the sealed key: beside the folder, so that a copy of the folder tells nothing."""
        whole = self.path.resolve()
        return whole.parent / f"{whole.name}.key"

    def info(self) -> StudyInfo:
        """What ``study.json`` says; RunError where there is none, or it cannot be read."""
        return read_record(self.info_path, StudyInfo)

    def public(self) -> PublicProtocol:
        """What ``protocol.json`` says; RunError where there is none, or it cannot be read."""
        return read_record(self.public_path, PublicProtocol)


def json_line(values: BaseModel) -> bytes:
    """A record as its file holds it: canonical JSON and a line feed."""
    return (canonical(values.model_dump(mode="json")) + "\n").encode()


class NewerStudy(RunError):
    """A file of the study is of a form that came after this version of Percuss."""


def read_record(path: Path, kind: type[M]) -> M:
    """A record of the study from its JSON file; RunError where it is missing, not of this kind, or newer than this."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        _check_version(path, kind)
        raise RunError(
            "a file of the study cannot be read",
            value=path,
            next_step="give the folder of a study, made by percuss study create, or restore it from its copy",
        ) from error


def _check_version(path: Path, kind: type[BaseModel]) -> None:
    """NewerStudy where a file that cannot be read says that it is of a later version than ``kind``."""
    known = getattr(kind.model_fields.get("version"), "default", None)
    try:
        values = json.loads(path.read_bytes())
        newer = known is not None and int(values["version"]) > int(known)
    except (OSError, ValueError, TypeError, LookupError):
        return
    if newer:
        raise NewerStudy(
            "the study was made by a newer version of Percuss",
            value=f"{path.name} of version {values['version']}",
            allowed=f"version {known}",
            next_step=f"install Percuss {values.get('percuss_version', 'of that version')}, or a newer one",
        )
