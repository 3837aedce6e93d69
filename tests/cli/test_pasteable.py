"""Whatever command a message names can be pasted into a shell: with the study that was typed, quoted and unbroken."""

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
from tests.study.reading import two_sessions

import percuss as package
from percuss.cli.pasteable import Typed, explain
from percuss.core.errors import DataError
from percuss.study.database import sqlite_url

#: Blanks, hyphens and a quote, and longer than a line.
NAME = "the reader's study - second ward, " + "a-very-long-name " * 8
#: Commands that a message names in passing and does not ask for.
IN_PASSING = {"create", "serve", "export", "plan"}


@pytest.fixture
def folder(tmp_path):
    opened = two_sessions(tmp_path / NAME)
    opened.database.close()
    return tmp_path / NAME / "study"


def pasted(act, folder, *more):
    return shlex.join(["percuss", "study", act, str(folder), *more])


def test_a_command_has_the_study_the_database_and_the_secret_that_were_typed():
    typed = Typed(Path("my study"), "postgresql+pg8000://ada:pa ss@db.example/reading?sslmode=require", Path("a b.key"))
    url = "'postgresql+pg8000://ada@db.example/reading?sslmode=require'"
    assert typed.command("results") == f"percuss study results 'my study' --database {url} --secret 'a b.key'"
    assert typed.command("close", "--reason WHY") == f"percuss study close 'my study' --database {url} --reason WHY"
    assert typed.command("plan") == "percuss study plan 'my study' --secret 'a b.key'"
    assert Typed(Path("-x"), "no url", Path("-y")).command("verify") == "percuss study verify ./-x --secret ./-y"


def test_what_was_typed_is_the_one_study_of_a_command():
    assert Typed.of({"study": Path("a"), "database": None}) == Typed(Path("a"))
    assert Typed.of({"study": [Path("a")]}) == Typed(Path("a"))
    for options in ({}, {"study": None}, {"study": []}, {"study": [Path("a"), Path("b")]}):
        assert Typed.of(options) is None


def test_options_of_a_command_stay_with_it_and_words_after_it_do_not():
    text = "look: percuss study verify STUDY; or percuss study renew STUDY --name 'A. B' --reason WHY, then go on"
    filled = Typed(Path("s t")).fill(text, blank="_")
    assert filled == (
        "look: percuss_study_verify_'s_t'; or percuss_study_renew_'s_t'_--name_'A._B'_--reason_WHY, then go on"
    )


def test_a_command_stands_on_one_line_however_long():
    error = DataError("x", value="/tmp/a-path", next_step="do this and that: percuss study close STUDY --reason WHY")
    folder = Path("/home") / NAME / "study"
    told = explain(error, Typed(folder))
    assert f"{pasted('close', folder)} --reason WHY" in told.splitlines()[-1]
    assert explain(error).endswith("percuss study close STUDY --reason WHY")


def test_no_path_is_broken_at_its_hyphens():
    path = "/" + "one-two-" * 30
    assert path in explain(DataError("cannot be read", value=path, next_step="look"))


def test_errors_name_the_study_that_was_typed(percuss, folder):
    def told(*arguments):
        done = percuss("study", *arguments)
        assert done.exit_code == 2, (arguments, done.stdout)
        assert "STUDY" not in done.stderr
        return done.stderr

    why = ("--reason", "r")
    assert percuss("study", "enrol", folder, "--name", "Ada B").exit_code == 0
    assert pasted("renew", folder, "--name", "Ada B", "--reason", "WHY") in told("enrol", folder, "--name", "Ada B")
    assert pasted("status", folder) in told("revoke", folder, "--name", "Eve", *why)
    assert pasted("status", folder) in told("override", folder, "--name", "Ada B", "--session", 9, *why)
    assert pasted("close", folder, "--reason", "WHY") in told("results", folder)
    assert pasted("close", folder, "--reason", "WHY") in told("export", folder, "--out", folder.parent / "out")
    assert percuss("study", "close", folder, *why).exit_code == 0
    for act in (
        ("close",),
        ("enrol", "--name", "B"),
        ("amend", "--set", "washout_days=2"),
        ("renew", "--name", "Ada B"),
    ):
        more = () if act[0] == "enrol" else why
        assert pasted("results", folder) in told(act[0], folder, *act[1:], *more)


def test_what_is_said_at_the_end_names_it_too(percuss, folder):
    def said(*arguments):
        done = percuss("study", *arguments)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    why = ("--reason", "r")
    assert f"{pasted('enrol', folder)} --name NAME" in said("status", folder)
    renew = pasted("renew", folder, "--name", "Ada B", "--reason", "WHY")
    assert renew in said("enrol", folder, "--name", "Ada B") and renew in said("renew", folder, "--name", "Ada B", *why)
    assert renew in said("revoke", folder, "--name", "Ada B", *why)
    ended = said("close", folder, *why)
    assert pasted("results", folder) in ended.splitlines()[-1] and pasted("verify", folder, "--head") in ended
    (folder / "closed.json").unlink()
    for more in ((), ("--json",)):
        done = percuss("study", "verify", folder, *more)
        faults = json.loads(done.stdout)["faults"] if more else [done.stdout]
        assert done.exit_code == 1 and f"{pasted('close', folder)} --reason WHY" in faults[0]


def test_a_database_that_was_typed_is_in_the_next_command(percuss, folder):
    url = sqlite_url(folder / "study.db")
    done = percuss("study", "results", folder, "--database", url)
    assert f"{pasted('close', folder, '--database', url)} --reason WHY" in done.stderr


def commands():
    """Every command in a text of the stages below the command line; whether a study, or a value, stands after it."""
    for path in sorted(Path(package.__file__).parent.rglob("*.py")):
        if {"cli", "planning"} & set(path.parts):  # a plan speaks of a study that is not there yet
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTED)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in documented:
                for found in re.finditer(r"percuss study ([a-z]+)( STUDY| $)?", node.value):
                    yield path.name, found[1], bool(found[2])


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def test_no_message_names_a_command_without_its_study():
    found = list(commands())
    assert len(found) > 12
    assert [(name, act) for name, act, with_study in found if not with_study and act not in IN_PASSING] == []
