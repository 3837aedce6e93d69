"""Every attack, data source, command, option and finding has its entry; links lead somewhere; the tutorial runs."""

import shlex

import pytest
import typer
from typer.testing import CliRunner

from percuss.core.catalogue import entries


def pages(root):
    return [root / "README.md", root / "CHANGELOG.md", *sorted((root / "docs").rglob("*.md"))]


def walk(command, name=""):
    """Every command below one, with its whole name, and its options."""
    yield name, [opt for param in command.params for opt in param.opts if opt.startswith("--")]
    for key, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, f"{name} {key}".strip())


@pytest.fixture(scope="module")
def command():
    from percuss.cli.app import app

    return typer.main.get_command(app)


def test_links_resolve(check, root):
    assert [hit for page in pages(root) for hit in check("docs").broken_links(page)] == []


def test_every_page_says_something(check, root):
    assert [page.name for page in pages(root) if check("docs").says_nothing(page)] == []


@pytest.mark.parametrize(
    ("package", "marker", "folder"),
    [("attacks", None, "attacks"), ("data", "open_set", "datasets"), ("defend", "Defence", "defences")],
)
def test_every_entry_of_the_catalogue_has_its_page(check, root, package, marker, folder):
    assert check("docs").without_page(set(entries(package, marker)), root / "docs" / folder) == []


def test_every_command_and_option_is_described(check, root, command):
    text = (root / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, options in walk(command):
        assert check("docs").missing({f"percuss {name}".strip(), *options} - {"--help"}, text) == [], name


def test_no_option_is_named_that_no_command_has(check, root, command):
    """In the pages of the reader study, and in what its code says: an error's next step must be there to be taken."""
    known = {"--help", "--no-ask-seen", "--all-right"} | {option for _, options in walk(command) for option in options}
    code = [path for path in (root / "src" / "percuss").rglob("*.py") if "study" in path.relative_to(root).as_posix()]
    texts = {path: path.read_text(encoding="utf-8") for path in code}
    texts |= {
        path: check("docs").inline_code(path.read_text(encoding="utf-8"))
        for path in pages(root)
        if "study" in path.name
    }
    assert len(texts) > 100
    named = {str(path): check("docs").options_named(text) - known for path, text in texts.items()}
    assert {name: options for name, options in named.items() if options} == {}


def test_a_server_behind_a_proxy_is_shown_with_the_name_that_readers_ask_for(root):
    """Without it every reader is refused."""
    shown = [
        (page.name, line)
        for page in pages(root)
        for line in page.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        if "percuss study serve " in line and ("--proxy" in line or "--host 0.0.0.0" in line)
    ]
    assert len(shown) >= 4
    assert [hit for hit in shown if "--allow-host" not in hit[1]] == []


def test_every_finding_is_described(check, root):
    ids = check("docs").finding_ids(root / "src")
    assert ids
    assert check("docs").missing(ids, (root / "docs" / "findings.md").read_text(encoding="utf-8")) == []


def test_ci_and_readme_name_the_same_commands(root):
    readme, ci = (root / "README.md").read_text(encoding="utf-8"), (root / ".ci" / "run").read_text(encoding="utf-8")
    for line in ("make test", "make demo"):
        assert f"\n{line}\n" in readme and f"\n{line}\n" in ci


def tutorials():
    from pathlib import Path

    folder = Path(__file__).resolve().parents[1] / "docs"
    return sorted([*folder.glob("tutorial*.md"), *folder.glob("tutorial*/*.md")])


@pytest.mark.parametrize("page", tutorials(), ids=lambda page: page.stem)
def test_tutorial_runs(check, page, tmp_path, monkeypatch):
    from percuss.cli.app import app

    docs, text = check("docs"), page.read_text(encoding="utf-8")
    assert docs.unmarked(text) == [], "each block says <!-- run --> or <!-- not run: reason -->"
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "tutorial"}
    for block in docs.blocks(text):
        if block.note == "run" and block.kind == "python":
            exec(compile(block.body, f"{page.name}:{block.line}", "exec"), names)
        for line in docs.commands(block) if block.note == "run" and block.kind == "console" else []:
            program, *arguments = shlex.split(line)
            assert program == "percuss", line
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, f"{page.name}: {line}: {result.output} {result.exception!r}"
