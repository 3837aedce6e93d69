"""Every package that the reader study imports is one that its extra, or the core, installs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from percuss.core.errors import UsageError
from percuss.study import extra

ROOT = Path(__file__).resolve().parents[2]


def installed_by(requirements: list[str]) -> set[str]:
    """Names of packages; those that the study imports are called as their modules are."""
    return {re.split(r"[<>=\[ ]", each)[0].lower() for each in requirements}


def test_every_import_is_installed_by_the_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    imported: set[str] = set()
    for path in (ROOT / "src" / "percuss" / "study").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])
    others = imported - sys.stdlib_module_names - {"percuss"}
    assert others >= {"fastapi", "sqlalchemy", "numpy"}
    assert others - installed_by(project["dependencies"]) == installed_by(extras["study"])
    assert installed_by(extras["study"]) == set(extra._PACKAGES)
    assert installed_by(extras["study"] + extras["postgresql"]) <= installed_by(extras["test"])


@pytest.mark.parametrize("package", extra._PACKAGES)
def test_the_first_package_that_is_absent_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(UsageError, match=package) as raised:
        extra.require_extra()
    assert raised.value.next_step == "pip install 'percuss[study]'"
