"""percuss study override: a session before its wash-out is over."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from percuss.cli.options import Reason, StudyDatabase, StudyJson, StudyPath, StudyPerson, Verbose, Who


def override(  # noqa: PLR0913
    study: StudyPath,
    *,
    name: StudyPerson,
    session: Annotated[int, typer.Option(help="Session to open early, from 2.")],
    reason: Reason,
    who: Who = "administrator",
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """Let a reader begin a session before the wash-out is over; the results list it as a deviation."""
    from percuss.cli.study_open import opened

    with opened(study, database) as target:
        from percuss.study.overriding import override_washout

        override_washout(target, name, session, who=who, reason=reason)
    if as_json:
        print(json.dumps({"name": name, "session": session, "overridden": True}))
        return
    print(f"{name} may begin session {session} when the one before is finished; the results will list this")
