"""The reference page descends into groups of commands."""

from typing import Annotated

import pytest
import typer

from percuss.cli import app as commands
from percuss.cli.reference import reference


@pytest.fixture
def page(monkeypatch):
    """The reference of a small program: one command, and a group in a group."""

    def plain(name: Annotated[str, typer.Argument(help="Whom.")] = "you") -> None:
        """Greet somebody."""

    def deepest(name: str, *, loud: Annotated[bool, typer.Option("--loud", help="Shout.")] = False) -> None:
        """Greet one."""

    deep, inner = typer.Typer(help="Deeper."), typer.Typer(help="Several things.")
    root = typer.Typer(add_completion=False)
    deep.command("greet")(deepest)
    deep.command("part")(deepest)
    inner.add_typer(deep, name="deep")
    inner.command("one")(deepest)
    root.add_typer(inner, name="inner")
    root.command("plain")(plain)
    monkeypatch.setattr(commands, "app", root)
    return reference()


def test_every_level_has_its_heading_and_its_options(page):
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert headings == [
        "# Commands",
        "## percuss plain",
        "## percuss inner",
        "### percuss inner one",
        "### percuss inner deep",
        "#### percuss inner deep greet",
        "#### percuss inner deep part",
    ]
    assert "percuss inner deep greet NAME [OPTIONS]" in page and page.count("| `--loud` |") == 3


def test_a_group_says_what_it_is_and_how_it_is_called(page):
    assert "Several things.\n\n```\npercuss inner COMMAND\n```" in page
    assert "[OPTIONS]" not in page.partition("## percuss inner\n")[2].partition("###")[0]


def test_an_argument_that_may_be_left_out_stands_in_brackets(page):
    assert "percuss plain [NAME] [OPTIONS]" in page and "percuss inner one NAME [OPTIONS]" in page
