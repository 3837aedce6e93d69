"""The sealed key: encrypted and authenticated (Fernet: AES-128-CBC with HMAC-SHA-256), its secret in another place."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from percuss.core.errors import RunError
from percuss.store.safe import disk_errors
from percuss.study.canonical import canonical
from percuss.study.design.key import Key
from percuss.study.design.protocol import check_frozen
from percuss.study.folder import StudyFolder

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def new_secret() -> bytes:
    """A fresh secret: 32 random bytes as 44 letters of URL-safe base64."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key()


def seal(key: Key, secret: bytes) -> bytes:
    """The key as nobody without the secret reads it; RunError where the secret is none."""
    return _box(secret).encrypt(canonical(key.model_dump(mode="json")).encode())


def unseal(blob: bytes, secret: bytes) -> Key:
    """The key back, with every hash of its protocol checked; RunError on another secret or a touched file."""
    from cryptography.fernet import InvalidToken

    try:
        key = Key.model_validate_json(_box(secret).decrypt(blob))
    except (InvalidToken, ValidationError) as error:
        raise RunError(
            "the sealed key does not open",
            allowed="sealed.bin as it was written, and the secret that it was sealed with",
            next_step="give the secret of this very study with --secret",
        ) from error
    check_frozen(key.frozen)
    return key


def load_key(folder: StudyFolder, secret_file: Path | None = None) -> Key:
    """The key of a study, opened with the secret from its file (default: ``NAME.key`` beside the folder).

    Raises:
        RunError: no such file, or it does not open the key.
    """
    secret = load_secret(folder, secret_file)
    try:
        blob = folder.sealed.read_bytes()
    except OSError as error:
        raise RunError("the sealed key is missing", value=folder.sealed, next_step="restore the study") from error
    if folder.info_path.exists() and hashlib.sha256(blob).hexdigest() != folder.info().sealed_sha256:
        step = "restore it from its copy; percuss study verify STUDY says what else was touched"
        raise RunError("the sealed key is not as it was written", value=folder.sealed, next_step=step)
    try:
        return unseal(blob, secret)
    except RunError as error:
        step = "give the secret of this very study with --secret"
        value = secret_file or folder.secret_path
        raise RunError("the secret does not open the key of this study", value=value, next_step=step) from error


def load_secret(folder: StudyFolder, secret_file: Path | None = None) -> bytes:
    """The secret of a study from its file (default: beside the folder); RunError where there is none."""
    path = secret_file or folder.secret_path
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise RunError(
            "the secret of the sealed key cannot be read",
            value=path,
            allowed="the file that percuss study create wrote beside the study's folder",
            next_step="bring the file back from where it is kept, or name it with --secret",
        ) from error


def write_secret(path: Path, secret: bytes) -> None:
    """A new file that only its owner may read; RunError where there is one, or it cannot be written."""
    with disk_errors(path):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise RunError(
                "there is a secret of another study", value=path, next_step="give the study another name"
            ) from error
        with os.fdopen(handle, "wb") as file:
            file.write(secret + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _box(secret: bytes) -> Fernet:
    from cryptography.fernet import Fernet

    try:
        return Fernet(secret)
    except ValueError as error:
        raise RunError(
            "this is no secret of a study",
            allowed="44 letters of base64, as percuss study create wrote them",
            next_step="give the file that was written beside the study's folder",
        ) from error
