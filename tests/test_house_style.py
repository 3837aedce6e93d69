"""Sizes, names, docstrings and paths keep to docs/contributing.md."""


def test_sources_keep_sizes_names_and_docstrings(check, root):
    style = check("house_style")
    listed = style.exceptions((root / "docs" / "contributing.md").read_text(encoding="utf-8"))
    left, unused = style.unlisted(style.check_sources(root / "src"), listed)
    assert left == []
    assert unused == [], "exceptions in docs/contributing.md that nothing needs any more"


def test_tests_have_no_empty_names_and_stay_short(check, root):
    style = check("house_style")
    for path in sorted((root / "tests").rglob("*.py")):
        name = path.relative_to(root)
        assert style.check_name(name) == []
        assert len(path.read_text(encoding="utf-8").splitlines()) <= style.LIMITS["file"], name


def test_no_file_names_a_folder_of_a_machine(check, root):
    folders = ("src", "tests", "docs", "benchmarks", "constraints", ".ci")
    files = [path for folder in folders for path in (root / folder).rglob("*") if path.is_file()]
    files = [path for path in files if "__pycache__" not in path.parts and "egg-info" not in str(path)]
    top = [root / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")]
    assert check("house_style").machine_paths(files + top, root) == []
