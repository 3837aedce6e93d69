"""The sources keep to the table of allowed imports in docs/architecture.md."""

import pytest


@pytest.fixture
def table(check, root):
    return check("architecture").table((root / "docs" / "architecture.md").read_text(encoding="utf-8"))


def test_table_names_every_stage(table, root):
    folders = {path.name for path in (root / "src" / "percuss").iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(table) and len(table) > 10


def test_imports_keep_to_the_table(check, table, root):
    assert check("architecture").breaches(root / "src", table) == []


def test_no_file_imports_itself_in_a_circle(check, root):
    assert check("architecture").cycles(root / "src") == []
