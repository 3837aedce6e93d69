"""percuss study renew: a new link and code for somebody who lost theirs."""

from __future__ import annotations

import json

from percuss.cli.options import (
    Reason,
    StudyAddress,
    StudyDatabase,
    StudyJson,
    StudyPath,
    StudyPerson,
    Verbose,
    Who,
)
from percuss.cli.pasteable import Typed
from percuss.cli.study_enrol import ADDRESS


def renew(  # noqa: PLR0913
    study: StudyPath,
    *,
    name: StudyPerson,
    reason: Reason,
    who: Who = "administrator",
    address: StudyAddress = ADDRESS,
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """Make a new link and code for somebody who is enrolled, and print them once; the old ones end at once.

    Answers and place stay as they are. It lets somebody in again whose access was revoked.
    """
    from percuss.cli.study_open import as_record, checked_address, opened, tell_once

    address = checked_address(address)
    with opened(study, database) as target:
        from percuss.study.access import renew as give_new

        credentials = give_new(target, name, who=who, reason=reason)
    if as_json:
        print(json.dumps(as_record(credentials, address)))
    else:
        tell_once(credentials, address, Typed(study, database))
