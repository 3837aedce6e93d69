"""The architecture check sees planted faults."""

import pytest

TABLE = "| `core` | nothing |\n| `data` | only core |\n| `defend` | `attacks` |\n"
TABLE += "| `attacks` | - |\n| `cli` | everything |\n"


@pytest.fixture
def package(tmp_path):
    def write(**files):
        for name, text in files.items():
            path = tmp_path / "percuss" / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    "line",
    [
        "import percuss.attacks.pgd",
        "from percuss.attacks import pgd",
        "def f():\n    from percuss.attacks.pgd import pgd",
        "from ..attacks import pgd",
        "if TYPE_CHECKING:\n    from percuss.attacks.pgd import pgd",
        "import importlib\nimportlib.import_module('percuss.attacks.pgd')",
    ],
)
def test_forbidden_import_is_seen(check, package, line):
    source = package(data__folder=line, attacks__pgd="")
    found = check("architecture").breaches(source, check("architecture").table(TABLE))
    assert len(found) == 1 and "data may not import attacks" in found[0]


def test_core_imports_no_stage_and_unknown_stage_is_seen(check, package):
    source = package(core__a="import percuss.data.folder", data__folder="", magic__x="")
    found = check("architecture").breaches(source, check("architecture").table(TABLE))
    assert any("core may not import data" in item for item in found)
    assert any("magic has no row" in item for item in found)


def test_allowed_imports_pass(check, package):
    source = package(
        core__a="",
        defend__a="import percuss.attacks.pgd, percuss.core.a",
        attacks__pgd="",
        cli__x="import percuss.defend.a",
    )
    assert check("architecture").breaches(source, check("architecture").table(TABLE)) == []


def test_circle_is_seen(check, package):
    source = package(data__a="from percuss.data import b", data__b="def f():\n    import percuss.data.a")
    assert len(check("architecture").cycles(source)) == 1
