"""The packages of the extra ``study``: asked for before they are needed, so that their absence has a next step."""

from __future__ import annotations

from importlib.util import find_spec

from percuss.core.errors import UsageError

_PACKAGES = ("sqlalchemy", "alembic", "cryptography", "fastapi", "starlette", "uvicorn")


def require_extra() -> None:
    """UsageError naming the first package of the extra ``study`` that is not installed."""
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise UsageError(
                "a package of the reader study is not installed",
                value=package,
                next_step="pip install 'percuss[study]'",
            )
