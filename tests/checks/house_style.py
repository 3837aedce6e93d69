"""Sizes, names and docstrings of the sources, as listed in docs/contributing.md."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/[\w.]")
LIMITS = {"file": 300, "function": 40, "complexity": 10, "parameters": 6, "positional": 3}
ROW = re.compile(
    r"^\|\s*`(?P<file>[^`]+)`\s*\|\s*`(?P<name>[^`]+)`\s*\|\s*(?P<rule>\w+)\s*\|\s*(?P<reason>[^|]+?)\s*\|$"
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Breach:
    """One place where a rule is not kept."""

    file: str
    name: str
    rule: str
    text: str


def exceptions(text: str) -> list[tuple[str, str, str, str]]:
    """(file, function, rule, reason) rows of the page; file and function may hold wildcards."""
    rows = [match for match in map(ROW.match, text.splitlines()) if match]
    return [(row["file"], row["name"], row["rule"], row["reason"]) for row in rows]


def unlisted(found: list[Breach], listed: list[tuple[str, str, str, str]]) -> tuple[list[str], list[str]]:
    """Breaches without a listed reason, and listed exceptions that nothing needs any more."""
    used = set()
    left = []
    for breach in found:
        key = (breach.file, breach.name, breach.rule)
        hits = [row for row in listed if all(fnmatch(a, b) for a, b in zip(key, row[:3], strict=True))]
        used.update(hits)
        if not hits:
            left.append(f"{breach.file} {breach.name} [{breach.rule}]: {breach.text}")
    return left, [" ".join(row[:3]) for row in listed if row not in used]


def check_sources(root: Path) -> list[Breach]:
    """Every breach of sizes, parameters, names and docstrings below ``root``."""
    found = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        found += check_name(Path(name)) + check_file(name, path.read_text(encoding="utf-8"))
    return found


def check_name(path: Path) -> list[Breach]:
    """Forbidden file and folder names in a relative path."""
    words = {*path.parts[:-1], path.stem}
    return [Breach(path.as_posix(), word, "name", "says nothing") for word in sorted(words & FORBIDDEN)]


def check_file(name: str, text: str) -> list[Breach]:
    """File length, then every function and docstring in it."""
    lines = text.splitlines()
    found = []
    if len(lines) > LIMITS["file"]:
        found.append(Breach(name, "*", "file", f"{len(lines)} lines, at most {LIMITS['file']}"))
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, Function):
            found += check_function(name, node, lines)
    return found + [Breach(name, item, "docstring", "public, without docstring") for item in undocumented(tree)]


def undocumented(tree: ast.Module) -> list[str]:
    """Public modules, classes, functions and methods without a docstring."""
    missing = [] if ast.get_docstring(tree) else ["*"]
    stack: list[ast.AST] = [tree]
    while stack:
        for node in ast.iter_child_nodes(stack.pop()):
            if isinstance(node, (ast.ClassDef, *Function.__args__)) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    missing.append(node.name)
                if isinstance(node, ast.ClassDef):
                    stack.append(node)
    return missing


def check_function(name: str, node: Function, lines: list[str]) -> list[Breach]:
    """Code lines, complexity and parameters of one function."""
    arguments = node.args
    positional = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args) if arg.arg not in ("self", "cls")]
    measured = {
        "function": code_lines(node, lines),
        "complexity": complexity(node),
        "parameters": len(positional) + len(arguments.kwonlyargs),
        "positional": 0 if _private(node.name) else len(positional),
    }
    return [
        Breach(name, node.name, rule, f"line {node.lineno}: {value}, at most {LIMITS[rule]}")
        for rule, value in measured.items()
        if value > LIMITS[rule]
    ]


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def code_lines(node: Function, lines: list[str]) -> int:
    """Lines of a function without docstring, comments and blanks."""
    first = node.body[0]
    skip: set[int] = set()
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        skip = set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    numbers = range(node.lineno, (node.end_lineno or node.lineno) + 1)
    texts = (lines[i - 1].strip() for i in numbers if i not in skip)
    return sum(bool(text) and not text.startswith("#") for text in texts)


def complexity(node: Function) -> int:
    """Number of ways through: one more than its branches, loops, handlers and match cases."""
    kinds = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
    return 1 + sum(isinstance(item, kinds) for item in ast.walk(node))


def machine_paths(files: list[Path], root: Path) -> list[str]:
    """Places where a text file names a folder of somebody's machine."""
    found = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        hits = [
            f"{path.relative_to(root)}:{i}" for i, line in enumerate(text.splitlines(), 1) if MACHINE_PATH.search(line)
        ]
        found += hits
    return found
