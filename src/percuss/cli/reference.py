"""docs/commands.md, generated from the commands themselves; a test compares it."""

from __future__ import annotations

import inspect
from typing import Any

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
    arguments = "".join(f" {param.name.upper()}" for param in params if param.param_type_name == "argument")
    needed = "".join(
        f" {_flag(param)} {_kind(param)}" for param in params if param.required and param.opts[0][0] == "-"
    )
    rows = ["| option | value | default | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{_flag(param)}` | {_kind(param)} | {_default(param)} | {(param.help or '').replace('|', '/')} |"
        for param in params
    ]
    return ["```", f"{name}{arguments}{needed} [OPTIONS]", "```", "", *rows]


def _flag(param: Any) -> str:
    return str(param.opts[0]) if param.param_type_name == "option" else str(param.name).upper()


def _kind(param: Any) -> str:
    if getattr(param, "is_flag", False):
        return ""
    # Typer keeps its own parameter classes; which attribute holds the type has changed between its releases.
    name = str(getattr(getattr(param, "type", None), "name", "") or getattr(param, "bare_type", None))
    kinds = {"int": "N", "float": "X", "path": "PATH", "file": "PATH", "directory": "PATH"}
    text = next((kind for word, kind in kinds.items() if word in name.lower()), "TEXT")
    return f"{text}, repeatable" if getattr(param, "multiple", False) else text


def _default(param: Any) -> str:
    value = param.default
    if callable(value) or value in (None, "", False, (), []) or "Sentinel" in type(value).__name__:
        return "required" if param.required else ""
    return f"`{value}`"


if __name__ == "__main__":
    print(reference(), end="")
