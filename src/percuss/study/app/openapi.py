"""The OpenAPI of the interface, as documentation: ``python -m percuss.study.app.openapi > docs/study-api.json``."""

from __future__ import annotations

import json
from typing import Any

from percuss.study.app.server import bare_app


def described() -> dict[str, Any]:
    """The OpenAPI, without the version of Percuss, which would change it with every release."""
    found: dict[str, Any] = bare_app().openapi()
    found["info"]["version"] = "1"
    return found


def as_text() -> str:
    """The same as it lies in docs/study-api.json."""
    return json.dumps(described(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(as_text(), end="")
