"""docs/commands.md, generated from the commands themselves; a test compares it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

HEAD = """# Commands

Generated from the commands by `percuss.cli.reference`; a test compares it. Long work goes on after a stop or a kill
when the same command is given again.

Exit codes: 0 done; 1 the run found what the user asked to fail on; 2 wrong use or input; 3 interrupted, can go on.
"""


def reference() -> str:
    """The page as Markdown: each command with its use, arguments and options."""
    import typer

    from percuss.cli.app import app

    root: Any = typer.main.get_command(app)
    parts = [HEAD, *(_options("percuss", root))]
    for name, command in root.commands.items():
        parts += [
            f"\n## percuss {name}\n",
            inspect.cleandoc(command.help or ""),
            "",
            *_options(f"percuss {name}", command),
        ]
    return "\n".join(parts).rstrip() + "\n"


def _options(name: str, command: Any) -> list[str]:
    params = [param for param in command.params if param.name != "help"]
    if not params:
        return []
    kinds = get_type_hints(inspect.unwrap(command.callback))
    arguments = "".join(f" {_flag(param)}" for param in params if param.param_type_name == "argument")
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


def _help(param: Any) -> str:
    return str(param.help or "").replace("|", "/")


def _default(param: Any) -> str:
    value = param.default
    if value is None or value is False or callable(value) or value in ("", (), []):
        return "required" if param.required else ""
    return f"`{value}`"


if __name__ == "__main__":
    print(reference(), end="")
