"""percuss study amend: a change of the protocol, added in the open."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from percuss.cli.options import Reason, StudyDatabase, StudyJson, StudyPath, StudySecret, Verbose, Who
from percuss.core.errors import UsageError


def amend(  # noqa: PLR0913
    study: StudyPath,
    *,
    reason: Reason,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="FIELD=VALUE, the value as JSON or else as text; repeatable.")
    ] = None,
    more_readers: Annotated[
        int | None, typer.Option(help="Draw so many further orders, where readers join whom nobody planned for.")
    ] = None,
    who: Who = "administrator",
    secret: StudySecret = None,
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """Amend the protocol of an open study: fields (--set), or room for more readers (--more-readers).

    What stood before stays, and the results list every amendment. What orders were drawn from cannot change: arms,
    tasks, copies, rules, seed and cases. A server that runs takes the amendment up by itself, between two trials;
    readers who are enrolled after --more-readers can log in at once.
    """
    from percuss.cli.study_open import opened

    values = _values(changes or ())
    if bool(values) == (more_readers is not None):
        raise UsageError(
            "an amendment of nothing" if not values else "two amendments at once",
            allowed="--set FIELD=VALUE, or --more-readers N",
            next_step="give one of them, with its own --reason",
        )
    with opened(study, database) as target:
        if more_readers is None:
            from percuss.study.amending import amend_study

            frozen = amend_study(target, values, who=who, reason=reason, secret_file=secret)
        else:
            from percuss.study import more_readers as more

            frozen = more.more_readers(target, more_readers, who=who, reason=reason, secret_file=secret)
    last = frozen.amendments[-1]
    if as_json:
        print(json.dumps(last.model_dump(mode="json", exclude={"changes"}) | {"fields": sorted(last.changes)}))
    else:
        print(f"amendment {last.number} ({', '.join(sorted(last.changes))}) is in force; protocol {last.hash}")
        if more_readers is not None:
            print(f"{more_readers} more can be enrolled; {last.changes['readers']} are planned from now on")
        print("A server that runs takes it up by itself, between two trials.")


def _values(changes: Iterable[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in map(_change, changes):
        if name in values:
            raise UsageError("a field is set twice", value=name, next_step="give it one new value")
        values[name] = value
    return values


def _change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(
            "this is no change of a field",
            value=text,
            allowed="FIELD=VALUE",
            next_step="give for instance --set washout_days=14 or --set 'title=\"A title\"'",
        )
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value
