"""Reads every import of the package (lazy ones too) and compares it with the table in docs/architecture.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROW = re.compile(r"^\|\s*`(?P<stage>[a-z_]+)`\s*\|(?P<allowed>[^|]*)\|")


def table(text: str) -> dict[str, set[str]]:
    """Stage -> stages it may import beside core, from the rows of the page; ``everything`` stands for all."""
    rows = [match for match in map(ROW.match, text.splitlines()) if match]
    stages = {row["stage"] for row in rows}
    found = {}
    for row in rows:
        named = set(re.findall(r"`([a-z_]+)`", row["allowed"]))
        but = named if "everything but" in row["allowed"] else set()
        found[row["stage"]] = (stages - but) if "everything" in row["allowed"] else named | {"core"}
    if "core" in found:
        found["core"] = set()
    return found


def modules(source: Path) -> dict[str, Path]:
    """Dotted name -> file of every module under ``source`` (the folder that holds the package)."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: set[str]) -> dict[str, int]:
    """Modules of the package that one file imports, anywhere in it, with the line."""
    found: dict[str, int] = {}
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            whole = ".".join([*stem, *([node.module] if node.module else [])])
            targets = [f"{whole}.{a.name}" if f"{whole}.{a.name}" in known else whole for a in node.names]
        elif isinstance(node, ast.Call) and _is_import_call(node):
            targets = [str(node.args[0].value)]  # type: ignore[attr-defined]
        else:
            continue
        for target in targets:
            if target in known and target != name:
                found.setdefault(target, node.lineno)  # type: ignore[attr-defined]
    return found


def _is_import_call(node: ast.Call) -> bool:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    literal = bool(node.args) and isinstance(node.args[0], ast.Constant)
    return called in ("import_module", "__import__") and literal


def graph(source: Path) -> dict[str, dict[str, int]]:
    """Every module with the modules of the package that it imports."""
    found = modules(source)
    return {name: imports(name, path, set(found)) for name, path in found.items()}


def stage_of(module: str) -> str:
    """``percuss.data.csv`` -> ``data``; the package itself is ``percuss``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def breaches(source: Path, allowed: dict[str, set[str]]) -> list[str]:
    """Imports between stages that the table does not allow, and stages it does not know."""
    found = []
    for name, targets in graph(source).items():
        stage = stage_of(name)
        if stage not in allowed:
            found.append(f"{name}: the stage {stage} has no row in the table")
            continue
        for target, line in targets.items():
            other = stage_of(target)
            if other not in (stage, *allowed[stage]):
                found.append(f"{name}:{line} imports {target}: {stage} may not import {other}")
    return found


def cycles(source: Path) -> list[str]:
    """Circles of imports between files, each written as a path."""
    edges, state, found = graph(source), {}, []

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if state.get(name) == "done":
            return
        if name in trail:
            found.append(" -> ".join([*trail[trail.index(name) :], name]))
            return
        for target in edges[name]:
            visit(target, (*trail, name))
        state[name] = "done"

    for name in edges:
        visit(name, ())
    return found
