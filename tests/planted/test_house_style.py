"""The house-style check sees planted faults."""

from pathlib import Path

import pytest

LONG = '"""M."""\ndef f() -> None:\n    """D."""\n' + "    x = 1\n" * 41
MANY = '"""M."""\ndef f(a, b, c, *, d, e, g, h):\n    """D."""\n'
FLAT = '"""M."""\ndef f(a, b, c, d):\n    """D."""\n'
DEEP = '"""M."""\ndef f(a):\n    """D."""\n' + "".join(f"    if a == {i}:\n        pass\n" for i in range(10))
GOOD = '"""M."""\ndef f(a, b, c, *, d):\n    """D."""\n    # why\n\n    return a\n'


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("file", '"""M."""\n' + "x = 1\n" * 300),
        ("function", LONG),
        ("parameters", MANY),
        ("positional", FLAT),
        ("complexity", DEEP),
        ("docstring", '"""M."""\nclass A:\n    """D."""\n    def f(self): ...\n'),
        ("docstring", "x = 1\n"),
    ],
)
def test_breach_is_seen(check, rule, text):
    assert {item.rule for item in check("house_style").check_file("a.py", text)} == {rule}


def test_good_file_passes(check):
    assert check("house_style").check_file("a.py", FLAT.replace(" f(", " _f(")) == []
    assert check("house_style").check_file("a.py", GOOD) == []


@pytest.mark.parametrize("name", ["data/utils.py", "helpers/a.py", "core/base.py"])
def test_empty_name_is_seen(check, name):
    assert len(check("house_style").check_name(Path(name))) == 1


def test_machine_path_is_seen(check, tmp_path):
    page = tmp_path / "a.md"
    page.write_text("see /" + "home/anna/data\n")
    assert check("house_style").machine_paths([page], tmp_path) == ["a.md:1"]


def test_exception_needs_its_row_and_is_dropped_when_unused(check):
    style = check("house_style")
    rows = style.exceptions("| `a.py` | `f` | function | one loop |\n| `b.py` | `g` | file | old |\n")
    left, unused = style.unlisted(style.check_file("a.py", LONG) + style.check_file("a.py", DEEP), rows)
    assert len(left) == 1 and "complexity" in left[0]
    assert unused == ["b.py g file"]
