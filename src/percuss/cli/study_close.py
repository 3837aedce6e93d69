"""percuss study close: no answer after this."""

from __future__ import annotations

import json
import sys

from percuss.cli.options import Reason, StudyDatabase, StudyJson, StudyPath, Verbose, Who
from percuss.cli.pasteable import Typed


def close(
    study: StudyPath,
    *,
    reason: Reason,
    who: Who = "administrator",
    database: StudyDatabase = None,
    as_json: StudyJson = False,
    verbose: Verbose = False,
) -> None:
    """Close a study for good: no answer is taken any more, and its results may be opened.

    Prints the end of the audit trail. Keep it elsewhere: with it `percuss study verify --head` shows whether anybody
    wrote the trail anew.
    """
    from percuss.cli.study_open import opened

    with opened(study, database) as target:
        from percuss.study.closing import close as end
        from percuss.study.progress import status

        head = end(target, who=who, reason=reason)
        missing = [item for item in status(target).readers if item.role == "reader" and item.done < item.total]
    for item in missing:
        print(f"percuss: {item.name} answered {item.done} of {item.total} trials", file=sys.stderr)
    if as_json:
        print(json.dumps({"state": "closed", "head": head.model_dump()}))
    else:
        print(f"closed. The audit trail ends with {head.number}:{head.hash}")
        typed = Typed(study, database)
        print(f"Note it elsewhere: {typed.command('verify', f'--head {head.number}:{head.hash}')}")
        print(f"Next: {typed.command('results')}")
