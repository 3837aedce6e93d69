"""The interface described for people, from its OpenAPI: ``python -m percuss.study.app.openapi > docs/study-api.md``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from percuss.study.app.server import bare_app

_HEAD = """# The HTTP interface of a reader study

Made from the code by `python -m percuss.study.app.openapi`; a test fails where it is not current. A running study has
the same for programs at `/api/v1/openapi.json`. Browsers and simulated readers use the same interface.
"""


def described() -> dict[str, Any]:
    """The OpenAPI, without the version of Percuss, which would change it with every release."""
    found: dict[str, Any] = bare_app().openapi()
    found["info"]["version"] = "1"
    return found


def as_text() -> str:
    """The same as a page of Markdown."""
    found = described()
    lines = [_HEAD, found["info"]["description"], "\n## Endpoints\n"]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            lines += _endpoint(f"{method.upper()} {path}", operation)
    lines.append("## Records\n")
    for name, schema in sorted(found["components"]["schemas"].items()):
        lines += _record(name, schema)
    lines.append("## Errors\n\nEvery error has the same body, `Problem`. What its status means:\n")
    errors = {status: text for each in _responses(found) for status, text in each.items() if int(status) >= 400}
    lines += [f"- **{status}** {text}" for status, text in sorted(errors.items())]
    return "\n".join(lines).replace("``", "`") + "\n"


def _responses(found: dict[str, Any]) -> Iterator[dict[str, str]]:
    for methods in found["paths"].values():
        for operation in methods.values():
            yield {status: response["description"] for status, response in operation["responses"].items()}


def _endpoint(title: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### `{title}`\n"
    yield _prose(operation["description"])
    needs = sorted({name for each in operation.get("security", []) for name in each})
    words = {"csrf": "the header `X-CSRF-Token`", "session": "a login"}
    yield f"- Needs: {' and '.join(words[name] for name in reversed(needs)) or 'nothing'}"
    for parameter in operation.get("parameters", []):
        yield f"- `{parameter['name']}`: {_type(parameter['schema'])}, in the {parameter['in']}"
    if "requestBody" in operation:
        yield f"- Takes: {_content(operation['requestBody'])}"
    good = {status: each for status, each in operation["responses"].items() if int(status) < 400}
    for status, response in good.items():
        yield f"- Gives: {status}, {_content(response)}"
    bad = sorted(set(operation["responses"]) - set(good))
    yield f"- Errors: {', '.join(bad) or 'none'}\n"


def _content(part: dict[str, Any]) -> str:
    kinds = part.get("content", {})
    told = [kind if "json" not in kind else _type(each.get("schema", {})) for kind, each in kinds.items()]
    return " or ".join(told) or "nothing"


def _record(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}\n"
    yield _prose(schema.get("description", ""))
    yield "| field | type | needed | limits | meaning |\n|---|---|---|---|---|"
    required = set(schema.get("required", []))
    for field, values in schema.get("properties", {}).items():
        needed = "yes" if field in required else "no"
        yield f"| `{field}` | {_type(values)} | {needed} | {_limits(values)} | {values.get('description', '')} |"
    yield ""


def _prose(text: str) -> str:
    """A docstring as Markdown: what stands under ``Attributes:`` or the like becomes a list."""
    before, _, attributes = text.partition("\nAttributes:\n")
    listed: list[str] = []
    for line in attributes.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            listed.append(f"- {line.strip()}")
        elif listed:
            listed[-1] += f" {line.strip()}"
    return "\n".join([before.strip(), "", *listed, *([""] if listed else [])])


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema or "oneOf" in schema:
        return " or ".join(_type(each) for each in schema.get("anyOf", schema.get("oneOf", [])))
    if "const" in schema or "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = str(schema.get("type", "any"))
    inner = schema.get("items")
    return f"list of {_type(inner)}" if inner else f"{kind} ({schema['format']})" if "format" in schema else kind


def _limits(schema: dict[str, Any]) -> str:
    words = {
        "minimum": "from {}",
        "exclusiveMinimum": "above {}",
        "maximum": "to {}",
        "minLength": "{} characters or more",
        "maxLength": "at most {} characters",
        "maxItems": "at most {}",
    }
    parts = [schema, *schema.get("anyOf", [])]
    return ", ".join(text.format(_plain(part[name])) for part in parts for name, text in words.items() if name in part)


def _plain(number: float) -> str:
    """Versions differ in whether a whole limit is written as 1 or 1.0."""
    return f"{number:g}"


if __name__ == "__main__":
    print(as_text(), end="")
