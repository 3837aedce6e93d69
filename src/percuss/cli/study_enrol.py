"""percuss study enrol: one more reader."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from percuss.cli.options import StudyAddress, StudyDatabase, StudyJson, StudyPath, Verbose, Who
from percuss.cli.pasteable import Typed

Option = typer.Option
#: Where `percuss study serve` answers unless told otherwise.
ADDRESS = "http://127.0.0.1:8000"


def enrol(  # noqa: PLR0913
    study: StudyPath,
    *,
    name: Annotated[str, Option(help="Name of the person, as the audit trail and the results shall have it.")],
    role: Annotated[str, Option(help="reader, or administrator: sees progress and no trials.")] = "reader",
    address: StudyAddress = ADDRESS,
    who: Who = "administrator",
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """Enrol a reader in a study, and print their personal link and code, this once.

    The reader gets the next order that was drawn when the study was created. Link and code are stored as hashes only.
    """
    from percuss.cli.study_open import as_record, checked_address, opened, tell_once

    address = checked_address(address)
    with opened(study, database) as target:
        from percuss.study.access import enrol as take_in

        credentials = take_in(target, name, role=role, who=who)
    if as_json:
        print(json.dumps(as_record(credentials, address)))
    else:
        tell_once(credentials, address, Typed(study, database))
