"""docs/commands.md, generated from the commands themselves; a test compares it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

HEAD = """# Commands

Generated from the commands by `percuss.cli.reference`; a test compares it. Long work goes on after a stop or a kill
when the same command is given again.

Exit codes: 0 done; 1 the run found what the user asked to fail on; 2 wrong use or input; 3 interrupted, and stderr says
what is kept; 141 nobody reads stdout any more.
"""


def reference() -> str:
    """The page as Markdown: each command with its use, arguments and options."""
    import typer

    from percuss.cli.app import app

    root: Any = typer.main.get_command(app)
    return "\n".join([HEAD, *_command("percuss", root, depth=1)]).rstrip() + "\n"


def _command(name: str, command: Any, *, depth: int) -> list[str]:
    """A command's section and, of a group, the sections of its commands one level deeper."""
    inner: dict[str, Any] = getattr(command, "commands", {})
    parts = []
    if depth > 1:
        parts += [f"\n{'#' * depth} {name}\n", inspect.cleandoc(command.help or ""), ""]
    parts += _options(name, command)
    if inner and depth > 1:
        parts += ["```", f"{name} COMMAND", "```"]
    for key, below in inner.items():
        parts += _command(f"{name} {key}", below, depth=depth + 1)
    return parts


def _options(name: str, command: Any) -> list[str]:
    params = [param for param in command.params if param.name != "help"]
    if not params:
        return []
    kinds = get_type_hints(inspect.unwrap(command.callback))
    given = [param for param in params if param.param_type_name == "argument"]
    arguments = "".join(f" {_flag(param)}" if param.required else f" [{_flag(param)}]" for param in given)
    must = [param for param in params if param.required and param.param_type_name == "option"]
    needed = "".join(f" {_flag(param)} {_kind(kinds[param.name])}" for param in must)
    rows = ["| option | value | default | meaning |", "|---|---|---|---|"]
    for param in params:
        meaning = (param.help or "").replace("|", "/")
        rows.append(f"| `{_flag(param)}` | {_kind(kinds[param.name])} | {_default(param)} | {meaning} |")
    return ["```", f"{name}{arguments}{needed} [OPTIONS]", "```", "", *rows]


def _flag(param: Any) -> str:
    return str(param.opts[0]) if param.param_type_name == "option" else str(param.name).upper()


def _kind(annotation: Any) -> str:
    inner = [item for item in get_args(annotation) if item is not type(None)] or [annotation]
    if get_origin(annotation) is list:
        return "TEXT, repeatable"
    if len(inner) == 1 and inner[0] is not annotation:
        return _kind(inner[0])
    return {int: "N", float: "X", Path: "PATH", bool: ""}.get(annotation, "TEXT")


def _default(param: Any) -> str:
    value = param.default
    if value is None or value is False or callable(value) or value in ("", (), []):
        return "required" if param.required else ""
    return f"`{value}`"


if __name__ == "__main__":
    print(reference(), end="")
