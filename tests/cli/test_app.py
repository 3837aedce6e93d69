import subprocess
import sys
import time

import pytest
import typer

from percuss.cli.exits import explain, guarded
from percuss.cli.reference import reference
from percuss.core.errors import DataError

HELP = "import sys; sys.argv = ['percuss', '--help']; from percuss.cli.app import main; main()"


def test_reference_page_is_up_to_date(root):
    page = (root / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == reference(), "write it anew: python -m percuss.cli.reference > docs/commands.md"


def test_version_and_help(percuss):
    assert percuss("--version").stdout.startswith("percuss ")
    text = percuss("--help").stdout
    for name in ("train", "audit", "report", "list", "demo"):
        assert f" {name} " in text


def test_unknown_command_is_wrong_use(percuss):
    assert percuss("adit").exit_code == 2


def test_help_is_quick():
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", HELP], check=True, capture_output=True)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("length", [10, 1_000_000])
def test_whoever_reads_no_further_is_no_fault(length):
    text = f"""
from percuss.cli.exits import guarded
import typer
app = typer.Typer(pretty_exceptions_enable=False)
app.command()(guarded(lambda: (input(), print("x" * {length}))))
app()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", text], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as asked:
        asked.stdout.close()
        asked.stdin.write("\n")
        asked.stdin.close()
        told = asked.stderr.read()
    assert (asked.returncode, told) == (141, "")


def test_errors_are_short_lines():
    error = DataError("the set is empty", value="x", allowed="images", next_step="add some")
    assert explain(error) == "the set is empty: x\n  Allowed: images\n  Next: add some"


def test_a_fault_of_ours_is_said_to_be_one(capsys):
    def broken():
        raise ZeroDivisionError("division")

    with pytest.raises(typer.Exit) as ended:
        guarded(broken)()
    assert ended.value.exit_code == 2
    assert "a fault of Percuss: ZeroDivisionError" in capsys.readouterr().err


def test_the_module_is_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "percuss.cli", "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("percuss ")
