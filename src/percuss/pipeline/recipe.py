"""Recipes from their files: read, checked with the name of the key that is wrong, values put in, steps spread out."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from percuss.core.errors import UsageError, nearest
from percuss.core.recipe import DRAWN_FROM, FigureSpec, Protocol, Recipe, Rows, Step

FOLDER = Path(__file__).parents[1] / "recipes"
#: Options with this value are left out, so that the block's own default holds.
LEAVE = "default"
_NAME = re.compile(r"\$(\w+)")
_CELL = re.compile(r"^([^:|]+):\s.+ \| (?:share|count|number|size|text)$")


def recipe_names() -> dict[str, str]:
    """Name and title of every recipe that ships with Percuss."""
    return {path.stem: read_recipe(path).title for path in sorted(FOLDER.glob("*.toml"))}


def open_recipe(name: str) -> Recipe:
    """A recipe by name, or by the path of its .toml file; UsageError where it is unknown or wrong."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        known = [item.stem for item in FOLDER.glob("*.toml")]
        raise UsageError(
            "unknown recipe", value=name, allowed=nearest(name, known), next_step="percuss list recipes shows them all"
        )
    return read_recipe(path)


def read_recipe(path: Path) -> Recipe:
    """A recipe from its TOML file; UsageError that names file and key where it cannot be used."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the recipe {path.name} cannot be read", value=error, next_step=f"mend {path}") from error
    try:
        found = Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _wrong(path, place, first.get("input"), first["msg"]) from error
    _check(found, path)
    return found


def _wrong(path: Path, key: str, value: object, allowed: str) -> UsageError:
    shown = value if isinstance(value, str | int | float) else type(value).__name__
    return UsageError(
        f"the recipe {path.name} is wrong at {key}", value=shown, allowed=allowed, next_step=f"mend {path}"
    )


def _check(recipe: Recipe, path: Path) -> None:
    """Each step works on earlier ones, each $name has a value, each cell names a step and fits its column."""
    known: list[str] = []
    names = {*recipe.values, *BUILT_IN}
    for number, step in enumerate(recipe.steps):
        for name in step.on:
            if not _matches(name, known):
                raise _wrong(path, f"steps.{number}.on", name, f"an earlier step ({', '.join(known) or 'none'})")
        for name in _NAME.findall(str((step.options, step.each, step.on))):
            if name not in names:
                raise _wrong(path, f"steps.{number}.options", f"${name}", f"a key of values, or {', '.join(BUILT_IN)}")
        known.append(step.id)
    _check_sets(recipe, path)
    for number, table in enumerate(recipe.tables):
        for place, rows in enumerate(table.rows):
            _check_rows(rows, f"tables.{number}.rows.{place}", (path, known, len(table.columns)))
    for number, figure in enumerate(recipe.figures):
        _check_figure(figure, f"figures.{number}", path, recipe.steps)


def _check_sets(recipe: Recipe, path: Path) -> None:
    for name, some in recipe.sets.items():
        for key in some:
            if key not in recipe.values:
                raise _wrong(path, f"sets.{name}", key, nearest(key, recipe.values))
    known = [step.id for step in recipe.steps if step.kind == "fragility"]
    if recipe.beside and recipe.beside.step not in known:
        allowed = f"a step of the kind fragility ({', '.join(known) or 'none'})"
        raise _wrong(path, "beside.step", recipe.beside.step, allowed)


def _check_figure(figure: FigureSpec, key: str, path: Path, steps: Sequence[Step]) -> None:
    kind = DRAWN_FROM[figure.kind]
    known = [step.id for step in steps if step.kind == kind]
    for name in figure.of:
        if not _matches(name, known):
            raise _wrong(path, f"{key}.of", name, f"a step of the kind {kind} ({', '.join(known) or 'none'})")
    if figure.label and len(figure.label) != len(figure.of):
        raise _wrong(path, f"{key}.label", len(figure.label), f"{len(figure.of)} texts, one for each step")


def _check_rows(rows: Rows, key: str, within: tuple[Path, list[str], int]) -> None:
    path, known, columns = within
    for cells in (rows.cells, rows.cells_paper or rows.cells):
        if len(cells) != columns:
            raise _wrong(path, f"{key}.cells", len(cells), f"{columns} cells, one per column")
        for cell in cells:
            head = _CELL.match(cell)
            if head is None or not _matches(head[1], known):
                raise _wrong(path, f"{key}.cells", cell, f"STEP: PATH | FORMAT, with a step of {', '.join(known)}")


#: Values that the engine knows: of the command, and of the images at hand.
BUILT_IN = ("first_class", "last_class", "seed", "protocol")


def _matches(name: str, known: list[str]) -> bool:
    """Whether a step name, with ``{...}`` in either, can be one of the known ones."""
    loose = [re.sub(r"\\\{\w+\\\}", ".+", re.escape(item)) for item in known]
    return name in known or any(re.fullmatch(item, re.sub(r"\{\w+\}|\$\w+", "x", name)) for item in loose)


def values_of(recipe: Recipe, *, protocol: Protocol, quick: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's values under a protocol; ``given`` (--set) stands above all. UsageError for unknown names.

    ``NAME.KEY`` is the value of ``KEY`` on the data set called NAME (``values_of_set``).
    """
    for name in given:
        key = name.partition(".")[2] or name
        if key not in recipe.values:
            raise UsageError(f"the recipe {recipe.name} has no value", value=name, allowed=nearest(key, recipe.values))
    found = dict(recipe.values)
    found |= recipe.paper_values if protocol == "paper" else {}
    found |= recipe.quick if quick else {}
    # What is said of every set here stands above what the recipe says of one.
    said = {*(recipe.quick if quick else {}), *given}
    own = {
        f"{set_}.{key}": value for set_, some in recipe.sets.items() for key, value in some.items() if key not in said
    }
    return found | own | dict(given)


def values_of_set(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The values that hold on a data set: ``NAME.KEY`` stands above ``KEY``; those of other sets are left out."""
    own = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{name}.")}
    return {key: value for key, value in values.items() if "." not in key} | own


def values_in_use(values: Mapping[str, Any], sets: Iterable[str]) -> dict[str, Any]:
    """The values without those of data sets that are not there."""
    return {key: value for key, value in values.items() if "." not in key or key.partition(".")[0] in sets}


def put_in(value: Any, values: Mapping[str, Any]) -> Any:
    """``$name`` replaced in nested plain values: alone by the value itself, within a text by its text.

    Within a list, a name that stands for a list gives its items.
    """
    if isinstance(value, dict):
        made = {key: put_in(item, values) for key, item in value.items()}
        return {key: item for key, item in made.items() if item != LEAVE}
    if isinstance(value, list | tuple):
        pairs = [(item, put_in(item, values)) for item in value]
        return [part for item, new in pairs for part in (new if isinstance(new, list) and item != new else [new])]
    if not isinstance(value, str):
        return value
    whole = _NAME.fullmatch(value)
    return values[whole[1]] if whole else _NAME.sub(lambda hit: str(values[hit[1]]), value)


def combinations(each: Mapping[str, Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of ``each``, the last name fastest; one empty combination where it is empty."""
    lists = put_in(dict(each), values)
    return [dict(zip(lists, found, strict=True)) for found in itertools.product(*lists.values())]


def spread(step: Step, values: Mapping[str, Any]) -> list[Step]:
    """A step once for each combination of its ``each``, with ids and options filled."""
    found = []
    for one in combinations(step.each, values):
        options = {key: one[key] if item == f"{{{key}}}" else filled(item, one) for key, item in step.options.items()}
        change = {
            "id": step_name(step.id, one),
            "on": tuple(step_name(name, one) for ground in step.on for name in _each_of(ground, values)),
            "options": put_in(options, {**values, **one}),
            "each": {},
        }
        found.append(step.model_copy(update=change))
    return found


def _each_of(name: str, values: Mapping[str, Any]) -> list[str]:
    """A name with ``$value`` once for each item of that value, in order."""
    hit = _NAME.search(name)
    if hit is None:
        return [name]
    items = values[hit[1]] if isinstance(values[hit[1]], list) else [values[hit[1]]]
    return [name.replace(hit[0], str(item)) for item in items]


def filled(value: Any, names: Mapping[str, Any]) -> Any:
    """``{name}`` replaced in texts, also within nested plain values; other braces stay."""
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled(item, names) for item in value]
    if isinstance(value, str):
        for key, item in names.items():
            value = value.replace(f"{{{key}}}", str(item))
    return value


def step_name(name: str, names: Mapping[str, Any]) -> str:
    """The id of a step with ``{name}`` replaced, fit for a folder."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", str(filled(name, names)))
